"""Small drawings as SVG: a figure with its interval, and a reliability diagram."""

import math
from html import escape

from hunique_training.evaluation.class_scores import Figure
from hunique_training.validation_report.calibration import BINS, BinColumn, Calibration

BAR_WIDTH_PX, BAR_HEIGHT_PX = 84, 9
SIDE_PX, MARGIN_PX, COUNTS_PX = 190, 30, 44
"""Of a reliability diagram: the square, the margin for figures, the height of counts below."""
FEW_PICTURES = 10
"""Points of fewer pictures are pale."""


def interval_bar(figure: Figure, colour: str) -> str:
    """A line from 0 to 1, the interval on it as a band, the value as a mark.

    Args:
        figure: with a value; without an interval the mark stands alone.
        colour: `#rrggbb`.
    """
    band = ""
    if not math.isnan(figure.low):
        width_px = (figure.high - figure.low) * BAR_WIDTH_PX
        band = (
            f'<rect x="{figure.low * BAR_WIDTH_PX:.1f}" y="2" width="{max(width_px, 1):.1f}" '
            f'height="{BAR_HEIGHT_PX - 4}" fill="{colour}" opacity=".4"/>'
        )
    mark_px = min(max(figure.value * BAR_WIDTH_PX, 1.0), BAR_WIDTH_PX - 1)
    return (
        f'<svg class="bar" viewBox="0 0 {BAR_WIDTH_PX} {BAR_HEIGHT_PX}" aria-hidden="true">'
        f'<path class="grid" d="M0 {BAR_HEIGHT_PX / 2}H{BAR_WIDTH_PX}"/>{band}'
        f'<path d="M{mark_px:.1f} 0V{BAR_HEIGHT_PX}" stroke="#1b1b1b" stroke-width="2"/></svg>'
    )


def reliability_chart(one: Calibration, colour: str) -> str:
    """Share of pictures with the class against their score, and below how many there are."""
    parts = [_axes()]
    most = max(1.0, one.bins[:, BinColumn.PICTURES].max())
    below_px = SIDE_PX + 8 + COUNTS_PX
    for number, sums in enumerate(one.bins):
        pictures = sums[BinColumn.PICTURES]
        if not pictures:
            continue
        score, share = sums[BinColumn.SCORE] / pictures, sums[BinColumn.PRESENT] / pictures
        x, y = MARGIN_PX + score * SIDE_PX, (1 - share) * SIDE_PX
        height_px = max(1.0, COUNTS_PX * math.sqrt(pictures / most))
        left_px, width_px = MARGIN_PX + number * SIDE_PX / BINS, SIDE_PX / BINS
        opacity = 1 if pictures >= FEW_PICTURES else 0.35
        parts.append(
            f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4.5" fill="{colour}" stroke="#1b1b1b" '
            f'opacity="{opacity}">'
            f"<title>{int(pictures)} pictures, mean score {score:.2f}, "
            f"{share:.2f} with it</title></circle>"
            f'<rect x="{left_px + 1:.1f}" y="{below_px - height_px:.1f}" fill="{colour}" '
            f'width="{width_px - 2:.1f}" height="{height_px:.1f}" opacity=".5"/>'
            f'<text x="{left_px + width_px / 2:.1f}" y="{below_px + 12}" font-size="9" '
            f'text-anchor="middle">{int(pictures)}</text>'
        )
    title = escape(f"Reliability of {one.name}")
    return (
        f'<svg class="reliability" viewBox="0 -8 {MARGIN_PX + SIDE_PX + 8} {below_px + 24}" '
        f'role="img" aria-label="{title}"><title>{title}</title>{"".join(parts)}</svg>'
    )


def _axes() -> str:
    """The square, its diagonal, and figures on the left."""
    right = MARGIN_PX + SIDE_PX
    ticks = "".join(
        f'<text x="{MARGIN_PX - 5}" y="{(1 - tick) * SIDE_PX + 4:.1f}" text-anchor="end">'
        f'{tick:g}</text><path class="grid" d="M{MARGIN_PX} {(1 - tick) * SIDE_PX:.1f}H{right}"/>'
        for tick in (0, 0.5, 1)
    )
    return (
        f'{ticks}<path class="grid" d="M{MARGIN_PX} {SIDE_PX}L{right} 0" stroke-dasharray="4 3"/>'
    )
