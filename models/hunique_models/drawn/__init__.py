"""Drawn hands: pictures that may be shown, with masks that are exact.

No photograph of a hand may be published with this software, so a small renderer stands in
for the demonstration, the tests, the server's self-test at start and a quick start of
training. Same seed, same bytes. What is drawn is coarse beside a photograph; figures
measured on it say nothing about photographs.
"""

from hunique_models.drawn.scene import CLASS_NAMES, VIEWS, DrawnHand, draw_hand

__all__ = ["CLASS_NAMES", "VIEWS", "DrawnHand", "draw_hand"]
