"""Light mirrored by nails and skin: white streaks that are no feature.

A half-moon is pale and lies on a nail, and so does the reflection of a window or a lamp. Streaks
drawn on pictures, where labels of pixels stay as they are, tell a network which is which.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

from hunique_training.data.views import Pixels

_LENGTH_SHARE = (0.1, 0.4)
"""Of a streak, of the side of the picture."""
_WIDTH_OF_LENGTH = (0.15, 0.5)
_STRENGTH = (0.4, 0.95)
"""How much of the picture it hides in its middle."""
_SOFTNESS_OF_WIDTH = (0.1, 0.4)
"""Deviation of its border."""
_WHITE = (225, 256)
"""sRGB of the light."""
_SPREAD_SHARE = 0.12
"""Deviation of its distance from a feature, of the side of the picture."""


def with_glare(
    pixels: Pixels, labels: NDArray[np.uint8], number: int, rng: np.random.Generator
) -> Pixels:
    """Draw one streak, near a class where that is on the picture, and anywhere else otherwise.

    Args:
        pixels: (H, W, 3) uint8 sRGB.
        labels: (H, W) uint8 labels of the pixels.
        number: the class, from 1 on.
        rng: draws place, size and light.

    Returns:
        (H, W, 3) uint8, a new array.
    """
    streak = _streak(_centre(labels, number, rng), labels.shape, rng)[..., None]
    light = rng.integers(*_WHITE, size=3)
    lit = pixels + streak * rng.uniform(*_STRENGTH) * (light - pixels.astype(np.float32))
    return np.asarray(np.rint(lit), np.uint8)


def _centre(
    labels: NDArray[np.uint8], number: int, rng: np.random.Generator
) -> tuple[float, float]:
    """Where the streak lies: (x, y)."""
    height, width = labels.shape
    rows, columns = np.nonzero(labels == number)
    if not rows.size:
        return rng.uniform(0, width), rng.uniform(0, height)
    place = rng.integers(rows.size)
    away = rng.normal(0, _SPREAD_SHARE * max(labels.shape), 2)
    return columns[place] + away[0], rows[place] + away[1]


def _streak(
    centre: tuple[float, float], size: tuple[int, ...], rng: np.random.Generator
) -> NDArray[np.float32]:
    """How bright each place (H, W) is, 0 to 1."""
    length_px = rng.uniform(*_LENGTH_SHARE) * max(size)
    width_px = rng.uniform(*_WIDTH_OF_LENGTH) * length_px
    streak = np.zeros(size, np.float32)
    cv2.ellipse(streak, (centre, (length_px, width_px), rng.uniform(0, 180)), 1.0, cv2.FILLED)
    softness_px = max(0.5, rng.uniform(*_SOFTNESS_OF_WIDTH) * width_px)
    return np.asarray(cv2.GaussianBlur(streak, (0, 0), softness_px), np.float32)
