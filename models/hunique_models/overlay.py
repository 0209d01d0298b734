"""Findings drawn on their picture, for people to look at. Not evidence: the masks are."""

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from hunique_models.findings import ClassFinding, Instance
from hunique_models.manifest import Manifest
from hunique_models.mask import outlines

FILL_SHARE = 0.35
"""How much of the class colour covers the pixels inside a mask."""
LEGIBLE_PX = 1024
"""Letters that are made for a picture of this longer side can be read."""
REACH = 12
"""Lines and letters are as for a picture of the picture's size, or of so many times that of the
feature: on a large photograph they would cover a ring and its neighbours."""


def draw_overlay(
    pixels: NDArray[np.uint8], findings: Sequence[ClassFinding], manifest: Manifest
) -> NDArray[np.uint8]:
    """Draw every instance on (H, W, 3) uint8 sRGB: tint, outline, class and score."""
    canvas = pixels.copy()
    colours = {spec.name: _srgb(spec.colour) for spec in manifest.classes}
    for finding in findings:
        for instance in finding.instances:
            _tint(canvas, instance, colours[finding.name])
    for finding in findings:
        for instance in finding.instances:
            _label(canvas, finding.name, instance, colours[finding.name])
    return canvas


def encode_jpeg(pixels: NDArray[np.uint8], quality: int = 88) -> bytes:
    """(H, W, 3) uint8 sRGB as JPEG."""
    bgr = cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR)
    ok, data = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, quality])
    if not ok:
        raise ValueError(f"an overlay of shape {pixels.shape} could not be encoded as JPEG")
    return data.tobytes()


def _srgb(colour: str) -> tuple[int, int, int]:
    return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)


def _size_px(canvas: NDArray[np.uint8], instance: Instance) -> int:
    """Longer side of the picture that lines and letters are made for."""
    box = instance.mask.box
    return min(max(canvas.shape[:2]), max(LEGIBLE_PX, REACH * max(box.width, box.height)))


def _line_px(size_px: int) -> int:
    return max(1, round(size_px / 600))


def _tint(canvas: NDArray[np.uint8], instance: Instance, colour: tuple[int, int, int]) -> None:
    x, y, width, height = instance.mask.box
    part = canvas[y : y + height, x : x + width]
    # by table: numbers with a fraction take eight times the picture's memory
    levels = np.arange(256).reshape(1, 256, 1) * (1 - FILL_SHARE) + np.array(colour) * FILL_SHARE
    mixed = cv2.LUT(part, levels.astype(np.uint8))
    np.copyto(part, mixed, where=instance.mask.crop[..., np.newaxis].astype(bool))
    lines = [outline.points.reshape(-1, 1, 2) for outline in outlines(instance.mask)]
    cv2.polylines(
        canvas, lines, True, colour, _line_px(_size_px(canvas, instance)) + 1, cv2.LINE_AA
    )


def _label(
    canvas: NDArray[np.uint8], name: str, instance: Instance, colour: tuple[int, int, int]
) -> None:
    size_px = _size_px(canvas, instance)
    scale, line_px = max(0.35, size_px / 1600), _line_px(size_px)
    text = f"{name.replace('_', ' ')} {instance.index} {instance.score:.2f}"
    (width, height), _ = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, scale, line_px)
    x = int(min(instance.mask.box.x, max(0, canvas.shape[1] - width)))
    y = int(max(height + 2, instance.mask.box.y - 4))
    cv2.rectangle(canvas, (x, y - height - 2), (x + width, y + 3), (0, 0, 0), cv2.FILLED)
    cv2.putText(canvas, text, (x, y), cv2.FONT_HERSHEY_SIMPLEX, scale, colour, line_px, cv2.LINE_AA)
