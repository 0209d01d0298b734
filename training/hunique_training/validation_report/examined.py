"""Examined pictures as arrays: what figures are made of, for all of them or a part."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Self

import numpy as np
from numpy.typing import NDArray

from hunique_models.findings import Status
from hunique_training.evaluation.figures import ImageColumn, PixelColumn, Sums
from hunique_training.validation_report.cases import Case
from hunique_training.validation_report.instances import InstanceColumn
from hunique_training.validation_report.picture_tally import PictureTally

UNKNOWN = -1
"""A label that is not known."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Examined:
    """N pictures, C classes."""

    labels: NDArray[np.int8]
    """(N, C): 1 present, 0 absent, -1 unknown."""
    called: NDArray[np.bool_]
    """(N, C): found, as a caller sees it."""
    not_assessable: NDArray[np.bool_]
    """(N, C): the model declined to say."""
    scores: NDArray[np.float64]
    """(N, C): calibrated scores."""
    scored: NDArray[np.bool_]
    """(N, C): whether pixels of the class can be compared."""
    pixels: Sums
    """(N, C, 7), see `PixelColumn`; 0 where not scored."""
    instances: Sums
    """(N, C, 4), see `InstanceColumn`; 0 where not scored."""
    groups: NDArray[np.int64]
    """(N,): a number for each group."""
    sources: NDArray[np.str_]
    """(N,): where each comes from."""

    @classmethod
    def gather(cls, pairs: Sequence[tuple[Case, PictureTally]], class_count: int) -> Self:
        """From cases and their tallies, at least one."""
        numbers: dict[str, int] = {}
        labels = [[UNKNOWN if label is None else int(label) for label in case.truth.picture.labels]
                  for case, _ in pairs]  # fmt: skip
        tallies = [tally.classes for _, tally in pairs]
        pixels = [[one.pixels or (0,) * len(PixelColumn) for one in tally] for tally in tallies]
        instances = [[one.instances or (0,) * len(InstanceColumn) for one in tally]
                     for tally in tallies]  # fmt: skip
        statuses = np.array([[one.status for one in tally] for tally in tallies])
        shape = (len(pairs), class_count)
        return cls(
            labels=np.array(labels, np.int8).reshape(shape),
            called=(statuses == str(Status.PRESENT)).reshape(shape),
            not_assessable=(statuses == str(Status.NOT_ASSESSABLE)).reshape(shape),
            scores=np.array([[one.score for one in t] for t in tallies], np.float64).reshape(shape),
            scored=np.array([[one.pixels is not None for one in t] for t in tallies], np.bool_),
            pixels=np.array(pixels, np.float64).reshape(*shape, len(PixelColumn)),
            instances=np.array(instances, np.float64).reshape(*shape, len(InstanceColumn)),
            groups=np.array([numbers.setdefault(c.group, len(numbers)) for c, _ in pairs]),
            sources=np.array([case.truth.picture.source for case, _ in pairs], np.str_),
        )

    def __len__(self) -> int:
        return len(self.groups)

    @property
    def images(self) -> Sums:
        """(N, C, 4), see `ImageColumn`."""
        sums = np.zeros((*self.labels.shape, len(ImageColumn)))
        present, absent = self.labels == 1, self.labels == 0
        sums[..., ImageColumn.HITS] = self.called & present
        sums[..., ImageColumn.ALARMS] = self.called & absent
        sums[..., ImageColumn.PRESENT], sums[..., ImageColumn.ABSENT] = present, absent
        return sums

    @property
    def masks(self) -> NDArray[np.bool_]:
        """(N, C): with a truth mask of the class that is there."""
        return self.scored & (self.labels == 1)

    def part(self, chosen: NDArray[np.bool_]) -> Self:
        """Those pictures alone."""
        return type(self)(**{one.name: getattr(self, one.name)[chosen] for one in fields(self)})

    def by_group(self, sums: Sums) -> Sums:
        """Sums (N, ...) of pictures as sums (G, ...) of the groups that are there."""
        _, number = np.unique(self.groups, return_inverse=True)
        added = np.zeros((int(number.max()) + 1 if len(number) else 0, *sums.shape[1:]))
        np.add.at(added, number, sums)
        return added
