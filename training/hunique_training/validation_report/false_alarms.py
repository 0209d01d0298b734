"""How often a picture without a feature gets one, at the thresholds of the bundle."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hunique_training.validation_report.cases import Case
from hunique_training.validation_report.exact_interval import exact_interval
from hunique_training.validation_report.examined import Examined

ANY_CLASS = "any class"
"""Pictures labelled with no class as present; an alarm is any class labelled absent."""
HANDS = "hands without it"
WITHOUT_HANDS = "pictures without hands"


@dataclass(frozen=True, kw_only=True)
class FalseAlarms:
    """One class, or any, on one kind of pictures."""

    name: str
    """The class, or `ANY_CLASS`."""
    population: str
    """`HANDS` or `WITHOUT_HANDS`."""
    pictures: int
    """Labelled 0."""
    groups: int
    """Of how many groups they are."""
    alarms: int
    """Of these, found to have it."""

    @property
    def per_10_000(self) -> float:
        """Alarms in 10,000 such pictures; NaN without pictures."""
        return 1e4 * self.alarms / self.pictures if self.pictures else float("nan")

    @property
    def interval_per_10_000(self) -> tuple[float, float]:
        """95 %, exact (Clopper and Pearson, 1934); it takes pictures for independent."""
        low, high = exact_interval(self.alarms, self.pictures)
        return 1e4 * low, 1e4 * high


def count_false_alarms(
    cases: Sequence[Case], examined: Examined, class_names: Sequence[str]
) -> tuple[FalseAlarms, ...]:
    """Alarms of each class and of any, on hands and on pictures without hands.

    Args:
        cases: the pictures, those pooled among them, which show no hands.
        examined: the same as arrays.
        class_names: in channel order.
    """
    without = np.array([case.without_hands for case in cases], np.bool_)
    labels, alarms = examined.labels, examined.called & (examined.labels == 0)
    nothing_present = ~(labels == 1).any(axis=1) & (labels == 0).any(axis=1)
    counted = [(name, labels[:, c] == 0, alarms[:, c]) for c, name in enumerate(class_names)]
    counted.append((ANY_CLASS, nothing_present, alarms.any(axis=1)))
    populations = ((HANDS, ~without), (WITHOUT_HANDS, without))
    return tuple(
        _count(name, population, where & chosen, alarmed, examined)
        for population, where in populations
        for name, chosen, alarmed in counted
    )


def _count(
    name: str,
    population: str,
    chosen: NDArray[np.bool_],
    alarmed: NDArray[np.bool_],
    examined: Examined,
) -> FalseAlarms:
    return FalseAlarms(
        name=name,
        population=population,
        pictures=int(chosen.sum()),
        groups=len(np.unique(examined.groups[chosen])),
        alarms=int((chosen & alarmed).sum()),
    )
