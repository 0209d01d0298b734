"""Binary masks in the forms that the field exchanges: 1-bit PNG, COCO RLE, polygons.

A mask is kept cropped to its box, with the size of the picture it lies in.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco


class Box(NamedTuple):
    """Whole pixels: columns x to x + width - 1, rows y to y + height - 1."""

    x: int
    y: int
    width: int
    height: int


class Outline(NamedTuple):
    """One closed line around a mask or around a hole in it."""

    points: NDArray[np.int32]
    """(N, 2) pixel centres (x, y); the last joins the first."""
    hole: bool
    """Whether it bounds a hole."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Mask:
    """A set of pixels of a picture."""

    crop: NDArray[np.uint8]
    """(box.height, box.width), 1 inside."""
    box: Box
    """Where the crop lies."""
    height_px: int
    """Rows of the picture."""
    width_px: int
    """Columns of the picture."""

    @cached_property
    def area_px(self) -> int:
        """Number of pixels."""
        return int(cv2.countNonZero(self.crop))

    def full(self) -> NDArray[np.uint8]:
        """(height, width) uint8 of the whole picture, 1 inside."""
        whole = np.zeros((self.height_px, self.width_px), np.uint8)
        x, y, width, height = self.box
        whole[y : y + height, x : x + width] = self.crop
        return whole


def encode_png(mask: NDArray[np.uint8]) -> bytes:
    """A (H, W) uint8 mask, non-zero inside, as 1-bit PNG; set bits are inside."""
    ok, data = cv2.imencode(
        ".png", (mask != 0).astype(np.uint8) * 255, [cv2.IMWRITE_PNG_BILEVEL, 1]
    )
    if not ok:
        raise ValueError(f"a mask of shape {mask.shape} could not be encoded as PNG")
    return data.tobytes()


def encode_rle(mask: NDArray[np.uint8]) -> str:
    """The `counts` of COCO run-length encoding of a (H, W) mask, column-major, compressed."""
    counts = coco.encode(np.asfortranarray(mask != 0).astype(np.uint8, order="F"))["counts"]
    return bytes(counts).decode("ascii")


def outlines(mask: Mask) -> list[Outline]:
    """Outer lines and holes of a mask, in picture coordinates."""
    lines, hierarchy = cv2.findContours(mask.crop, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_SIMPLE)
    if hierarchy is None:
        return []
    # OpenCV 5 drops a dimension that OpenCV 4 keeps
    parents = np.reshape(hierarchy, (-1, 4))[:, 3]
    offset = np.array([mask.box.x, mask.box.y])
    return [
        Outline((np.reshape(line, (-1, 2)) + offset).astype(np.int32), bool(parent >= 0))
        for line, parent in zip(lines, parents, strict=True)
    ]


def components(mask: NDArray[np.uint8], min_area_px: int) -> list[Mask]:
    """The connected areas (8 neighbours) of a (H, W) mask, largest first."""
    height, width = mask.shape
    count, labels, stats, _ = cv2.connectedComponentsWithStats(mask, connectivity=8)
    found = []
    for index in range(1, count):
        x, y, columns, rows, area = (int(value) for value in stats[index])
        if area >= max(1, min_area_px):
            crop = (labels[y : y + rows, x : x + columns] == index).astype(np.uint8)
            box = Box(x, y, columns, rows)
            found.append(Mask(crop=crop, box=box, height_px=height, width_px=width))
    return sorted(found, key=lambda one: (-one.area_px, one.box))
