"""Line charts as SVG, to stand in a page: no script, no font and no file of anyone else."""

import math
from collections.abc import Mapping, Sequence
from html import escape

WIDTH_PX, HEIGHT_PX = 720, 260
LEFT_PX, RIGHT_PX, TOP_PX, BOTTOM_PX = 56, 190, 12, 30
"""Margins: figures to the left and below, names to the right."""
COLOURS = ("#1f4e79", "#c0392b", "#b8860b", "#2e7d32", "#6a3d9a", "#d35400", "#4d4d4d")
"""Lines beyond the seventh repeat them."""

Points = Sequence[tuple[float, float]]


def line_chart(
    curves: Mapping[str, Points],
    title: str,
    axis: str = "steps",
    colours: Sequence[str] = COLOURS,
) -> str:
    """Draw curves over training steps, or another quantity.

    Args:
        curves: name to (step, value); NaN and infinity leave a gap.
        title: what the chart shows, for those who hear it read.
        axis: what is counted from left to right.
        colours: of the curves in their order.

    Returns:
        An `<svg>` element; a sentence where there is nothing to draw.
    """
    points = [point for curve in curves.values() for point in curve if math.isfinite(point[1])]
    if not points:
        return f"<p>{escape(title)}: nothing yet.</p>"
    frame = _Frame(points)
    lines = [
        _line(name, curve, (place, colours[place % len(colours)]), frame)
        for place, (name, curve) in enumerate(curves.items())
    ]
    return (
        f'<svg viewBox="0 0 {WIDTH_PX} {HEIGHT_PX}" role="img" aria-label="{escape(title)}">'
        f"<title>{escape(title)}</title>{frame.drawn(axis)}{''.join(lines)}</svg>"
    )


class _Frame:
    """Axes around all points, and where a point lies between them."""

    def __init__(self, points: Points) -> None:
        steps, values = zip(*points, strict=True)
        first, last = min(steps), max(steps)
        self._steps = (first, last if last > first else first + 1)
        self._ticks = nice_ticks(min(*values, 0.0), max(values))
        self._values = (self._ticks[0], self._ticks[-1])

    def place(self, step: float, value: float) -> tuple[float, float]:
        """(x, y) in pixels of the drawing."""
        along = (step - self._steps[0]) / (self._steps[1] - self._steps[0])
        up = (value - self._values[0]) / (self._values[1] - self._values[0])
        width, height = WIDTH_PX - LEFT_PX - RIGHT_PX, HEIGHT_PX - TOP_PX - BOTTOM_PX
        return LEFT_PX + along * width, TOP_PX + (1 - up) * height

    def drawn(self, axis: str) -> str:
        """Grid lines and figures of both axes."""
        right = WIDTH_PX - RIGHT_PX
        parts = []
        for tick in self._ticks:
            y = self.place(self._steps[0], tick)[1]
            parts.append(
                f'<path class="grid" d="M{LEFT_PX} {y:.1f}H{right}"/>'
                f'<text x="{LEFT_PX - 6}" y="{y + 4:.1f}" text-anchor="end">{tick:g}</text>'
            )
        for step in self._shown_steps():
            x = self.place(step, self._values[0])[0]
            parts.append(
                f'<text x="{x:.1f}" y="{HEIGHT_PX - 10}" text-anchor="middle">{step:g}</text>'
            )
        parts.append(f'<text x="{right + 12}" y="{HEIGHT_PX - 10}">{escape(axis)}</text>')
        return "".join(parts)

    def _shown_steps(self) -> list[float]:
        """Round ones between the first and the last."""
        first, last = self._steps
        return [step for step in nice_ticks(first, last) if first <= step <= last]


def _line(name: str, curve: Points, look: tuple[int, str], frame: _Frame) -> str:
    """A curve and its name; `look` is its place among the names and its colour."""
    place, colour = look
    path, pen_down = "", False
    for step, value in curve:
        if math.isfinite(value):
            x, y = frame.place(step, value)
            path += f"{'L' if pen_down else 'M'}{x:.1f} {y:.1f}"
        pen_down = math.isfinite(value)
    x, y = WIDTH_PX - RIGHT_PX + 12, TOP_PX + 10 + place * 18
    return (
        f'<path class="line" stroke="{colour}" d="{path}"/>'
        f'<path class="line" stroke="{colour}" d="M{x} {y}h14"/>'
        f'<text x="{x + 20}" y="{y + 4}">{escape(name.replace("_", " "))}</text>'
    )


def nice_ticks(low: float, high: float) -> list[float]:
    """Round figures, evenly spaced, that reach from at most `low` to at least `high`."""
    span = max(high - low, 1e-9)
    power = 10.0 ** math.floor(math.log10(span / 4))
    step = next(power * factor for factor in (1, 2, 5, 10) if span / (power * factor) <= 5)
    first, last = math.floor(low / step), math.ceil(high / step)
    return [round(number * step, 12) for number in range(first, max(last, first + 1) + 1)]
