"""The surface of a drawn hand: height, coverage and finger coordinates of every pixel."""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from hunique_models.drawn.skeleton import Capsule

Plane = NDArray[np.float32]


@dataclass(frozen=True, kw_only=True)
class Surface:
    """Planes of (H, W) float32 unless said otherwise."""

    coverage: Plane
    """0 background to 1 hand, soft over one pixel at the rim."""
    height: Plane
    """Pixels above the table, 0 outside."""
    finger: NDArray[np.int8]
    """Which finger is on top; -1 palm, forearm or background."""
    phalanx: NDArray[np.int8]
    """Which phalanx is on top; -1 palm, forearm or background."""
    along: Plane
    """Position along the top capsule, 0 to 1."""
    across: Plane
    """Signed distance from its axis in radii, -1 to 1."""

    def normals(self, smoothing_px: float) -> NDArray[np.float32]:
        """Unit normals (H, W, 3): x right, y down, z towards the viewer."""
        height = cv2.GaussianBlur(self.height, (0, 0), max(0.6, smoothing_px))
        dx = cv2.Sobel(height, cv2.CV_32F, 1, 0, ksize=3, scale=1 / 8)
        dy = cv2.Sobel(height, cv2.CV_32F, 0, 1, ksize=3, scale=1 / 8)
        normal = np.stack([-dx, -dy, np.ones_like(dx)], axis=-1)
        return (normal / np.linalg.norm(normal, axis=-1, keepdims=True)).astype(np.float32)


def build_surface(capsules: Sequence[Capsule], height_px: int, width_px: int) -> Surface:
    """Lay capsules over each other; the highest wins a pixel."""
    shape = (height_px, width_px)
    surface = Surface(
        coverage=np.zeros(shape, np.float32),
        height=np.zeros(shape, np.float32),
        finger=np.full(shape, -1, np.int8),
        phalanx=np.full(shape, -1, np.int8),
        along=np.zeros(shape, np.float32),
        across=np.zeros(shape, np.float32),
    )
    palm = [capsule for capsule in capsules if capsule.finger < 0]
    for capsule in palm:
        _lay(surface, capsule)
    _smooth(surface, max(capsule.radius_end_px for capsule in palm))
    for capsule in capsules:
        if capsule.finger >= 0:
            _lay(surface, capsule)
    return surface


def _smooth(surface: Surface, radius_px: float) -> None:
    """Let flesh run over the bones of the palm."""
    soft = cv2.GaussianBlur(surface.height, (0, 0), max(1.0, 0.22 * radius_px))
    surface.height[:] = np.where(surface.coverage > 0, soft, 0)


def _lay(surface: Surface, capsule: Capsule) -> None:
    window = _window(capsule, *surface.height.shape)
    if window is None:
        return
    rows, columns = window
    y, x = np.mgrid[rows, columns].astype(np.float32)
    axis = capsule.end - capsule.start
    length = float(np.hypot(*axis)) or 1e-6
    direction = axis / length
    px, py = x - capsule.start[0], y - capsule.start[1]
    run = px * direction[0] + py * direction[1]
    along = np.clip(run / length, 0, 1).astype(np.float32)
    radius = capsule.radius_start_px + along * (capsule.radius_end_px - capsule.radius_start_px)
    distance = np.hypot(px - along * axis[0], py - along * axis[1])
    side = px * -direction[1] + py * direction[0]
    height = np.sqrt(np.clip(radius**2 - distance**2, 0, None)).astype(np.float32)
    coverage = np.clip(radius - distance + 0.5, 0, 1).astype(np.float32)
    old = surface.height[rows, columns]
    wins = (height > old) & (coverage > 0)
    surface.height[rows, columns] = np.maximum(old, height)
    surface.coverage[rows, columns] = np.maximum(surface.coverage[rows, columns], coverage)
    surface.finger[rows, columns][wins] = capsule.finger
    surface.phalanx[rows, columns][wins] = capsule.phalanx
    surface.along[rows, columns][wins] = along[wins]
    surface.across[rows, columns][wins] = (side / radius).astype(np.float32)[wins]


def _window(capsule: Capsule, height: int, width: int) -> tuple[slice, slice] | None:
    """Rows and columns that the capsule can touch; None where it is off the picture."""
    reach = max(capsule.radius_start_px, capsule.radius_end_px) + 2
    low = np.floor(np.minimum(capsule.start, capsule.end) - reach).astype(int)
    high = np.ceil(np.maximum(capsule.start, capsule.end) + reach).astype(int)
    x0, y0 = max(0, low[0]), max(0, low[1])
    x1, y1 = min(width, high[0]), min(height, high[1])
    return (slice(y0, y1), slice(x0, x1)) if x0 < x1 and y0 < y1 else None


def noise(rng: np.random.Generator, shape: tuple[int, ...], cell_px: float) -> Plane:
    """Smooth noise (H, W) float32 of unit spread, with features of about `cell_px`."""
    rows, columns = (max(2, round(side / cell_px) + 2) for side in shape)
    coarse = rng.normal(0, 1, (rows, columns)).astype(np.float32)
    return cv2.resize(coarse, (shape[1], shape[0]), interpolation=cv2.INTER_CUBIC).astype(
        np.float32
    )
