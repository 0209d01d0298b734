"""Marks on a crop: where points, scribbles and boxes of a picture come to lie on a view of it.

    shares of the picture -> turned, mirrored, scaled, cut as the view is -> cells and boxes

Points and scribbles become labelled cells of a grid, because a single pixel would be lost
when maps are made coarser; boxes stay boxes.
"""

from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from hunique_training.data.marks import Mark
from hunique_training.data.views import Crop

UNMARKED = 255
"""Label of cells without a mark."""


class CropMarks(NamedTuple):
    """Marks on one crop of S pixels, on a grid of cells of `stride_px` each."""

    cells: NDArray[np.uint8]
    """(S/stride, S/stride): 0 background, 1 to C, 255 unmarked."""
    boxes: NDArray[np.int64]
    """(K, 5): label, rows y0 to y1, columns x0 to x1 in pixels of the crop. A box outside
    the crop is empty: (label, 0, 0, 0, 0)."""


class MarkedPlaces(NamedTuple):
    """Marks on B crops."""

    labels: torch.Tensor
    """(B, h, w) int64: 0 background, 1 to C, 255 unmarked."""
    class_boxes: torch.Tensor
    """(B, K, 5) int64, as `CropMarks.boxes`; rows of zeros where a crop has fewer."""


def marks_on_crop(marks: Sequence[Mark], crop: Crop, stride_px: int) -> CropMarks:
    """What is seen of a picture's marks on a crop of it.

    Where several points share a cell the last one counts; points go before scribbles.
    """
    side = crop.size_px // stride_px
    cells = np.full((side, side), UNMARKED, np.uint8)
    for mark in sorted(marks, key=lambda mark: mark.kind == "point"):
        if mark.kind != "box":
            _draw(cells, mark, crop, stride_px)
    boxes = [_box(mark, crop) for mark in marks if mark.kind == "box"]
    return CropMarks(cells, np.array(boxes, np.int64).reshape(-1, 5))


def stack_marks(each: Sequence[CropMarks]) -> MarkedPlaces:
    """Marks of several crops together."""
    most = max(len(one.boxes) for one in each)
    padded = [np.pad(one.boxes, ((0, most - len(one.boxes)), (0, 0))) for one in each]
    return MarkedPlaces(
        torch.from_numpy(np.stack([one.cells for one in each])).long(),
        torch.from_numpy(np.stack(padded)),
    )


def _draw(cells: NDArray[np.uint8], mark: Mark, crop: Crop, stride_px: int) -> None:
    """Label the cells of a point, or those along a scribble, that show the picture."""
    x, y = crop.of_places(np.array(mark.places)).T
    y0, y1, x0, x1 = crop.box
    if mark.kind == "point":
        if y0 <= y[0] < y1 and x0 <= x[0] < x1:
            cells[int(y[0]) // stride_px, int(x[0]) // stride_px] = mark.label
        return
    drawn = np.zeros_like(cells)
    corners = np.floor(np.stack([x, y], axis=1) / stride_px).astype(np.int32)
    cv2.polylines(drawn, [corners[:, None]], False, 1)
    shown = np.zeros_like(cells)
    shown[y0 // stride_px : -(-y1 // stride_px), x0 // stride_px : -(-x1 // stride_px)] = 1
    cells[(drawn & shown) > 0] = mark.label


def _box(mark: Mark, crop: Crop) -> tuple[int, int, int, int, int]:
    corners = crop.of_places(np.array(mark.places))
    (left, top), (right, bottom) = np.floor(corners.min(0)), np.ceil(corners.max(0))
    y0, y1, x0, x1 = crop.box
    top, bottom = max(y0, int(top)), min(y1, int(bottom))
    left, right = max(x0, int(left)), min(x1, int(right))
    if top >= bottom or left >= right:
        return mark.label, 0, 0, 0, 0
    return mark.label, top, bottom, left, right
