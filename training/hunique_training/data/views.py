"""Two views of one crop: weak for the assignment network, strong for the online network.

Both show the same geometry (random quarter turn, flip, scale, crop with padding), so
pseudo-labels need no warping; the strong view has one random colour operation more
(COSA: nine operations, magnitude 1 to 9 of 10).
"""

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageEnhance, ImageOps

Pixels = NDArray[np.uint8]


@dataclass(frozen=True, kw_only=True)
class ViewConfig:
    """How crops are cut."""

    size_px: int = 384
    """Side of the square crop."""
    scale_low: float = 0.75
    """Smallest longer side of the picture before cropping, in crop sides."""
    scale_high: float = 2.0
    """Largest longer side before cropping. Above 1 a crop may miss the feature, so a picture
    that has no more pixels to show is not enlarged beyond 1."""
    quarter_turn_probability: float = 0.5
    """How often the picture is turned by a random multiple of 90 degrees."""
    background_probability: float = 0.6
    """How often a picture whose hand has been cut out gets another background."""
    pad_value: tuple[int, int, int] = (124, 116, 104)
    """sRGB colour around pictures that do not fill the crop; the served geometry's own."""


@dataclass(frozen=True, kw_only=True)
class ViewPair:
    """One crop seen twice."""

    weak: Pixels
    """(S, S, 3) uint8 sRGB."""
    strong: Pixels
    """(S, S, 3) uint8 sRGB, same geometry."""
    box: tuple[int, int, int, int]
    """Rows y0 to y1 and columns x0 to x1 that show the picture, as (y0, y1, x0, x1)."""


def make_views(pixels: Pixels, config: ViewConfig, rng: np.random.Generator) -> ViewPair:
    """Cut one random crop of (H, W, 3) uint8 pixels and make its weak and strong view."""
    crop, box = _random_crop(_random_turn(pixels, config, rng), config, rng)
    if rng.random() < 0.3:
        crop = _blur(crop, sigma=rng.uniform(0.1, 1.2))
    return ViewPair(weak=crop, strong=strong_colour(crop, rng), box=box)


def _random_turn(pixels: Pixels, config: ViewConfig, rng: np.random.Generator) -> Pixels:
    if rng.random() < config.quarter_turn_probability:
        pixels = np.rot90(pixels, k=int(rng.integers(1, 4)))
    if rng.random() < 0.5:
        pixels = pixels[:, ::-1]
    return np.ascontiguousarray(pixels)


def _random_crop(
    pixels: Pixels, config: ViewConfig, rng: np.random.Generator
) -> tuple[Pixels, tuple[int, int, int, int]]:
    size = config.size_px
    longer = max(pixels.shape[:2])
    scale_high = min(config.scale_high, max(1.0, longer / size))
    scale = rng.uniform(config.scale_low, scale_high) * size / longer
    height, width = (max(1, round(side * scale)) for side in pixels.shape[:2])
    method = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    scaled = cv2.resize(pixels, (width, height), interpolation=method)
    top, y0, rows = _place(height, size, rng)
    left, x0, columns = _place(width, size, rng)
    crop = np.full((size, size, 3), config.pad_value, np.uint8)
    crop[y0 : y0 + rows, x0 : x0 + columns] = scaled[top : top + rows, left : left + columns]
    return crop, (y0, y0 + rows, x0, x0 + columns)


def _place(length: int, size: int, rng: np.random.Generator) -> tuple[int, int, int]:
    """Where a side of `length` falls in a crop: (first source, first target, count)."""
    slack = length - size
    if slack >= 0:
        return int(rng.integers(0, slack + 1)), 0, size
    return 0, int(rng.integers(0, -slack + 1)), length


def _blur(pixels: Pixels, sigma: float) -> Pixels:
    return cv2.GaussianBlur(pixels, (0, 0), sigma).astype(np.uint8, copy=False)


def strong_colour(pixels: Pixels, rng: np.random.Generator) -> Pixels:
    """One random colour operation at a random magnitude of 1 to 9 of 10."""
    operation = _OPERATIONS[int(rng.integers(len(_OPERATIONS)))]
    return np.asarray(operation(Image.fromarray(pixels), int(rng.integers(1, 10))), np.uint8)


def _enhance(
    kind: Callable[[Image.Image], ImageEnhance._Enhance],
) -> Callable[[Image.Image, int], Image.Image]:
    def apply(image: Image.Image, magnitude: int) -> Image.Image:
        return kind(image).enhance(magnitude * 1.8 / 10 + 0.1)

    return apply


_OPERATIONS: tuple[Callable[[Image.Image, int], Image.Image], ...] = (
    lambda image, _: image,
    lambda image, _: ImageOps.autocontrast(image),
    lambda image, _: ImageOps.equalize(image),
    lambda image, magnitude: ImageOps.solarize(image, min(int(magnitude * 25.6), 255)),
    lambda image, magnitude: ImageOps.posterize(image, max(2, 4 - int(magnitude * 4 / 10))),
    _enhance(ImageEnhance.Color),
    _enhance(ImageEnhance.Contrast),
    _enhance(ImageEnhance.Brightness),
    _enhance(ImageEnhance.Sharpness),
)
