"""Skin of a drawn hand: tone, blotches, creases, light."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from hunique_models.drawn.surface import Surface, noise

Colours = NDArray[np.float32]

_TONES = np.array(
    [
        [247, 214, 196],
        [236, 196, 168],
        [214, 166, 130],
        [183, 130, 92],
        [138, 90, 60],
        [82, 54, 40],
    ],
    np.float32,
)
"""Very fair to very dark, sRGB; a tone is drawn between neighbours."""


@dataclass(frozen=True, kw_only=True)
class Light:
    """One lamp and the light of the room."""

    direction: NDArray[np.float32]
    """(3,) unit vector towards the lamp; x right, y down, z to the viewer."""
    ambient: float
    """Share of the light that comes from everywhere."""
    tint: NDArray[np.float32]
    """(3,) factor on red, green, blue."""


def random_light(rng: np.random.Generator) -> Light:
    """A lamp from above, warm or cold."""
    direction = np.array([rng.uniform(-0.6, 0.6), rng.uniform(-0.7, 0.2), 1.0])
    warmth = rng.normal(0, 0.05)
    return Light(
        direction=(direction / np.linalg.norm(direction)).astype(np.float32),
        ambient=float(rng.uniform(0.45, 0.75)),
        tint=(np.array([1 + warmth, 1.0, 1 - warmth]) * rng.uniform(0.82, 1.08)).astype(np.float32),
    )


def random_tone(rng: np.random.Generator) -> NDArray[np.float32]:
    """One skin colour out of the whole range, (3,) sRGB."""
    place = rng.uniform(0, len(_TONES) - 1.001)
    low = int(place)
    mixed = _TONES[low] + (place - low) * (_TONES[low + 1] - _TONES[low])
    return (mixed + rng.normal(0, 4, 3)).astype(np.float32)


def paint_skin(
    surface: Surface, tone: NDArray[np.float32], unit_px: float, rng: np.random.Generator
) -> Colours:
    """Unlit skin colours (H, W, 3) float32, 0 to 255; `unit_px` is the width of the palm."""
    shape = surface.height.shape
    blotches = noise(rng, shape, 0.16 * unit_px) * 0.025 + noise(rng, shape, 0.05 * unit_px) * 0.02
    grain = noise(rng, shape, max(1.5, 0.008 * unit_px)) * 0.018
    colours = tone * (1 + blotches + grain)[..., None]
    tips = (surface.phalanx == 2) * surface.along
    redness = 0.10 * _soft(tips.astype(np.float32), 0.03 * unit_px)
    redness += 0.04 * noise(rng, shape, 0.3 * unit_px)
    colours *= 1 + redness[..., None] * np.array([0.35, -0.9, -0.6], np.float32)
    colours *= (1 - _creases(surface, unit_px, rng))[..., None]
    for _ in range(int(rng.integers(0, 10))):
        _freckle(colours, unit_px, rng)
    return np.clip(colours, 0, 255).astype(np.float32)


def _soft(plane: NDArray[np.float32], sigma_px: float) -> NDArray[np.float32]:
    return cv2.GaussianBlur(plane, (0, 0), max(0.6, sigma_px)).astype(np.float32)


def _creases(surface: Surface, unit_px: float, rng: np.random.Generator) -> NDArray[np.float32]:
    """Darker lines over the joints of the fingers, 0 to about 0.3."""
    dark = np.zeros(surface.height.shape, np.float32)
    on_finger = surface.finger >= 0
    for phalanx in (1, 2):
        part = on_finger & (surface.phalanx == phalanx)
        for _ in range(int(rng.integers(3, 6))):
            centre = rng.uniform(-0.12, 0.14)
            bent = surface.along - centre - 0.03 * np.cos(surface.across * 3 + rng.uniform(0, 6))
            line = np.exp(-((bent / 0.016) ** 2)) * rng.uniform(0.10, 0.26)
            dark = np.maximum(dark, np.where(part, line, 0).astype(np.float32))
    return _soft(dark, 0.004 * unit_px)


def _freckle(colours: Colours, unit_px: float, rng: np.random.Generator) -> None:
    height, width = colours.shape[:2]
    centre = (int(rng.integers(0, width)), int(rng.integers(0, height)))
    radius = max(1, int(unit_px * rng.uniform(0.004, 0.012)))
    spot = np.zeros((height, width), np.float32)
    cv2.circle(spot, centre, radius, rng.uniform(0.15, 0.4), cv2.FILLED, cv2.LINE_AA)
    colours *= (1 - spot)[..., None]


def shade(
    colours: Colours, surface: Surface, light: Light, unit_px: float, gloss: NDArray[np.float32]
) -> Colours:
    """Light the colours.

    Args:
        colours: (H, W, 3) float32 unlit.
        surface: heights.
        light: lamp and room.
        unit_px: width of the palm.
        gloss: (H, W) float32, 0 skin to 1 varnish or metal.
    """
    normals = surface.normals(0.012 * unit_px)
    lambert = np.clip(normals @ light.direction, 0, 1)
    rim = np.clip(normals[..., 2], 0, 1) ** 0.4
    brightness = (light.ambient + (1 - light.ambient) * lambert) * (0.55 + 0.45 * rim)
    half = light.direction + np.array([0, 0, 1], np.float32)
    facing = np.clip(normals @ (half / np.linalg.norm(half)), 0, 1)
    shine = 0.05 * facing**12 + gloss * (0.55 * facing**60 + 0.12 * facing**10)
    lit = colours * brightness[..., None] + 255 * shine[..., None]
    return np.clip(lit * light.tint, 0, 255).astype(np.float32)
