"""Whether a score of 0.8 means eight in ten: reliability, ECE and Brier score of presence.

Scores fall into ten bins of equal width. ECE is the mean, over pictures, of the distance
between the mean score of a bin and the share of it that has the class (Guo et al., 2017).
It is never negative, so that with few pictures it is above 0 for a perfect score too.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum

import numpy as np

from hunique_training.evaluation.bootstrap import draw_multiplicities, percentile_interval
from hunique_training.evaluation.class_scores import Figure
from hunique_training.evaluation.figures import Sums
from hunique_training.validation_report.examined import Examined

BINS = 10


class BinColumn(IntEnum):
    """Sums of one bin, in this order."""

    PICTURES = 0
    """In the bin."""
    PRESENT = 1
    """With the class."""
    SCORE = 2
    """Sum of scores."""
    SQUARED = 3
    """Sum of squared distances between score and label."""


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """Calibration of one class."""

    name: str
    """The class."""
    pictures: int
    """Of known label."""
    bins: Sums
    """(10, 4), see `BinColumn`, from the lowest score."""
    ece: Figure
    """Expected calibration error."""
    brier: Figure
    """Mean squared distance between score and label."""


def calibrations_of(
    examined: Examined, class_names: Sequence[str], resamples: int
) -> tuple[Calibration, ...]:
    """Calibration of every class on pictures of known label."""
    return tuple(_calibration(examined, c, name, resamples) for c, name in enumerate(class_names))


def _calibration(examined: Examined, c: int, name: str, resamples: int) -> Calibration:
    known = examined.part(examined.labels[:, c] >= 0)
    scores, present = known.scores[:, c], known.labels[:, c] == 1
    sums = np.zeros((len(known), BINS, len(BinColumn)))
    columns = np.stack([np.ones(len(known)), present, scores, (scores - present) ** 2], axis=1)
    sums[np.arange(len(known)), np.minimum((scores * BINS).astype(int), BINS - 1)] = columns
    by_group = known.by_group(sums)
    drawn = [np.zeros((0, BINS, len(BinColumn)))]
    if len(by_group):
        blocks = draw_multiplicities(len(by_group), len(known), resamples)
        drawn += [np.tensordot(weights, by_group, 1) for weights in blocks]
    total, resampled = by_group.sum(axis=0), np.concatenate(drawn)
    return Calibration(
        name=name,
        pictures=len(known),
        bins=total,
        ece=_figure(_ece(total[None])[0], _ece(resampled), len(by_group)),
        brier=_figure(_brier(total[None])[0], _brier(resampled), len(by_group)),
    )


def _figure(value: float, resampled: Sums, groups: int) -> Figure:
    low, high = percentile_interval(resampled, groups)
    return Figure(value=float(value), low=low, high=high)


def _ece(bins: Sums) -> Sums:
    """(R,) from (R, 10, 4)."""
    distance = np.abs(bins[..., BinColumn.SCORE] - bins[..., BinColumn.PRESENT]).sum(axis=1)
    return _mean(distance, bins)


def _brier(bins: Sums) -> Sums:
    """(R,) from (R, 10, 4)."""
    return _mean(bins[..., BinColumn.SQUARED].sum(axis=1), bins)


def _mean(total: Sums, bins: Sums) -> Sums:
    pictures = bins[..., BinColumn.PICTURES].sum(axis=1)
    return np.divide(total, pictures, out=np.full_like(total, np.nan), where=pictures > 0)
