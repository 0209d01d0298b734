"""Tattoos of a drawn hand: designs drawn in ink and laid into the skin.

The mask is the outer contour of the design: enclosed skin counts as tattoo.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

from hunique_models.drawn.canvas import Canvas
from hunique_models.drawn.nails import VISIBLE

_SIZE_PX = 512
_LETTERS = ("LOVE", "MOM", "1987", "FAITH", "NO 7", "HOPE", "XIV", "ANNA", "&", "LUCK")
Plane = NDArray[np.float32]


def paint_tattoos(canvas: Canvas, rng: np.random.Generator) -> NDArray[np.bool_]:
    """Lay one or two designs into the back of the hand or the forearm; (H, W) bool."""
    mask = np.zeros(canvas.gloss.shape, np.bool_)
    for _ in range(int(rng.choice([1, 1, 2]))):
        mask |= _paint_one(canvas, rng)
    if not mask.any():  # all of it fell beside the hand: put one where there is skin
        mask |= _paint_one(canvas, rng, anywhere=True)
    return mask


def _paint_one(
    canvas: Canvas, rng: np.random.Generator, *, anywhere: bool = False
) -> NDArray[np.bool_]:
    ink, contour = _design(rng)
    matrix = _placement(canvas, rng, anywhere)
    height, width = canvas.gloss.shape
    warped = cv2.warpAffine(ink, matrix, (width, height), flags=cv2.INTER_AREA)
    outline = cv2.warpAffine(contour, matrix, (width, height), flags=cv2.INTER_AREA)
    skin = (canvas.surface.coverage >= VISIBLE).astype(np.float32)
    colour = np.array([34, 40, 52], np.float32) + rng.normal(0, 8, 3).astype(np.float32)
    fade = rng.uniform(0.62, 0.92)
    if rng.random() < 0.35:
        tint = rng.uniform(30, 220, 3).astype(np.float32)
        canvas.paint((outline * skin * 0.30).astype(np.float32), tint)
    blurred = cv2.GaussianBlur(warped, (0, 0), max(0.5, 0.002 * canvas.unit_px))
    canvas.paint((blurred * skin * fade).astype(np.float32), colour)
    return (outline * skin) >= VISIBLE


def _placement(canvas: Canvas, rng: np.random.Generator, anywhere: bool) -> NDArray[np.float64]:
    """Affine matrix from the design to the picture."""
    bones = [c for c in canvas.capsules if c.finger == -1]
    bone = bones[int(rng.integers(len(bones)))]
    share = rng.uniform(0.0, 0.35) if bone is bones[-1] else rng.uniform(0.2, 0.8)
    centre = bone.start + share * (bone.end - bone.start)
    if anywhere:
        rows, columns = np.nonzero(canvas.surface.coverage >= VISIBLE)
        chosen = int(rng.integers(len(rows)))
        centre = np.array([columns[chosen], rows[chosen]], np.float64)
    size = canvas.unit_px * rng.uniform(0.30, 0.75)
    matrix = cv2.getRotationMatrix2D(
        (_SIZE_PX / 2, _SIZE_PX / 2), float(rng.uniform(0, 360)), size / _SIZE_PX
    )
    placed = np.asarray(matrix, np.float64)
    placed[:, 2] += centre - _SIZE_PX / 2
    return placed


def _design(rng: np.random.Generator) -> tuple[Plane, Plane]:
    """Ink and filled outer contour, both (S, S) float32, 0 to 1."""
    canvas = np.zeros((_SIZE_PX, _SIZE_PX), np.uint8)
    draw = (_star, _flower, _tribal, _lettering, _spiral, _skull)[int(rng.integers(6))]
    draw(canvas, rng)
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (41, 41))
    closed = cv2.morphologyEx(canvas, cv2.MORPH_CLOSE, kernel)
    lines, _ = cv2.findContours(closed, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    contour = cv2.drawContours(np.zeros_like(canvas), lines, -1, 255, cv2.FILLED)
    return (canvas / 255).astype(np.float32), (contour / 255).astype(np.float32)


def _lines(canvas: NDArray[np.uint8], points: NDArray[np.float64], thickness: int) -> None:
    path = np.rint(points).astype(np.int32).reshape(-1, 1, 2)
    cv2.polylines(canvas, [path], False, 255, thickness, cv2.LINE_AA)


def _polar(radius: NDArray[np.float64], angle: NDArray[np.float64]) -> NDArray[np.float64]:
    middle = _SIZE_PX / 2
    return np.stack([middle + radius * np.cos(angle), middle + radius * np.sin(angle)], axis=-1)


def _star(canvas: NDArray[np.uint8], rng: np.random.Generator) -> None:
    points = int(rng.integers(5, 9))
    angle = np.linspace(0, 2 * np.pi, 2 * points + 1)
    radius = np.where(np.arange(2 * points + 1) % 2, 90.0, 220.0)
    star = _polar(radius, angle)
    if rng.random() < 0.5:
        cv2.fillPoly(canvas, [np.rint(star).astype(np.int32)], int(rng.integers(90, 200)))
    _lines(canvas, star, int(rng.integers(8, 18)))
    for corner in star[::2]:
        _lines(canvas, np.stack([corner, np.full(2, _SIZE_PX / 2)]), 5)


def _flower(canvas: NDArray[np.uint8], rng: np.random.Generator) -> None:
    petals = int(rng.integers(5, 10))
    angle = np.linspace(0, 2 * np.pi, 400)
    for scale in (1.0, 0.72, 0.45):
        turn = rng.uniform(0, 2)
        radius = 215 * scale * (0.62 + 0.38 * np.abs(np.cos(petals * (angle + turn) / 2)))
        ring = _polar(radius, angle)
        cv2.fillPoly(canvas, [np.rint(ring).astype(np.int32)], int(rng.integers(30, 140)))
        _lines(canvas, ring, int(rng.integers(6, 12)))


def _tribal(canvas: NDArray[np.uint8], rng: np.random.Generator) -> None:
    for _ in range(int(rng.integers(4, 8))):
        t = np.linspace(0, 1, 60)[:, None]
        a, b, c = rng.uniform(60, _SIZE_PX - 60, (3, 2))
        curve = (1 - t) ** 2 * a + 2 * t * (1 - t) * b + t**2 * c
        for index in range(len(curve) - 1):
            thickness = int(4 + 30 * np.sin(np.pi * index / len(curve)))
            _lines(canvas, curve[index : index + 2], thickness)


def _lettering(canvas: NDArray[np.uint8], rng: np.random.Generator) -> None:
    text = _LETTERS[int(rng.integers(len(_LETTERS)))]
    font = (cv2.FONT_HERSHEY_SCRIPT_COMPLEX, cv2.FONT_HERSHEY_TRIPLEX)[int(rng.integers(2))]
    (width, height), _ = cv2.getTextSize(text, font, 1.0, 2)
    scale = min(420 / width, 260 / height)
    origin = (int((_SIZE_PX - width * scale) / 2), int((_SIZE_PX + height * scale) / 2))
    cv2.putText(canvas, text, origin, font, scale, 255, int(rng.integers(8, 18)), cv2.LINE_AA)


def _spiral(canvas: NDArray[np.uint8], rng: np.random.Generator) -> None:
    angle = np.linspace(0, rng.uniform(4, 8) * np.pi, 400)
    _lines(canvas, _polar(25 + 190 * angle / angle[-1], angle), int(rng.integers(12, 26)))


def _skull(canvas: NDArray[np.uint8], rng: np.random.Generator) -> None:
    shadow = int(rng.integers(60, 150))
    cv2.ellipse(canvas, (256, 210), (150, 160), 0, 0, 360, shadow, cv2.FILLED, cv2.LINE_AA)
    cv2.ellipse(canvas, (256, 210), (150, 160), 0, 0, 360, 255, 10, cv2.LINE_AA)
    cv2.rectangle(canvas, (186, 340), (326, 430), shadow, cv2.FILLED)
    cv2.rectangle(canvas, (186, 340), (326, 430), 255, 9)
    for x in (196, 316):
        cv2.circle(canvas, (x, 220), int(rng.integers(34, 48)), 255, cv2.FILLED, cv2.LINE_AA)
    for x in range(200, 326, 28):
        cv2.line(canvas, (x, 345), (x, 425), 255, 6, cv2.LINE_AA)
