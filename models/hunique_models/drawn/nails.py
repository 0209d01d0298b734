"""Nails of a drawn hand, bare with or without a lunule, or polished."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from hunique_models.drawn.canvas import Canvas
from hunique_models.drawn.surface import noise

_POLISH = np.array(
    [[176, 18, 40], [214, 60, 120], [20, 20, 26], [235, 225, 220], [60, 40, 120], [30, 110, 120],
     [230, 150, 160], [120, 20, 60], [200, 160, 60], [70, 130, 200], [240, 90, 60], [120, 120, 126]],
    np.float32,
)  # fmt: skip
VISIBLE = 0.5
"""Coverage from which a pixel belongs to a mask."""


class NailMasks(NamedTuple):
    """(H, W) bool each."""

    plate: NDArray[np.bool_]
    """All nails."""
    lunule: NDArray[np.bool_]
    """Half-moons that can be seen."""
    polished: NDArray[np.bool_]
    """Varnished plates."""


class NailStyle(NamedTuple):
    """What the nails of one hand look like."""

    lunule: bool
    """Whether bare nails show a lunule."""
    polish: bool
    """Whether nails are varnished."""
    length: float
    """Free edge, in radii of the finger."""


def paint_nails(canvas: Canvas, style: NailStyle, rng: np.random.Generator) -> NailMasks:
    """Paint a nail on every finger whose tip can be seen."""
    shape = canvas.gloss.shape
    masks = NailMasks(*(np.zeros(shape, np.bool_) for _ in range(3)))
    colour = _POLISH[int(rng.integers(len(_POLISH)))] + rng.normal(0, 8, 3).astype(np.float32)
    glitter = noise(rng, shape, 1.5) if rng.random() < 0.15 else None
    lunule_share = rng.uniform(0.26, 0.46)
    for finger in range(5):
        _paint_nail(canvas, finger, style, masks, (colour, glitter, lunule_share))
    return masks


def _paint_nail(
    canvas: Canvas,
    finger: int,
    style: NailStyle,
    masks: NailMasks,
    look: tuple[NDArray[np.float32], NDArray[np.float32] | None, float],
) -> None:
    colour, glitter, lunule_share = look
    bone = canvas.bone(finger, 2)
    radius = bone.radius_end_px
    along, across = canvas.local(bone)
    half_length = radius * (0.92 + style.length / 2)
    centre = radius * (0.10 + style.length / 2)
    x, y = across / (0.74 * radius), (along - centre) / half_length
    edge_px = 1.2 / (0.74 * radius)
    inside = _soft_inside(np.abs(x) ** 3 + np.abs(y) ** 3, 3 * edge_px)
    on_top = (canvas.surface.finger == finger) | (canvas.surface.coverage < VISIBLE)
    plate = inside * on_top
    rim = _soft_inside(np.abs(x / 1.08) ** 3 + np.abs(y / 1.06) ** 3, 3 * edge_px) * on_top
    canvas.darken(0.16 * np.clip(rim - plate, 0, 1))
    np.maximum(canvas.surface.coverage, plate, out=canvas.surface.coverage)
    masks.plate[plate >= VISIBLE] = True
    if style.polish:
        shimmer = 1 + 0.12 * glitter[..., None] if glitter is not None else np.float32(1)
        canvas.paint(plate * 0.97, np.clip(colour * shimmer, 0, 255).astype(np.float32))
        canvas.gloss[:] = np.maximum(canvas.gloss, plate)
        masks.polished[plate >= VISIBLE] = True
        return
    canvas.gloss[:] = np.maximum(canvas.gloss, 0.30 * plate)
    _paint_bare(canvas, plate, y, radius)
    if style.lunule:
        moon = _soft_inside((x / 0.66) ** 2 + ((y + 1) / (2 * lunule_share)) ** 2, 4 * edge_px)
        moon = moon * plate
        pale = canvas.colours * 0.45 + np.array([242, 228, 226], np.float32) * 0.55
        canvas.paint(moon * 0.80, pale.astype(np.float32))
        masks.lunule[moon >= VISIBLE] = True


def _paint_bare(
    canvas: Canvas, plate: NDArray[np.float32], y: NDArray[np.float32], radius: float
) -> None:
    """Pink nail bed and a whitish free edge."""
    pink = canvas.colours * 0.72 + np.array([232, 150, 150], np.float32) * 0.28
    canvas.paint(plate * 0.9, pink.astype(np.float32))
    free_edge = plate * np.clip((y - 0.80) * radius / 2, 0, 1).astype(np.float32)
    canvas.paint(free_edge * 0.75, np.array([238, 228, 216], np.float32))


def _soft_inside(level: NDArray[np.float32], softness: float) -> NDArray[np.float32]:
    """1 where level is well below 1, 0 well above, a soft step between."""
    return np.clip((1 - level) / softness + 0.5, 0, 1).astype(np.float32)
