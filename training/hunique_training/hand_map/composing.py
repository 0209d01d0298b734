"""Small hands before other backgrounds, as a hand map learns from them.

    a picture of a hand, or of none -> smaller, turned, mirrored -> somewhere on a background

Pictures without hands are put on others the same way, so that neither edges nor sizes tell.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from hunique_training.data.backgrounds import fill_from, plain_background

Pixels = NDArray[np.uint8]

SMALLEST_SHARE = 0.12
"""Longer side of the smallest hands, as a share of what the network sees."""
PLAIN_PROBABILITY = 0.15
"""How often there is a plain colour behind."""
MAX_EDGE_PX = 8
"""Pictures fade into what is behind them over at most so many pixels."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Composed:
    """A square that the network sees, and where a hand may be on it."""

    pixels: Pixels
    """(S, S, 3) uint8 sRGB."""
    has_hand: bool
    """Whether what was put there shows a hand."""
    box: tuple[int, int, int, int]
    """Left, upper, right and lower edge of what was put there, in pixels."""


def compose(
    hands: Sequence[Sequence[Pixels]],
    others: Sequence[Pixels],
    side_px: int,
    rng: np.random.Generator,
) -> Composed:
    """One square; every other one on average shows a hand.

    Args:
        hands: (H, W, 3) uint8 pictures that show a hand, kind by kind: all kinds are as likely,
            or a few arms would be lost among many nails.
        others: pictures that show none.
        side_px: S.
        rng: of everything random.
    """
    has_hand = bool(rng.random() < 0.5)
    pool = hands[int(rng.integers(len(hands)))] if has_hand else others
    top = _placed(pool[int(rng.integers(len(pool)))], side_px, rng)
    if rng.random() < PLAIN_PROBABILITY:
        canvas = plain_background(side_px, side_px, rng)
    else:
        canvas = fill_from(others[int(rng.integers(len(others)))], side_px, side_px, rng)
    height, width = top.shape[:2]
    x, y = (int(rng.integers(side_px - length + 1)) for length in (width, height))
    behind = canvas[y : y + height, x : x + width]
    alpha = _soft_edges(height, width, int(rng.integers(1, MAX_EDGE_PX + 1)))
    behind[...] = np.rint(alpha * top + (1 - alpha) * behind)
    return Composed(pixels=canvas, has_hand=has_hand, box=(x, y, x + width, y + height))


def _placed(picture: Pixels, side_px: int, rng: np.random.Generator) -> Pixels:
    """The picture at a random size, small ones as often as twice as large ones."""
    share = np.exp(rng.uniform(np.log(SMALLEST_SHARE), 0.0))
    scale = share * side_px / max(picture.shape[:2])
    height, width = (min(side_px, max(1, round(s * scale))) for s in picture.shape[:2])
    method = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    sized = cv2.resize(picture, (width, height), interpolation=method)
    turned = np.rot90(sized, int(rng.integers(4)) if rng.random() < 0.5 else 0)
    mirrored = turned[:, ::-1] if rng.random() < 0.5 else turned
    return np.ascontiguousarray(mirrored).astype(np.uint8, copy=False)


def _soft_edges(height: int, width: int, edge_px: int) -> NDArray[np.float32]:
    """(H, W, 1) weights that rise from the edges."""
    rows, columns = (
        np.minimum(np.arange(1, n + 1), np.arange(n, 0, -1)) / (edge_px + 1)
        for n in (height, width)
    )
    alpha = np.minimum(np.minimum(rows[:, None], columns[None, :]), 1.0)
    return alpha[..., None].astype(np.float32)
