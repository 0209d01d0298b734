"""Curves over steps as a PNG, with their names where they end."""

from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from hunique_training.line_chart import Points, nice_ticks

SIZE_PX = (440, 760)
"""Height, width."""
LEFT_PX, RIGHT_PX, TOP_PX, BOTTOM_PX = 70, 130, 44, 54
COLOURS = ((46, 125, 50), (31, 78, 121), (192, 57, 43), (184, 134, 11))
"""sRGB, in the order of the curves; beyond the fourth they repeat."""

Pixels = NDArray[np.uint8]


def write_curves(path: Path, curves: Mapping[str, Points], title: str) -> bool:
    """Draw curves; says whether there was anything to draw.

    Args:
        path: of the PNG.
        curves: name to (step, value).
        title: what the values are.
    """
    points = np.array([point for curve in curves.values() for point in curve], np.float64)
    points = points.reshape(-1, 2)
    points = points[np.isfinite(points).all(axis=1)]
    if not len(points):
        return False
    chart = np.full((*SIZE_PX, 3), 255, np.uint8)
    frame = _Frame(points)
    frame.draw(chart)
    _write(chart, title, (LEFT_PX, 26), (0, 0, 0), 0.55)
    ends = _spread([frame.place(*curve[-1])[1] for curve in curves.values() if curve])
    for number, (name, curve) in enumerate((n, c) for n, c in curves.items() if c):
        colour = COLOURS[number % len(COLOURS)]
        places = [frame.place(*point) for point in curve]
        for start, end in pairwise(places):
            cv2.line(chart, start, end, colour, 2, cv2.LINE_AA)
        for place in places:
            cv2.circle(chart, place, 3, colour, -1, cv2.LINE_AA)
        _write(chart, name, (SIZE_PX[1] - RIGHT_PX + 10, ends[number] + 5), colour, 0.5)
    path.write_bytes(cv2.imencode(".png", cv2.cvtColor(chart, cv2.COLOR_RGB2BGR))[1].tobytes())
    return True


class _Frame:
    """Axes around all points, and where a point lies between them."""

    def __init__(self, points: NDArray[np.float64]) -> None:
        (first, low), (last, high) = points.min(axis=0), points.max(axis=0)
        self._steps = (float(first), float(max(last, first + 1)))
        self._ticks = nice_ticks(float(low), float(high))

    def place(self, step: float, value: float) -> tuple[int, int]:
        """(x, y) in pixels of the chart."""
        along = (step - self._steps[0]) / (self._steps[1] - self._steps[0])
        up = (value - self._ticks[0]) / (self._ticks[-1] - self._ticks[0])
        height, width = SIZE_PX
        x = LEFT_PX + along * (width - LEFT_PX - RIGHT_PX)
        return round(x), round(height - BOTTOM_PX - up * (height - TOP_PX - BOTTOM_PX))

    def draw(self, chart: Pixels) -> None:
        """Grid lines and figures of both axes."""
        right = SIZE_PX[1] - RIGHT_PX
        for tick in self._ticks:
            y = self.place(self._steps[0], tick)[1]
            cv2.line(chart, (LEFT_PX, y), (right, y), (220, 220, 220))
            _write(chart, f"{tick:g}", (LEFT_PX - 48, y + 4), (60, 60, 60), 0.42)
        for step in nice_ticks(*self._steps):
            if self._steps[0] <= step <= self._steps[1]:
                x = self.place(step, self._ticks[0])[0]
                _write(chart, f"{step:g}", (x - 10, SIZE_PX[0] - 30), (60, 60, 60), 0.42)
        _write(chart, "steps", (right - 40, SIZE_PX[0] - 10), (60, 60, 60), 0.42)


def _spread(heights: list[int]) -> list[int]:
    """Heights of names, in their order, none over another."""
    placed = list(heights)
    order = sorted(range(len(heights)), key=lambda number: heights[number])
    for above, below in pairwise(order):
        placed[below] = max(placed[below], placed[above] + 20)
    return placed


def _write(
    chart: Pixels, text: str, place: tuple[int, int], colour: tuple[int, int, int], size: float
) -> None:
    cv2.putText(chart, text, place, cv2.FONT_HERSHEY_SIMPLEX, size, colour, 1, cv2.LINE_AA)
