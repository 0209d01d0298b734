"""Looks: which parts of a picture the network sees, and how their answers are merged.

The network takes squares of one size. The first look shows the whole picture, shrunk to
fit; then tiles look again, closer, because a ring is a few pixels wide on a whole hand::

    upright picture -> plan_looks -> cut_look (S, S, 3) ... network ... merge_looks -> (C, H, W)

A look is anchored at its upper left corner; what lies beyond the picture is filled with
the geometry's pad value and dropped again when merging. All boxes lie in the upright
frame of the picture, in pixels.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from math import ceil

import cv2
import numpy as np
from numpy.typing import NDArray

MAX_CANVAS_SIDE_PX = 2048
"""Answers are merged on a canvas of at most this size, then enlarged to the picture."""
MAX_ENLARGEMENT = 4.0
"""The smallest pictures are enlarged by no more than this before the network sees them."""
TILE_OVERLAP = 0.25
"""Share of a tile that it has in common with its neighbour."""
WORTH_TILING = 1.25
"""A closer level is looked at only where it shows the picture so many times larger."""


class Detail(StrEnum):
    """How closely to look."""

    FAST = "fast"
    """The whole picture once."""
    STANDARD = "standard"
    """Also tiles of the picture at twice the network's input size."""
    FINE = "fine"
    """Also tiles at four times the network's input size."""


_LEVELS = {Detail.FAST: (), Detail.STANDARD: (2.0,), Detail.FINE: (2.0, 4.0)}


@dataclass(frozen=True, kw_only=True)
class Geometry:
    """The network's view of the world; part of every manifest."""

    input_size_px: int = 448
    """Side of the square input."""
    output_stride_px: int = 4
    """Input pixels for one value of the probability map."""
    pad_value: tuple[int, int, int] = (124, 116, 104)
    """sRGB colour beyond the picture."""


@dataclass(frozen=True, kw_only=True)
class Look:
    """One square that the network sees."""

    x_px: float
    """Left edge in the picture."""
    y_px: float
    """Upper edge in the picture."""
    scale: float
    """Input pixels for one pixel of the picture."""
    level: int
    """0 the whole picture, 1 and on the closer levels."""


def plan_looks(
    height_px: int, width_px: int, geometry: Geometry, detail: Detail
) -> tuple[Look, ...]:
    """The looks at a picture, the whole one first, then level by level, row by row.

    A closer level is left out where the picture has too few pixels for it.
    """
    size = geometry.input_size_px
    longer = max(height_px, width_px)
    whole_scale = min(size / longer, MAX_ENLARGEMENT)
    looks = [Look(x_px=0.0, y_px=0.0, scale=whole_scale, level=0)]
    last_scale = whole_scale
    for level, factor in enumerate(_LEVELS[detail], start=1):
        scale = min(whole_scale * factor, 1.0)
        if scale < last_scale * WORTH_TILING:
            break
        looks += _tiles(height_px, width_px, size / scale, scale, level)
        last_scale = scale
    return tuple(looks)


def _tiles(
    height_px: int, width_px: int, side_px: float, scale: float, level: int
) -> Iterable[Look]:
    for y in _starts(height_px, side_px):
        for x in _starts(width_px, side_px):
            yield Look(x_px=x, y_px=y, scale=scale, level=level)


def _starts(length_px: int, side_px: float) -> list[float]:
    """Evenly spread starts of tiles of `side_px` that cover `length_px` with enough overlap."""
    if length_px <= side_px:
        return [0.0]
    count = ceil((length_px - side_px) / (side_px * (1 - TILE_OVERLAP))) + 1
    return [round(i * (length_px - side_px) / (count - 1), 3) for i in range(count)]


def cut_look(pixels: NDArray[np.uint8], look: Look, geometry: Geometry) -> NDArray[np.uint8]:
    """What the network sees of (H, W, 3) uint8 pixels at one look: (S, S, 3) uint8."""
    size = geometry.input_size_px
    height, width = pixels.shape[:2]
    side_px = size / look.scale
    x0, y0 = round(look.x_px), round(look.y_px)
    x1, y1 = min(width, round(look.x_px + side_px)), min(height, round(look.y_px + side_px))
    shown = (
        min(size, max(1, round((x1 - x0) * look.scale))),
        min(size, max(1, round((y1 - y0) * look.scale))),
    )
    method = cv2.INTER_AREA if look.scale < 1 else cv2.INTER_LINEAR
    tile = np.empty((size, size, 3), np.uint8)
    tile[:] = geometry.pad_value
    tile[: shown[1], : shown[0]] = cv2.resize(pixels[y0:y1, x0:x1], shown, interpolation=method)
    return tile


def merge_looks(
    probabilities: NDArray[np.uint8],
    looks: Sequence[Look],
    height_px: int,
    width_px: int,
    geometry: Geometry,
) -> NDArray[np.uint8]:
    """Merge the looks' answers into one map of the picture.

    Tiles of a level are blended with weights that fall to their edges, so no seam shows;
    then levels are averaged. Large pictures are merged on a canvas of at most
    `MAX_CANVAS_SIDE_PX`.

    Args:
        probabilities: (L, C, h, w) uint8, an answer for each look.
        looks: the L looks, as planned.
        height_px: rows of the upright picture.
        width_px: columns of the upright picture.
        geometry: what the looks were cut with.

    Returns:
        (C, canvas height, canvas width) uint8; the canvas is the picture, or the picture
        shrunk to `MAX_CANVAS_SIDE_PX`.
    """
    height, width = canvas_size(height_px, width_px)
    shrink = width / width_px if width >= height else height / height_px
    levels = sorted({look.level for look in looks})
    total = np.zeros((probabilities.shape[1], height, width), np.float32)
    for level in levels:
        members = [i for i, look in enumerate(looks) if look.level == level]
        total += _merge_level(
            [(probabilities[i], looks[i]) for i in members], (height, width), shrink, geometry
        )
    total /= len(levels)
    return np.rint(total, out=total).astype(np.uint8)


def canvas_size(height_px: int, width_px: int) -> tuple[int, int]:
    """(height, width) of the canvas on which a picture's answers are merged."""
    shrink = min(1.0, MAX_CANVAS_SIDE_PX / max(height_px, width_px))
    return max(1, round(height_px * shrink)), max(1, round(width_px * shrink))


def _merge_level(
    answers: Sequence[tuple[NDArray[np.uint8], Look]],
    canvas: tuple[int, int],
    shrink: float,
    geometry: Geometry,
) -> NDArray[np.float32]:
    """Blend the tiles of one level on the canvas: (C, height, width) float32, 0 to 255."""
    height, width = canvas
    if len(answers) == 1:
        return _place(*answers[0], canvas, shrink, geometry)[0]
    count = answers[0][0].shape[0]
    total = np.zeros((count, height, width), np.float32)
    weights = np.zeros((height, width), np.float32)
    for probability, look in answers:
        part, (x, y) = _place(probability, look, canvas, shrink, geometry)
        rows, columns = part.shape[1:]
        weight = _feather(rows)[:, None] * _feather(columns)[None, :]
        part *= weight
        total[:, y : y + rows, x : x + columns] += part
        weights[y : y + rows, x : x + columns] += weight
    total /= weights
    return total


def _place(
    probability: NDArray[np.uint8],
    look: Look,
    canvas: tuple[int, int],
    shrink: float,
    geometry: Geometry,
) -> tuple[NDArray[np.float32], tuple[int, int]]:
    """One look's answer in canvas pixels, and where its upper left corner goes (x, y)."""
    height, width = canvas
    side = geometry.input_size_px / look.scale * shrink
    x, y = round(look.x_px * shrink), round(look.y_px * shrink)
    # rounded up: the last tiles must reach the edge, and every pixel have a weight
    columns = min(width, ceil(look.x_px * shrink + side)) - x
    rows = min(height, ceil(look.y_px * shrink + side)) - y
    # canvas pixel centre -> cell of the probability map
    step = probability.shape[-1] / side
    matrix = np.array([[step, 0, 0.5 * step - 0.5], [0, step, 0.5 * step - 0.5]])
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    placed = np.empty((len(probability), rows, columns), np.float32)
    for number, plane in enumerate(probability):
        placed[number] = cv2.warpAffine(
            plane.astype(np.float32), matrix, (columns, rows), flags=flags,
            borderMode=cv2.BORDER_REPLICATE,
        )  # fmt: skip
    return placed, (x, y)


def _feather(length: int) -> NDArray[np.float32]:
    """Weights that rise from the edges of a tile to its middle."""
    ramp = np.minimum(np.arange(length), np.arange(length)[::-1]) + 1.0
    return np.minimum(ramp / max(1.0, length * TILE_OVERLAP), 1.0).astype(np.float32)
