"""The table of a model on a split, for people and for programs.

Both protocols are shown and named, see `protocol`. Label-free is what counts: no
image-level label of the evaluated pictures is used to forbid classes. Only
label-filtered figures may be set beside published ones.
"""

import json
import math
from collections.abc import Sequence
from typing import Any

from hunique_training.evaluation.class_scores import ClassScores, Figure, score_classes
from hunique_training.evaluation.protocol import EXPLANATIONS, Protocol

__all__ = ["as_json", "as_text", "score_classes"]

_NAME_WIDTH = 16
_FIGURE_WIDTH = 19


def as_text(scores: Sequence[ClassScores]) -> str:
    """Tables for people: masks by protocol, then presence; "-" where undefined."""
    parts = [_masks(scores, protocol) for protocol in Protocol]
    return "\n\n".join([*parts, _presence(scores)])


def _masks(scores: Sequence[ClassScores], protocol: Protocol) -> str:
    lines = [f"masks, {protocol} ({EXPLANATIONS[protocol]})"]
    if scores:
        lines.append(_header(scores[0].pixels[protocol], "masks"))
    for one in scores:
        lines.append(_row(one.name, one.pixels[protocol], str(one.masks)))
        if protocol is Protocol.LABEL_FREE:
            lines += [f"  {name}: IoU {number(iou)}" for name, iou in one.iou_by_source.items()]
    return "\n".join(lines)


def _presence(scores: Sequence[ClassScores]) -> str:
    groups = scores[0].groups if scores else 0
    lines = [f"presence, {Protocol.LABEL_FREE}"]
    if scores:
        lines.append(_header(scores[0].presence, "present/absent"))
    lines += [_row(one.name, one.presence, f"{one.present}/{one.absent}") for one in scores]
    lines.append(f"[95 % interval, {groups} groups of pictures resampled]")
    return "\n".join(lines)


def _header(figures: dict[str, Figure], last: str) -> str:
    names = "".join(f"{name.replace('_', ' '):{_FIGURE_WIDTH}}" for name in figures)
    return f"{'class':{_NAME_WIDTH}}{names}{last}"


def _row(name: str, figures: dict[str, Figure], last: str) -> str:
    cells = "".join(f"{_cell(figure):{_FIGURE_WIDTH}}" for figure in figures.values())
    return f"{name:{_NAME_WIDTH}}{cells}{last}"


def _cell(figure: Figure) -> str:
    if math.isnan(figure.low):
        return number(figure.value)
    return f"{number(figure.value)} [{figure.low:.2f} {figure.high:.2f}]"


def number(value: float) -> str:
    """Three digits, or "-" for NaN."""
    return "-" if math.isnan(value) else f"{value:.3f}"


def as_json(scores: Sequence[ClassScores]) -> str:
    """The same for programs, one entry a class; what is undefined is null."""
    return json.dumps([_entry(one) for one in scores], indent=2, allow_nan=False) + "\n"


def _entry(one: ClassScores) -> dict[str, Any]:
    free = one.pixels[Protocol.LABEL_FREE] | one.presence
    return {
        "name": one.name,
        "masks": one.masks,
        "present": one.present,
        "absent": one.absent,
        "groups": one.groups,
        str(Protocol.LABEL_FREE): _figures(free)
        | {"iou_by_source": {name: defined(iou) for name, iou in one.iou_by_source.items()}},
        str(Protocol.LABEL_FILTERED): _figures(one.pixels[Protocol.LABEL_FILTERED]),
    }


def _figures(figures: dict[str, Figure]) -> dict[str, Any]:
    values: dict[str, Any] = {name: defined(figure.value) for name, figure in figures.items()}
    intervals = {name: [defined(f.low), defined(f.high)] for name, f in figures.items()}
    return values | {"intervals_95": intervals}


def defined(value: float) -> float | None:
    """The value, or None for NaN, which JSON has no word for."""
    return None if math.isnan(value) else value
