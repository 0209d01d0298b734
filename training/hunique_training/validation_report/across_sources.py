"""Whether a class is told by the class, or by the source that its pictures come from.

AUC is the chance that of two pictures, one with the class and one without, the one with it
has the higher score. Over all pairs it rises where the score knows the source; over pairs
of the same source it cannot.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hunique_training.validation_report.examined import Examined


@dataclass(frozen=True, kw_only=True)
class AcrossSources:
    """One class."""

    name: str
    """The class."""
    sources_with_it: int
    """Sources with at least one picture of it."""
    sources_with_both: int
    """Sources with pictures of it and without it."""
    auc_of_all_pairs: float
    """NaN where one kind of picture is missing."""
    auc_within_sources: float
    """Over pairs of the same source; NaN where no source has both."""
    pairs_within_sources: int
    """How many these are."""


def compare_sources(examined: Examined, class_names: Sequence[str]) -> tuple[AcrossSources, ...]:
    """Every class over all pairs and within sources."""
    return tuple(_compare(examined, c, name) for c, name in enumerate(class_names))


def _compare(examined: Examined, c: int, name: str) -> AcrossSources:
    known = examined.part(examined.labels[:, c] >= 0)
    present = known.labels[:, c] == 1
    won = total = 0.0
    with_it = with_both = 0
    for source in np.unique(known.sources):
        here = known.sources == source
        source_won, source_total = _won_pairs(known.scores[here, c], present[here])
        won, total = won + source_won, total + source_total
        with_it += bool(present[here].any())
        with_both += source_total > 0
    all_won, all_pairs = _won_pairs(known.scores[:, c], present)
    return AcrossSources(
        name=name,
        sources_with_it=with_it,
        sources_with_both=with_both,
        auc_of_all_pairs=all_won / all_pairs if all_pairs else float("nan"),
        auc_within_sources=won / total if total else float("nan"),
        pairs_within_sources=int(total),
    )


def _won_pairs(scores: NDArray[np.float64], present: NDArray[np.bool_]) -> tuple[float, int]:
    """Pairs in which the picture with the class scores higher, ties half, and all pairs."""
    others = np.sort(scores[~present])
    below = np.searchsorted(others, scores[present], side="left").sum()
    not_above = np.searchsorted(others, scores[present], side="right").sum()
    return float(below + not_above) / 2, int(present.sum()) * len(others)
