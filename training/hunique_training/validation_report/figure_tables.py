"""Tables of figures by class: for all pictures, and for parts of them."""

import math
from collections.abc import Mapping, Sequence
from html import escape

from hunique_training.validation_report.charts import interval_bar
from hunique_training.validation_report.class_figures import FIGURES, ClassFigures, Measured
from hunique_training.validation_report.strata import LEAST_PICTURES, Dimension, Stratum

TITLES = {
    "iou": "IoU",
    "dice": "Dice",
    "precision": "precision of pixels",
    "recall": "recall of pixels",
    "boundary_f": "boundary F",
    "instance_precision_50": "instance precision, IoU from 0.5",
    "instance_recall_50": "instance recall, IoU from 0.5",
    "instance_precision_25": "instance precision, IoU from 0.25",
    "instance_recall_25": "instance recall, IoU from 0.25",
    "image_f1": "image-level F1",
    "sensitivity": "sensitivity",
    "specificity": "specificity",
}
"""What figures are called on pages."""
OF_PARTS = ("iou", "sensitivity", "specificity")
"""Those that parts are compared by on pages; the JSON has all."""


def main_table(classes: Sequence[ClassFigures], colours: Mapping[str, str]) -> str:
    """A row a figure, a column a class."""
    heading = "".join(f"<th>{spoken(one.name)}</th>" for one in classes)
    counts = {
        "with it / without it": [f"{one.present} / {one.absent}" for one in classes],
        "with a truth mask": [f"{one.masks}" for one in classes],
        "not assessable": [f"{one.not_assessable}" for one in classes],
    }
    rows = [
        f"<tr><th>{name}</th>{''.join(f'<td>{value}</td>' for value in values)}</tr>"
        for name, values in counts.items()
    ]
    rows += [
        f"<tr><th>{TITLES[figure]}</th>"
        + "".join(f"<td>{cell(one.figures[figure], colours[one.name])}</td>" for one in classes)
        + "</tr>"
        for figure in FIGURES
    ]
    return f'<table class="figures"><tr><th></th>{heading}</tr>{"".join(rows)}</table>'


def cell(measured: Measured, colour: str) -> str:
    """Value, interval and a bar of both; why there is none otherwise."""
    if measured.missing:
        return f'<small title="{measured.pictures} pictures">{measured.missing}</small>'
    figure = measured.figure
    interval = "" if math.isnan(figure.low) else f"{figure.low:.2f} to {figure.high:.2f}"
    return f"{figure.value:.3f} <small>{interval}</small>{interval_bar(figure, colour)}"


def part_table(dimension: Dimension, colours: Mapping[str, str]) -> str:
    """A row a part, three columns a class; parts of few pictures in one line below."""
    shown = [part for part in dimension.strata if part.classes]
    few = [part for part in dimension.strata if not part.classes]
    table = _parts(shown, colours) if shown else ""
    line = "; ".join(f"{escape(part.name)} ({part.pictures})" for part in few)
    below = (
        f"<p><small>Not enough data (fewer than {LEAST_PICTURES} pictures): {line}</small></p>"
        if few
        else ""
    )
    return table + below


def _parts(parts: Sequence[Stratum], colours: Mapping[str, str]) -> str:
    classes = parts[0].classes
    first = "".join(f'<th colspan="{len(OF_PARTS)}">{spoken(one.name)}</th>' for one in classes)
    second = "".join(f"<th>{TITLES[name]}</th>" for name in OF_PARTS) * len(classes)
    rows = "".join(
        f"<tr><th>{escape(part.name)}<br><small>{part.pictures} pictures, "
        f"{_groups(part.groups)}</small></th>{''.join(_of_class(one, colours) for one in part.classes)}</tr>"
        for part in parts
    )
    return (
        f'<div class="wide"><table class="parts"><tr><th></th>{first}</tr>'
        f"<tr><th></th>{second}</tr>{rows}</table></div>"
    )


def _groups(count: int) -> str:
    return "1 group" if count == 1 else f"{count} groups"


def _of_class(one: ClassFigures, colours: Mapping[str, str]) -> str:
    return "".join(f"<td>{small_cell(one.figures[n], colours[one.name])}</td>" for n in OF_PARTS)


def small_cell(measured: Measured, colour: str) -> str:
    """The same in less room, with `n` where there is not enough data."""
    if not measured.pictures:
        return "<small>-</small>"
    if measured.missing:
        return f'<small title="{measured.missing}">n = {measured.pictures}</small>'
    figure = measured.figure
    interval = "" if math.isnan(figure.low) else f"{figure.low:.2f} to {figure.high:.2f}"
    return f"{figure.value:.2f}{interval_bar(figure, colour)}<small>{interval}</small>"


def spoken(name: str) -> str:
    """A class name for people, escaped."""
    return escape(name.replace("_", " "))
