"""Decoded training pictures, kept small and in memory.

Files are decoded by `hunique_models.image`, as the server does it. A file that cannot be
read is named once, left out, and counted in the run's summary.
"""

import logging
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from hunique_models.errors import InputError
from hunique_models.image import DecodeLimits, decode
from hunique_training.data.labels import DataError, LabelledPicture

logger = logging.getLogger(__name__)

MOST_BYTES = 16 * 2**30
"""Pixels that are kept in memory. VOC's train_aug has 6 GB of them, COCO 2014 75.6 GB."""


class PictureCache:
    """Upright sRGB pictures with their longer side at most `max_side_px`.

    Args:
        max_side_px: larger ones are scaled down.
        most_bytes: what does not fit beside those that came first is decoded each time anew.
    """

    def __init__(self, max_side_px: int, most_bytes: int = MOST_BYTES) -> None:
        self._max_side_px = max_side_px
        self._room_bytes = most_bytes
        self._pixels: dict[Path, NDArray[np.uint8]] = {}
        self.unreadable: list[Path] = []
        """Files that could not be decoded, in the order met."""

    def pixels(self, path: Path) -> NDArray[np.uint8]:
        """The picture as (H, W, 3) uint8 sRGB, 0 to 255.

        Raises:
            InputError: the file cannot be decoded.
        """
        if path in self._pixels:
            return self._pixels[path]
        return self._keep(path, decode(path.read_bytes(), DecodeLimits()).pixels)

    def matte(self, path: Path) -> NDArray[np.uint8]:
        """A hand matte as (H, W) uint8, 255 hand, scaled as its picture is.

        Raises:
            DataError: the file cannot be read.
        """
        if path in self._pixels:
            return self._pixels[path]
        matte = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
        if matte is None:
            raise DataError(f"{path}: expected a matte as PNG, found nothing readable")
        return self._keep(path, matte.astype(np.uint8, copy=False))

    def _keep(self, path: Path, pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """The pixels scaled down, remembered as long as there is room."""
        small = shrink(pixels, self._max_side_px)
        if small.nbytes <= self._room_bytes:
            self._room_bytes -= small.nbytes
            self._pixels[path] = small
        return small

    def keep_readable(self, pictures: list[LabelledPicture]) -> list[LabelledPicture]:
        """Decode all pictures and return those that could be read."""
        readable = []
        for picture in pictures:
            try:
                self.pixels(picture.path)
            except (InputError, OSError) as error:
                logger.warning("left out %s: %s", picture.path, error)
                self.unreadable.append(picture.path)
            else:
                readable.append(picture)
        return readable


def shrink(pixels: NDArray[np.uint8], max_side_px: int) -> NDArray[np.uint8]:
    """Scale (H, W, 3) or (H, W) uint8 down so that its longer side is at most `max_side_px`."""
    height, width = pixels.shape[:2]
    scale = max_side_px / max(height, width)
    if scale >= 1:
        return pixels
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return cv2.resize(pixels, size, interpolation=cv2.INTER_AREA).astype(np.uint8, copy=False)
