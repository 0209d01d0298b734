"""Sums of each group at the model's thresholds: all that is kept of a picture.

A picture adds to the sums of its group (about 1 kB a group) and leaves its image-level
scores and labels (about 50 bytes), so that 200,000 pictures fit in memory.
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hunique_models.findings import calibrated_score
from hunique_models.manifest import ClassSpec, Manifest
from hunique_training.evaluation.evidence import PictureEvidence
from hunique_training.evaluation.figures import ImageColumn, PixelColumn, Sums
from hunique_training.evaluation.protocol import Protocol


def pixel_level(spec: ClassSpec) -> int:
    """The pixel threshold of a class in steps of 1/255, 1 to 255, as when serving."""
    return max(1, round(spec.pixel_threshold * 255))


@dataclass(frozen=True, kw_only=True)
class GroupSums:
    """G groups, C classes, N pictures, S sources."""

    images: Sums
    """(G, C, 4), see `ImageColumn`."""
    pixels: dict[Protocol, Sums]
    """(G, C, 7), see `PixelColumn`; columns of borders are NaN where none were counted."""
    pixels_by_source: dict[str, Sums]
    """Source to (C, 7), label-free."""
    masks_by_source: dict[str, NDArray[np.int64]]
    """Source to (C,), pictures with a truth mask."""
    raw_scores: NDArray[np.float64]
    """(N, C)."""
    labels: NDArray[np.int8]
    """(N, C): 1 present, 0 absent, -1 unknown."""
    group_of_picture: NDArray[np.int64]
    """(N,) index of the group."""


def sum_groups(evidence: Iterable[PictureEvidence], manifest: Manifest) -> GroupSums:
    """Add up pictures, each looked at once, by group and by source."""
    tally = _Tally(manifest)
    for one in evidence:
        tally.add(one)
    return tally.sums()


class _Tally:
    def __init__(self, manifest: Manifest) -> None:
        self._specs = manifest.classes
        count = len(manifest.classes)
        self._group_index: dict[str, int] = {}
        self._images: list[Sums] = []
        self._pixels: dict[Protocol, list[Sums]] = {p: [] for p in Protocol}
        self._by_source: dict[str, Sums] = defaultdict(lambda: np.zeros((count, len(PixelColumn))))
        self._masks: dict[str, NDArray[np.int64]] = defaultdict(lambda: np.zeros(count, np.int64))
        self._pictures: list[tuple[NDArray[np.float32], NDArray[np.int8], int]] = []

    def add(self, one: PictureEvidence) -> None:
        """Add one picture."""
        group = self._group(one.group)
        labels = np.array([-1 if label is None else label for label in one.labels], np.int8)
        self._pictures.append((one.raw_scores, labels, group))
        for c, spec in enumerate(self._specs):
            score = calibrated_score(float(one.raw_scores[c]), spec.calibration)
            called = score >= spec.presence_threshold
            self._images[group][c] += _image_sums(called, one.labels[c])
            if one.scored[c]:
                self._add_pixels(one, group, c, called)

    def _group(self, name: str) -> int:
        index = self._group_index.setdefault(name, len(self._images))
        if index == len(self._images):
            count = len(self._specs)
            self._images.append(np.zeros((count, len(ImageColumn))))
            for sums in self._pixels.values():
                sums.append(np.zeros((count, len(PixelColumn))))
        return index

    def _add_pixels(self, one: PictureEvidence, group: int, c: int, called: bool) -> None:
        admitted = {Protocol.LABEL_FREE: called, Protocol.LABEL_FILTERED: one.labels[c] is True}
        level = pixel_level(self._specs[c])
        sums = {p: _pixel_sums(one, c, p, level) for p in Protocol}
        for protocol in Protocol:
            gated = sums[protocol] if admitted[protocol] else _all_missed(sums[protocol])
            self._pixels[protocol][group][c] += gated
            if protocol is Protocol.LABEL_FREE:
                self._by_source[one.source][c] += gated
        self._masks[one.source][c] += one.labels[c] is True

    def sums(self) -> GroupSums:
        """The sums so far."""
        count = len(self._specs)
        return GroupSums(
            images=np.reshape(self._images, (-1, count, len(ImageColumn))),
            pixels={
                p: np.reshape(sums, (-1, count, len(PixelColumn)))
                for p, sums in self._pixels.items()
            },
            pixels_by_source=dict(sorted(self._by_source.items())),
            masks_by_source=dict(self._masks),
            raw_scores=np.reshape([raw for raw, _, _ in self._pictures], (-1, count)),
            labels=np.reshape([labels for _, labels, _ in self._pictures], (-1, count)),
            group_of_picture=np.array([group for _, _, group in self._pictures], np.int64),
        )


def _image_sums(called: bool, label: bool | None) -> Sums:
    sums = np.zeros(len(ImageColumn))
    sums[ImageColumn.HITS] = called and label is True
    sums[ImageColumn.ALARMS] = called and label is False
    sums[ImageColumn.PRESENT] = label is True
    sums[ImageColumn.ABSENT] = label is False
    return sums


def _pixel_sums(one: PictureEvidence, c: int, protocol: Protocol, level: int) -> Sums:
    """Sums of a class that is admitted."""
    feature, other = one.counts(c, protocol)
    sums = np.full(len(PixelColumn), np.nan)
    sums[PixelColumn.HIT_PX] = feature[level:].sum()
    sums[PixelColumn.FALSE_PX] = other[level:].sum()
    sums[PixelColumn.MISSED_PX] = feature[:level].sum()
    if one.borders is not None and one.borders.levels[c] == level:
        sums[PixelColumn.CLAIMED_BORDER_PX :] = one.borders.counts[protocol][c]
    return sums


def _all_missed(sums: Sums) -> Sums:
    """What remains of a class that is not admitted: nothing is claimed."""
    gated = np.zeros_like(sums)
    gated[PixelColumn.MISSED_PX] = sums[PixelColumn.HIT_PX] + sums[PixelColumn.MISSED_PX]
    gated[PixelColumn.TRUE_BORDER_PX] = sums[PixelColumn.TRUE_BORDER_PX]
    return gated
