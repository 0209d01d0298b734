"""One crop of a picture together with the labels of its pixels.

The same turns, scales, crops and colours as in the first stage (`data.views`), with labels
carried along: never mixed by interpolation, ignored where the crop shows no picture.
"""

from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from hunique_training.data.views import Pixels, ViewConfig, strong_colour
from hunique_training.losses.cam_to_segmentation import IGNORE


class LabelledCrop(NamedTuple):
    """One crop and its labels."""

    weak: Pixels
    """(S, S, 3) uint8 sRGB."""
    strong: Pixels
    """(S, S, 3) uint8 sRGB, same geometry, other colours."""
    labels: NDArray[np.uint8]
    """(S, S): 0 background, 1 to C, 255 ignored."""
    box: tuple[int, int, int, int]
    """Rows y0 to y1 and columns x0 to x1 that show the picture, as (y0, y1, x0, x1)."""


def labelled_crop(
    pixels: Pixels, labels: NDArray[np.uint8], config: ViewConfig, rng: np.random.Generator
) -> LabelledCrop:
    """Cut one random crop of (H, W, 3) uint8 pixels and of their (H, W) uint8 labels."""
    pixels, labels = _turn(pixels, labels, config, rng)
    side = config.size_px
    longer = max(pixels.shape[:2])
    scale_high = min(config.scale_high, max(1.0, longer / side))
    scale = rng.uniform(config.scale_low, scale_high) * side / longer
    height, width = (max(1, round(each * scale)) for each in pixels.shape[:2])
    method = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    image = cv2.resize(pixels, (width, height), interpolation=method)
    index = cv2.resize(labels, (width, height), interpolation=cv2.INTER_NEAREST)
    rows, rows_there = _overlap(height, side, rng)
    columns, columns_there = _overlap(width, side, rng)
    weak = np.full((side, side, 3), config.pad_value, np.uint8)
    cut = np.full((side, side), IGNORE, np.uint8)
    weak[rows_there, columns_there] = image[rows, columns]
    cut[rows_there, columns_there] = index[rows, columns]
    if rng.random() < 0.3:
        weak = np.asarray(cv2.GaussianBlur(weak, (0, 0), rng.uniform(0.1, 1.2)), np.uint8)
    box = (rows_there.start, rows_there.stop, columns_there.start, columns_there.stop)
    return LabelledCrop(weak, strong_colour(weak, rng), cut, box)


def _turn(
    pixels: Pixels, labels: NDArray[np.uint8], config: ViewConfig, rng: np.random.Generator
) -> tuple[Pixels, NDArray[np.uint8]]:
    if rng.random() < config.quarter_turn_probability:
        turns = int(rng.integers(1, 4))
        pixels, labels = np.rot90(pixels, turns), np.rot90(labels, turns)
    if rng.random() < 0.5:
        pixels, labels = pixels[:, ::-1], labels[:, ::-1]
    return np.ascontiguousarray(pixels), np.ascontiguousarray(labels)


def _overlap(length: int, side: int, rng: np.random.Generator) -> tuple[slice, slice]:
    """Which part of a length is cut, and where in the crop it stands."""
    shown = min(length, side)
    offset = int(rng.integers(0, abs(length - side) + 1))
    first, there = (offset, 0) if length > side else (0, offset)
    return slice(first, first + shown), slice(there, there + shown)
