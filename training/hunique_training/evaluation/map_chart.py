"""Precision, recall and IoU of pseudo-labels by threshold, drawn: a panel a map and class."""

import math
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from hunique_training.evaluation.map_scores import CURVE_PERCENT, Curve

PANEL_PX = (240, 300)
"""Height, width of a panel."""
_LEFT, _TOP, _WIDTH, _HEIGHT = 40, 34, 244, 166
_LINES = {"precision": (40, 120, 220), "recall": (230, 140, 30), "iou": (20, 20, 20)}
"""Figures and their colours, sRGB."""
_GREY = (205, 205, 205)

Pixels = NDArray[np.uint8]


def write_chart(
    path: Path, curves: dict[str, tuple[Curve, ...]], class_names: Sequence[str]
) -> None:
    """Write a PNG: a row for each kind of map, a column for each class."""
    rows = [
        np.hstack([_panel(f"{kind}: {n}", c) for n, c in zip(class_names, each, strict=True)])
        for kind, each in curves.items()
    ]
    if rows:
        chart = cv2.cvtColor(np.vstack(rows), cv2.COLOR_RGB2BGR)
        path.write_bytes(cv2.imencode(".png", chart)[1].tobytes())


def _panel(title: str, curve: Curve) -> Pixels:
    panel = np.full((*PANEL_PX, 3), 255, np.uint8)
    _draw_axes(panel)
    _write(panel, title, (_LEFT, 14), (0, 0, 0))
    for index, (name, colour) in enumerate(_LINES.items()):
        _write(panel, name, (_LEFT + 80 * index, 29), colour)
        _draw_line(panel, getattr(curve, name), colour)
    return panel


def _draw_axes(panel: Pixels) -> None:
    for tick in range(0, 11, 2):
        share = tick / 10
        cv2.line(panel, _at(0, share), _at(1, share), _GREY)
        cv2.line(panel, _at(share, 0), _at(share, 1), _GREY)
        x, y = _at(share, 0)
        _write(panel, f"{share:.1f}", (x - 9, y + 14), (0, 0, 0))
        _write(panel, f"{share:.1f}", (_LEFT - 26, _at(0, share)[1] + 4), (0, 0, 0))
    _write(panel, "threshold", (_LEFT + 88, PANEL_PX[0] - 10), (0, 0, 0))


def _draw_line(panel: Pixels, values: Sequence[float], colour: tuple[int, int, int]) -> None:
    """Join neighbours that are both defined."""
    places = [
        None if math.isnan(value) else _at(percent / 100, value)
        for percent, value in zip(CURVE_PERCENT, values, strict=True)
    ]
    for start, end in pairwise(places):
        if start is not None and end is not None:
            cv2.line(panel, start, end, colour, 2, cv2.LINE_AA)


def _at(x_share: float, y_share: float) -> tuple[int, int]:
    """Panel pixel (x, y) of a place in the axes, both 0 to 1, upward."""
    return _LEFT + round(x_share * _WIDTH), _TOP + round((1 - y_share) * _HEIGHT)


def _write(panel: Pixels, text: str, place: tuple[int, int], colour: tuple[int, int, int]) -> None:
    cv2.putText(panel, text, place, cv2.FONT_HERSHEY_SIMPLEX, 0.38, colour, 1, cv2.LINE_AA)
