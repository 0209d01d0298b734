"""What lies behind a drawn hand: studio paper, cloth, wood, or clutter out of focus."""

import cv2
import numpy as np
from numpy.typing import NDArray

from hunique_models.drawn.surface import noise

Colours = NDArray[np.float32]


def paint_background(
    coverage: NDArray[np.float32], unit_px: float, rng: np.random.Generator
) -> Colours:
    """A background (H, W, 3) float32, 0 to 255, with the hand's shadow on it."""
    shape = (coverage.shape[0], coverage.shape[1])
    kind = int(rng.choice([0, 0, 1, 2, 3]))
    colours = (_paper, _cloth, _wood, _clutter)[kind](shape, unit_px, rng)
    offset = rng.normal(0, 0.05, 2) * unit_px
    moved = cv2.warpAffine(
        coverage, np.array([[1, 0, offset[0]], [0, 1, offset[1]]]), (shape[1], shape[0])
    )
    shadow = cv2.GaussianBlur(moved, (0, 0), max(1.0, 0.06 * unit_px))
    shaded = colours * (1 - rng.uniform(0.1, 0.45) * shadow[..., None])
    return np.clip(shaded, 0, 255).astype(np.float32)


def _paper(shape: tuple[int, int], unit_px: float, rng: np.random.Generator) -> Colours:
    tone = rng.uniform(170, 252) + rng.normal(0, 6, 3)
    slope = noise(rng, shape, 2.0 * max(shape)) * rng.uniform(0, 12)
    return (tone + slope[..., None] + noise(rng, shape, unit_px)[..., None] * 2).astype(np.float32)


def _cloth(shape: tuple[int, int], unit_px: float, rng: np.random.Generator) -> Colours:
    y, x = np.mgrid[0 : shape[0], 0 : shape[1]].astype(np.float32)
    step = max(2.5, 0.02 * unit_px)
    weave = np.sin(x * 2 * np.pi / step) + np.sin(y * 2 * np.pi / step)
    folds = noise(rng, shape, 0.8 * unit_px) * 14
    return (rng.uniform(20, 235, 3) + (weave * 5 + folds)[..., None]).astype(np.float32)


def _wood(shape: tuple[int, int], unit_px: float, rng: np.random.Generator) -> Colours:
    grain = noise(rng, (shape[0], 8), max(3.0, 0.03 * unit_px))
    long = cv2.resize(grain, (shape[1], shape[0]), interpolation=cv2.INTER_CUBIC)
    tone = np.array([150, 105, 66]) * rng.uniform(0.5, 1.3)
    return (tone * (1 + 0.10 * long[..., None])).astype(np.float32)


def _clutter(shape: tuple[int, int], unit_px: float, rng: np.random.Generator) -> Colours:
    picture = np.empty((*shape, 3), np.float32)
    picture[:] = rng.uniform(30, 220, 3)
    for _ in range(int(rng.integers(6, 24))):
        centre = (int(rng.integers(0, shape[1])), int(rng.integers(0, shape[0])))
        axes = tuple(int(v) for v in rng.uniform(0.1, 0.7, 2) * unit_px + 2)
        colour = tuple(float(v) for v in rng.uniform(10, 245, 3))
        if rng.random() < 0.5:
            cv2.ellipse(picture, centre, axes, float(rng.uniform(0, 180)), 0, 360, colour, -1)
        else:
            corner = (centre[0] + axes[0], centre[1] + axes[1])
            cv2.rectangle(picture, centre, corner, colour, -1)
    blur = rng.uniform(0.02, 0.12) * unit_px
    return cv2.GaussianBlur(picture, (0, 0), max(1.0, blur)).astype(np.float32)
