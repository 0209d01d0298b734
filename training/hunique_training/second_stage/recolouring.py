"""Other colours for features that come in any: a nail that is polished blue may be orange.

Pictures show a few dozen polishes, and a network takes what it has seen for what there is. Labels
of pixels say where the polish lies, so its colour can be another one, and every label stays true.
Shades and highlights stay too: the mean colour moves, what differs from it moves along.
"""

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from hunique_training.data.views import Pixels
from hunique_training.losses.cam_to_segmentation import IGNORE

_REACH_SHARE = 0.02
"""Ignored places as near as this to the feature, a share of the side, take its colour as well."""
_SOFTNESS_SHARE = 0.004
"""Deviation by which the border of the new colour is softened, a share of the side."""
_LIGHTER = (-30.0, 25.0)
"""How much the mean L* moves at most, of 0 to 100."""
_LIGHTNESS = (12.0, 90.0)
"""Where the mean L* ends at most."""
_CHROMA = (4.0, 75.0)
"""Distance of the new mean colour from grey in a* and b*."""


def recoloured(
    pixels: Pixels,
    labels: NDArray[np.uint8],
    any_colour: Sequence[bool],
    rng: np.random.Generator,
) -> Pixels:
    """Move the colour of classes that come in any, by as much all over the picture.

    Args:
        pixels: (H, W, 3) uint8 sRGB.
        labels: (H, W) uint8: 0 background, 1 to C, 255 ignored.
        any_colour: by class, as many as there are or none.
        rng: draws the colours.

    Returns:
        (H, W, 3) uint8: the same array where no such class is there.
    """
    for number, comes_in_any in enumerate(any_colour, start=1):
        if comes_in_any and (labels == number).any():
            pixels = _moved(pixels, labels, number, rng)
    return pixels


def _moved(
    pixels: Pixels, labels: NDArray[np.uint8], number: int, rng: np.random.Generator
) -> Pixels:
    lab = cv2.cvtColor(pixels.astype(np.float32) / np.float32(255), cv2.COLOR_RGB2LAB)
    mean = lab[labels == number].mean(axis=0)
    lightness = np.clip(mean[0] + rng.uniform(*_LIGHTER), *_LIGHTNESS)
    hue, chroma = rng.uniform(0, 2 * np.pi), rng.uniform(*_CHROMA)
    colour = np.array([lightness, chroma * np.cos(hue), chroma * np.sin(hue)], np.float32)
    lab += _extent(labels, number)[..., None] * (colour - mean)
    moved = cv2.cvtColor(lab, cv2.COLOR_LAB2RGB)
    return np.asarray(np.rint(np.clip(moved, 0, 1) * 255), np.uint8)


def _extent(labels: NDArray[np.uint8], number: int) -> NDArray[np.float32]:
    """How much of a class each place is, (H, W) 0 to 1."""
    side = max(labels.shape)
    reach_px = max(1, round(_REACH_SHARE * side))
    own = (labels == number).astype(np.uint8)
    square = np.ones((2 * reach_px + 1, 2 * reach_px + 1), np.uint8)
    near = (cv2.dilate(own, square) > 0) & (labels == IGNORE)
    extent = ((own > 0) | near).astype(np.float32)
    return np.asarray(cv2.GaussianBlur(extent, (0, 0), _SOFTNESS_SHARE * side), np.float32)
