"""What compression and blur do to the figures: charts and a table."""

from collections.abc import Mapping

from hunique_training.line_chart import line_chart
from hunique_training.validation_report.contents import Contents, Stressed
from hunique_training.validation_report.figure_tables import TITLES, small_cell, spoken

FIGURES_SHOWN = ("iou", "sensitivity", "specificity")
"""The JSON has all."""
_AXES = {"jpeg": "JPEG quality", "blur": "blur, % of side"}


def stress_section(contents: Contents, colours: Mapping[str, str]) -> str:
    """The section, or how to ask for it."""
    if not contents.stressed:
        return (
            "<h2>Under stress</h2><p>Not asked for: --stress jpeg and --stress blur send every "
            "picture again, compressed or blurred.</p>"
        )
    charts = "".join(_chart(contents, stress, colours) for stress in _AXES)
    return (
        "<h2>Under stress</h2><p>The same pictures, compressed again as JPEG of a quality, or "
        "blurred (Gauss; standard deviation as a share of the longest side).</p>"
        f'<div class="row">{charts}</div>{_table(contents, colours)}'
    )


def _chart(contents: Contents, stress: str, colours: Mapping[str, str]) -> str:
    """IoU, or sensitivity where no class has masks, against the strength of a stress."""
    figure = "iou" if any(one.masks for one in contents.classes) else "sensitivity"
    steps = [one for one in contents.stressed if one.variant.stress == stress]
    if not steps:
        return ""
    if stress == "blur":  # pictures as they are have no blur, but a quality of their own
        steps = [one for one in contents.stressed if not one.variant.stress] + steps
    curves = {
        one.name: [(_along(step), step.classes[c].figures[figure].figure.value) for step in steps]
        for c, one in enumerate(contents.classes)
    }
    title = f"{TITLES[figure]} against {_AXES[stress]}"
    drawn = line_chart(curves, title, _AXES[stress], [colours[name] for name in curves])
    return f"<figure><figcaption>{title}</figcaption>{drawn}</figure>"


def _along(one: Stressed) -> float:
    """Blur in percent, JPEG in quality."""
    return one.variant.strength * (1 if one.variant.stress == "jpeg" else 100)


def _table(contents: Contents, colours: Mapping[str, str]) -> str:
    span, count = len(FIGURES_SHOWN), len(contents.classes)
    first = "".join(f'<th colspan="{span}">{spoken(one.name)}</th>' for one in contents.classes)
    second = "".join(f"<th>{TITLES[name]}</th>" for name in FIGURES_SHOWN) * count
    rows = "".join(
        f"<tr><th>{one.variant.told}</th>{_cells(one, colours)}</tr>" for one in contents.stressed
    )
    return (
        f'<div class="wide"><table class="parts"><tr><th></th>{first}</tr>'
        f"<tr><th></th>{second}</tr>{rows}</table></div>"
    )


def _cells(one: Stressed, colours: Mapping[str, str]) -> str:
    return "".join(
        f"<td>{small_cell(of_class.figures[name], colours[of_class.name])}</td>"
        for of_class in one.classes
        for name in FIGURES_SHOWN
    )
