"""Finger rings of a drawn hand, and bracelets, which are none."""

import numpy as np
from numpy.typing import NDArray

from hunique_models.drawn.canvas import Canvas
from hunique_models.drawn.nails import VISIBLE
from hunique_models.drawn.skeleton import Capsule

_METALS = np.array(
    [[212, 170, 70], [196, 198, 204], [226, 170, 140], [120, 122, 128], [238, 214, 130]], np.float32
)
_STONES = np.array(
    [[230, 240, 250], [150, 10, 30], [20, 60, 150], [20, 110, 70], [30, 30, 34], [120, 60, 150]],
    np.float32,
)


def paint_rings(canvas: Canvas, rng: np.random.Generator) -> NDArray[np.bool_]:
    """Put one to three rings on fingers; returns what of them can be seen, (H, W) bool."""
    mask = np.zeros(canvas.gloss.shape, np.bool_)
    count = int(rng.choice([1, 1, 1, 2, 3]))
    for finger in rng.choice([1, 2, 3, 3, 3, 4], size=count):
        bone = canvas.bone(int(finger), 0)
        place = rng.uniform(0.35, 0.72)
        width = rng.uniform(0.30, 0.80) * bone.radius_start_px
        mask |= _band(canvas, bone, place, width, rng)
        if rng.random() < 0.55:
            mask |= _stone(canvas, bone, place, rng)
    return mask


def paint_bracelet(canvas: Canvas, rng: np.random.Generator) -> None:
    """A band or watch strap around the forearm: looks like a feature and is none."""
    forearm = next(c for c in reversed(canvas.capsules) if c.finger == -1)
    _band(canvas, forearm, rng.uniform(0.03, 0.14), rng.uniform(0.08, 0.3) * canvas.unit_px, rng)


def _band(
    canvas: Canvas, bone: Capsule, place: float, width_px: float, rng: np.random.Generator
) -> NDArray[np.bool_]:
    along, across = canvas.local(bone)
    length = float(np.hypot(*(bone.end - bone.start)))
    v = np.clip(across / bone.radius_start_px, -1, 1)
    # the band runs round the finger: seen from above its middle bows towards the viewer
    bow = rng.uniform(-0.35, 0.35) * bone.radius_start_px * np.sqrt(1 - v**2)
    offset = along + (1 - place) * length - bow
    on_bone = _on_bone(canvas, bone)
    alpha = np.clip((width_px / 2 - np.abs(offset)) + 0.5, 0, 1) * on_bone
    shadow = np.clip(1.6 - np.abs(offset) / width_px, 0, 1) * on_bone * 0.35
    canvas.darken((shadow * (1 - alpha)).astype(np.float32))
    metal = _METALS[int(rng.integers(len(_METALS)))]
    phase = rng.uniform(0, 6)
    gleam = 0.62 + 0.30 * np.cos(5 * v + phase) + 0.22 * np.cos(13 * v + 2 * phase)
    gleam += 0.12 * np.cos(offset / width_px * 9)
    canvas.paint(alpha.astype(np.float32), np.clip(metal * gleam[..., None], 0, 255))
    canvas.gloss[:] = np.maximum(canvas.gloss, alpha)
    return alpha >= VISIBLE


def _stone(
    canvas: Canvas, bone: Capsule, place: float, rng: np.random.Generator
) -> NDArray[np.bool_]:
    along, across = canvas.local(bone)
    length = float(np.hypot(*(bone.end - bone.start)))
    radius = rng.uniform(0.35, 0.85) * bone.radius_start_px
    stretch = rng.uniform(0.7, 1.4)
    y, x = (along + (1 - place) * length) / (radius * stretch), across / radius
    distance = np.hypot(x, y)
    alpha = np.clip((1 - distance) * radius + 0.5, 0, 1) * _on_bone(canvas, bone)
    facets = 0.75 + 0.35 * np.cos(6 * np.arctan2(y, x) + rng.uniform(0, 6)) * distance
    colour = _STONES[int(rng.integers(len(_STONES)))] * facets[..., None]
    setting = (distance > 0.82)[..., None]
    metal = _METALS[int(rng.integers(len(_METALS)))]
    canvas.paint(alpha.astype(np.float32), np.clip(np.where(setting, metal, colour), 0, 255))
    canvas.gloss[:] = np.maximum(canvas.gloss, alpha)
    return alpha >= VISIBLE


def _on_bone(canvas: Canvas, bone: Capsule) -> NDArray[np.float32]:
    surface = canvas.surface
    return ((surface.finger == bone.finger) & (surface.coverage >= VISIBLE)).astype(np.float32)
