"""Merging: the answers of all looks at a picture become one map of it.

Tiles of a level are blended, then the mean over the levels is taken, class by class.
"""

from collections.abc import Sequence
from math import ceil

import cv2
import numpy as np
from numpy.typing import NDArray

from hunique_models.geometry import OVERVIEW_LEVEL, TILE_OVERLAP, Geometry, LevelMean, Look

MAX_CANVAS_SIDE_PX = 2048
"""Answers are merged on a canvas of at most this size, then enlarged to the picture."""


def merge_looks(
    probabilities: NDArray[np.uint8],
    looks: Sequence[Look],
    height_px: int,
    width_px: int,
    geometry: Geometry,
    counts: NDArray[np.bool_] | None = None,
) -> NDArray[np.uint8]:
    """Merge the looks' answers into one map of the picture.

    Tiles of a level are blended with weights that fall to their edges, so no seam shows;
    then the mean over levels is taken. Large pictures are merged on a canvas of at most
    `MAX_CANVAS_SIDE_PX`.

    Args:
        probabilities: (L, C, h, w) uint8, an answer for each look.
        looks: the L looks, as planned.
        height_px: rows of the upright picture.
        width_px: columns of the upright picture.
        geometry: what the looks were cut with.
        counts: (L, C) whether a look's answer counts for a class; None: all but the overview's.

    Returns:
        (C, canvas height, canvas width) uint8; the canvas is the picture, or the picture
        shrunk to `MAX_CANVAS_SIDE_PX`.
    """
    canvas = canvas_size(height_px, width_px)
    shrink = max(canvas) / max(height_px, width_px)
    if counts is None:
        near = np.array([look.level != OVERVIEW_LEVEL for look in looks])
        counts = np.repeat(near[:, None], probabilities.shape[1], axis=1)
    merged = np.empty((probabilities.shape[1], *canvas), np.uint8)
    for index, plane in enumerate(merged):
        pairs = [
            (answers[index], look)
            for answers, look, has_say in zip(probabilities, looks, counts[:, index], strict=True)
            if has_say
        ]
        plane[...] = merge_plane(pairs, canvas, shrink, geometry)
    return merged


def merge_plane(
    answers: Sequence[tuple[NDArray[np.uint8], Look]],
    canvas: tuple[int, int],
    shrink: float,
    geometry: Geometry,
) -> NDArray[np.uint8]:
    """One plane's answers (h, w) uint8 to (height, width) uint8, level by level.

    One at a time, because all at once take several times the memory of the picture.

    Args:
        answers: answers with the looks that they are of.
        canvas: (height, width) of the result.
        shrink: its size beside the picture's.
        geometry: what the looks were cut with.
    """
    in_log_odds = geometry.level_mean is LevelMean.LOG_ODDS
    levels = sorted({look.level for _, look in answers})
    total = np.zeros(canvas, np.float32)
    for level in levels:
        members = [(answer, look) for answer, look in answers if look.level == level]
        merged = _merge_level(members, canvas, shrink, geometry)
        if in_log_odds:
            to_log_odds(merged)
        total += merged
    total /= len(levels)
    if in_log_odds:
        to_steps(total)
    return np.rint(total, out=total).astype(np.uint8)


def to_log_odds(steps: NDArray[np.float32]) -> None:
    """Steps 0 to 255, as probabilities (step + 0.5) / 256, to their log odds, in place."""
    np.log(np.divide(steps + 0.5, 255.5 - steps, out=steps), out=steps)


def to_steps(log_odds: NDArray[np.float32]) -> None:
    """The way back from `to_log_odds`, not rounded, in place."""
    np.exp(np.negative(log_odds, out=log_odds), out=log_odds)
    np.divide(256, np.add(log_odds, 1, out=log_odds), out=log_odds)
    np.clip(np.subtract(log_odds, 0.5, out=log_odds), 0, 255, out=log_odds)


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
    """Blend the tiles of one level on the canvas: (height, width) float32, 0 to 255."""
    if len(answers) == 1:
        return _place(*answers[0], canvas, shrink, geometry)[0]
    total, weights = np.zeros(canvas, np.float32), np.zeros(canvas, np.float32)
    for answer, look in answers:
        part, (x, y) = _place(answer, look, canvas, shrink, geometry)
        rows, columns = part.shape
        weight = _feather(rows)[:, None] * _feather(columns)[None, :]
        part *= weight
        total[y : y + rows, x : x + columns] += part
        weights[y : y + rows, x : x + columns] += weight
    total /= weights
    return total


def _place(
    answer: NDArray[np.uint8],
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
    # cells and pixels have their centres in their middles, as cv2.resize has it
    times = side / answer.shape[-1]
    placed = cv2.resize(
        answer.astype(np.float32), None, fx=times, fy=times, interpolation=cv2.INTER_LINEAR
    )[:rows, :columns]
    below, beside = rows - placed.shape[0], columns - placed.shape[1]
    if below or beside:  # a fraction of a pixel that was rounded off
        placed = cv2.copyMakeBorder(placed, 0, below, 0, beside, cv2.BORDER_REPLICATE)
    return np.asarray(placed, np.float32), (x, y)


def _feather(length: int) -> NDArray[np.float32]:
    """Weights that rise from the edges of a tile to its middle."""
    ramp = np.minimum(np.arange(length), np.arange(length)[::-1]) + 1.0
    return np.minimum(ramp / max(1.0, length * TILE_OVERLAP), 1.0).astype(np.float32)
