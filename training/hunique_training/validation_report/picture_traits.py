"""What a picture is like, apart from what it shows: size, compression, sharpness."""

import io
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, JpegImagePlugin

SHARPNESS_SIDE_PX = 512
"""Pictures are reduced to this longest side before their sharpness is measured."""
_LUMINANCE = np.array([
    16, 11, 10, 16, 24, 40, 51, 61, 12, 12, 14, 19, 26, 58, 60, 55,
    14, 13, 16, 24, 40, 57, 69, 56, 14, 17, 22, 29, 51, 87, 80, 62,
    18, 22, 37, 56, 68, 109, 103, 77, 24, 35, 55, 64, 81, 104, 113, 92,
    49, 64, 78, 87, 103, 121, 120, 101, 72, 92, 95, 98, 112, 100, 103, 99,
])  # fmt: skip
"""The luminance table that ITU-T T.81 gives as an example (K.1), which encoders scale."""


def _sum_at(quality: int) -> int:
    """Sum of the luminance table as the Independent JPEG Group scales it."""
    percent = 5000 / quality if quality < 50 else 200 - 2 * quality
    return int(np.clip((_LUMINANCE * percent + 50) // 100, 1, 255).sum())


_SUMS = np.array([_sum_at(quality) for quality in range(1, 101)])


@dataclass(frozen=True, kw_only=True)
class PictureTraits:
    """Size, compression and sharpness of one picture."""

    height_px: int
    """Rows, upright."""
    width_px: int
    """Columns, upright."""
    jpeg_quality: int | None
    """1 to 100 as the Independent JPEG Group counts; None where the file is no JPEG."""
    sharpness: float
    """Variance of the Laplacian of the grey picture at `SHARPNESS_SIDE_PX`; low is blurred,
    or plain."""

    @property
    def megapixels(self) -> float:
        """Millions of pixels."""
        return self.height_px * self.width_px / 1e6


def traits_of(data: bytes, pixels: NDArray[np.uint8]) -> PictureTraits:
    """Measure a picture.

    Args:
        data: the encoded file.
        pixels: (H, W, 3) uint8 sRGB, upright.
    """
    return PictureTraits(
        height_px=pixels.shape[0],
        width_px=pixels.shape[1],
        jpeg_quality=jpeg_quality(data),
        sharpness=round(sharpness(pixels), 2),
    )


def jpeg_quality(data: bytes) -> int | None:
    """The quality whose luminance table comes nearest to the file's; None if it is no JPEG.

    Cameras and editors with tables of their own get the quality of like coarseness. What was
    lost to an earlier compression does not show.
    """
    try:
        with Image.open(io.BytesIO(data), formats=("JPEG",)) as image:
            tables = image.quantization if isinstance(image, JpegImagePlugin.JpegImageFile) else {}
    except (OSError, SyntaxError, ValueError):
        return None
    if 0 not in tables:
        return None
    return int(np.abs(_SUMS - sum(tables[0])).argmin()) + 1


def sharpness(pixels: NDArray[np.uint8]) -> float:
    """Variance of the Laplacian of (H, W, 3) uint8 pixels, reduced to at most 512 px a side."""
    grey = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)
    factor = SHARPNESS_SIDE_PX / max(grey.shape)
    if factor < 1:
        grey = cv2.resize(grey, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
    return float(cv2.Laplacian(grey, cv2.CV_64F).var())
