"""What is measured of one mask. Pixels of the upright picture; no scale is known."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from hunique_models.mask import Mask


@dataclass(frozen=True, kw_only=True)
class Measurements:
    """Position, size, shape and colour of one instance."""

    centroid_x_px: float
    """Centre of gravity, x."""
    centroid_y_px: float
    """Centre of gravity, y."""
    major_axis_px: float
    """Longer side of the smallest rotated rectangle."""
    minor_axis_px: float
    """Shorter side of it."""
    orientation_deg: float
    """Direction of the longer side, clockwise from the x axis, 0 to 180."""
    perimeter_px: float
    """Length of the outer outline."""
    solidity: float
    """Share of the convex hull that the mask fills, 0 to 1."""
    mean_srgb: tuple[float, float, float]
    """Mean colour under the mask, 0 to 255."""
    area_share: float
    """Share of the picture, 0 to 1."""


def measure(mask: Mask, pixels: NDArray[np.uint8]) -> Measurements:
    """Measure a mask on its picture (H, W, 3) uint8 sRGB."""
    x, y, width, height = mask.box
    lines, _ = cv2.findContours(mask.crop, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    outline = max((np.reshape(line, (-1, 1, 2)).astype(np.int32) for line in lines), key=len)
    moments = cv2.moments(mask.crop, binaryImage=True)
    major, minor, angle = _rotated_rectangle(outline)
    hull = np.zeros_like(mask.crop)
    cv2.fillConvexPoly(hull, cv2.convexHull(outline), 1)
    colour = cv2.mean(pixels[y : y + height, x : x + width], mask=mask.crop)
    return Measurements(
        centroid_x_px=x + moments["m10"] / moments["m00"],
        centroid_y_px=y + moments["m01"] / moments["m00"],
        major_axis_px=major,
        minor_axis_px=minor,
        orientation_deg=angle,
        perimeter_px=float(cv2.arcLength(outline, closed=True)),
        solidity=mask.area_px / max(1, cv2.countNonZero(hull | mask.crop)),
        mean_srgb=(float(colour[0]), float(colour[1]), float(colour[2])),
        area_share=mask.area_px / (mask.height_px * mask.width_px),
    )


def _rotated_rectangle(outline: NDArray[np.int32]) -> tuple[float, float, float]:
    """Longer side, shorter side (pixels, both ends counted) and direction of the longer side."""
    corners = cv2.boxPoints(cv2.minAreaRect(outline))
    edges = (corners[1] - corners[0], corners[2] - corners[1])
    lengths = [float(np.hypot(*edge)) for edge in edges]
    longer = edges[int(lengths[1] > lengths[0])]
    angle = float(np.degrees(np.arctan2(longer[1], longer[0]))) % 180
    return max(lengths) + 1, min(lengths) + 1, angle
