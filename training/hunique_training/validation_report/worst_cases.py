"""The cases that went worst, each class in its turn, so that a person looks at them first.

How bad a case is: where the truth is known as a mask, what is missing of an IoU of 1, and
beyond that how far the score is from the label. A missed feature and a false alarm are as
bad as an outline can be. Right answers are never listed.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hunique_training.evaluation.figures import PixelColumn
from hunique_training.validation_report.cases import Case
from hunique_training.validation_report.examined import Examined

WORST_COUNT = 24
MISSED = "missed"
FALSE_ALARM = "false alarm"
OUTLINE = "poor outline"
GOOD_OUTLINE_IOU = 0.9
"""Outlines from this IoU on are not listed."""


@dataclass(frozen=True, kw_only=True)
class WorstCase:
    """One class on one picture."""

    row: int
    """Line of the label file."""
    class_name: str
    """The class."""
    fault: str
    """`missed`, `false alarm` or `poor outline`."""
    score: float
    """Calibrated score of the class."""
    iou: float
    """Of the mask; NaN where there is no truth mask, or nothing in it."""
    badness: float
    """What the list is ordered by, 0 to 2."""


def worst_cases(
    cases: Sequence[Case],
    examined: Examined,
    class_names: Sequence[str],
    count: int = WORST_COUNT,
) -> tuple[WorstCase, ...]:
    """The worst of each class in turn, class by class, at most `count` in all."""
    waiting = [_faults(cases, examined, c, name) for c, name in enumerate(class_names)]
    chosen: list[WorstCase] = []
    while any(waiting) and len(chosen) < count:
        for faults in waiting:
            if faults and len(chosen) < count:
                chosen.append(faults.pop(0))
    order = {name: place for place, name in enumerate(class_names)}
    return tuple(sorted(chosen, key=lambda one: (order[one.class_name], -one.badness, one.row)))


def _faults(cases: Sequence[Case], examined: Examined, c: int, name: str) -> list[WorstCase]:
    faults = [
        _fault(case.row, examined, n, c, name)
        for n, case in enumerate(cases)
        if examined.labels[n, c] >= 0
    ]
    kept = [one for one in faults if one is not None]
    return sorted(kept, key=lambda one: (-one.badness, one.row))


def _fault(row: int, examined: Examined, n: int, c: int, name: str) -> WorstCase | None:
    present, called = bool(examined.labels[n, c] == 1), bool(examined.called[n, c])
    iou = _iou(examined, n, c) if present and examined.scored[n, c] else float("nan")
    if present != called:
        fault, lost = (MISSED if present else FALSE_ALARM), 1.0
    elif present and iou < GOOD_OUTLINE_IOU:
        fault, lost = OUTLINE, 1 - iou
    else:
        return None
    score = float(examined.scores[n, c])
    return WorstCase(
        row=row, class_name=name, fault=fault, score=score, iou=iou,
        badness=lost + abs(score - present),
    )  # fmt: skip


def _iou(examined: Examined, n: int, c: int) -> float:
    hit, false, missed = (
        examined.pixels[n, c, column]
        for column in (PixelColumn.HIT_PX, PixelColumn.FALSE_PX, PixelColumn.MISSED_PX)
    )
    union = hit + false + missed
    return float(hit / union) if union else float(np.nan)
