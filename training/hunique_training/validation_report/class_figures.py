"""Figures of every class on a set of pictures, with intervals over resampled groups.

Where a share is 0 or 1 in every group, resampling knows no other value. Then the interval
is the exact one of as many trials as there are groups: it takes the pictures of a group for
one, which is on the safe side.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from hunique_training.evaluation.bootstrap import draw_multiplicities
from hunique_training.evaluation.class_scores import Figure, figure_with_interval
from hunique_training.evaluation.figures import IMAGE_FIGURES, PIXEL_FIGURES, Ratio, Sums
from hunique_training.validation_report.exact_interval import exact_interval
from hunique_training.validation_report.examined import Examined
from hunique_training.validation_report.instances import INSTANCE_FIGURES

NOT_MEASURED = "not measured"
"""There is nothing to measure it on: no mask, no label, no such picture."""
TOO_FEW = "not enough data"
"""There are fewer pictures than a figure is given for."""


@dataclass(frozen=True, kw_only=True)
class Measured:
    """A figure, or why there is none."""

    figure: Figure
    """Value and interval; NaN where there is none."""
    pictures: int
    """On how many pictures it rests: those with a mask for masks and instances, those with the
    class for sensitivity and F1, those without it for specificity."""
    missing: str = ""
    """Why there is no value: `NOT_MEASURED` or `TOO_FEW`."""

    def at_least(self, pictures: int) -> "Measured":
        """The same, or nothing where it rests on fewer pictures."""
        if self.missing or self.pictures >= pictures:
            return self
        return Measured(figure=Figure(value=math.nan), pictures=self.pictures, missing=TOO_FEW)


@dataclass(frozen=True, kw_only=True)
class ClassFigures:
    """How one class does on a set of pictures."""

    name: str
    """The class."""
    present: int
    """Pictures with it."""
    absent: int
    """Pictures without it."""
    masks: int
    """Pictures with it and a truth mask."""
    not_assessable: int
    """Pictures of known label on which the model declined to say."""
    figures: dict[str, Measured] = field(default_factory=dict)
    """By name, see `FIGURES`."""


Figures = Mapping[str, Callable[[Sums], Ratio]]
SHARES = ("sensitivity", "specificity", *INSTANCE_FIGURES)
"""Figures that are shares of things counted."""
FIGURES = (*PIXEL_FIGURES, *INSTANCE_FIGURES, *IMAGE_FIGURES)
"""Names of all figures in the order of reports."""


def score_classes_of(
    examined: Examined, class_names: Sequence[str], resamples: int
) -> tuple[ClassFigures, ...]:
    """Every figure of every class.

    Args:
        examined: the pictures.
        class_names: in channel order.
        resamples: how often groups are drawn; 0 leaves intervals out.
    """
    families: tuple[tuple[Figures, Sums], ...] = (
        (PIXEL_FIGURES, examined.pixels),
        (INSTANCE_FIGURES, examined.instances),
        (IMAGE_FIGURES, examined.images),
    )
    by_group = [examined.by_group(sums) for _, sums in families]
    drawn = _resample(by_group, len(examined), resamples)
    return tuple(
        _score(examined, c, name, [
            (figures, groups[:, c], resampled[:, c])
            for (figures, _), groups, resampled in zip(families, by_group, drawn, strict=True)
        ])
        for c, name in enumerate(class_names)
    )  # fmt: skip


def _resample(by_group: Sequence[Sums], picture_count: int, resamples: int) -> list[Sums]:
    """(R, ...) for each array (G, ...), the same groups drawn for all of them."""
    blocks = [[np.zeros((0, *sums.shape[1:]))] for sums in by_group]
    group_count = len(by_group[0])
    if group_count:
        for weights in draw_multiplicities(group_count, picture_count, resamples):
            for drawn, sums in zip(blocks, by_group, strict=True):
                drawn.append(np.tensordot(weights, sums, 1))
    return [np.concatenate(drawn) for drawn in blocks]


def _score(
    examined: Examined, c: int, class_name: str, families: Sequence[tuple[Figures, Sums, Sums]]
) -> ClassFigures:
    labels = examined.labels[:, c]
    counts = ClassFigures(
        name=class_name,
        present=int((labels == 1).sum()),
        absent=int((labels == 0).sum()),
        masks=int(examined.masks[:, c].sum()),
        not_assessable=int((examined.not_assessable[:, c] & (labels >= 0)).sum()),
    )
    for figures, groups, resampled in families:
        for name, ratio in figures.items():
            by_group = ratio(groups)
            figure = figure_with_interval(ratio(groups.sum(axis=0)), by_group, ratio(resampled))
            if name in SHARES:
                figure = _widened(figure, int((by_group.whole > 0).sum()))
            counts.figures[name] = _measured(figure, _rests_on(name, counts))
    return counts


def _widened(figure: Figure, groups: int) -> Figure:
    """The exact interval in place of one without width at 0 or 1."""
    if not figure.low == figure.high == figure.value or figure.value not in (0, 1):
        return figure
    low, high = exact_interval(groups if figure.value else 0, groups)
    return Figure(value=figure.value, low=low, high=high)


def _rests_on(figure: str, counts: ClassFigures) -> int:
    if figure in PIXEL_FIGURES or figure in INSTANCE_FIGURES:
        return counts.masks
    return counts.absent if figure == "specificity" else counts.present


def _measured(figure: Figure, pictures: int) -> Measured:
    if not pictures or math.isnan(figure.value):
        return Measured(figure=Figure(value=math.nan), pictures=pictures, missing=NOT_MEASURED)
    return Measured(figure=figure, pictures=pictures)
