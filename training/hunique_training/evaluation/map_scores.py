"""How good activation maps and their pseudo-labels are, on pictures with truth.

* mIoU over background and classes of each CAM above 0.5 and of the segmentation, as
  published (COSA section 5): the columns CAM, aux CAM, Seg_ps, Seg_vd of the authors' log.
* Precision, recall and IoU of each class by threshold: where the pseudo-labels that teach
  the segmentation are right, before refinement by colour moves their borders.

All activation maps are label-filtered: a CAM says where a class is, not whether.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hunique_training.evaluation.confusion import ConfusionScores, count_confusion, score_confusion
from hunique_training.evaluation.evidence import count_levels
from hunique_training.evaluation.figures import PixelColumn, Sums, iou, precision, recall
from hunique_training.evaluation.label_map import leave_out_unknown, true_labels
from hunique_training.evaluation.map_run import PictureMaps
from hunique_training.evaluation.truth import TruthPicture

CAM_THRESHOLD = 0.5
"""Above it a CAM is its class, up to it background, as published."""
CURVE_PERCENT = tuple(range(10, 91, 5))
"""Thresholds of the curves, in hundredths."""


@dataclass(frozen=True, kw_only=True)
class Curve:
    """One class of one kind of activation map, by threshold; NaN where undefined."""

    precision: tuple[float, ...]
    """At each threshold of `CURVE_PERCENT`."""
    recall: tuple[float, ...]
    """The same."""
    iou: tuple[float, ...]
    """The same."""


@dataclass(frozen=True, kw_only=True)
class MapScores:
    """Scores on all pictures together."""

    pictures: int
    """Pictures with a truth mask."""
    confusion: dict[str, ConfusionScores]
    """By kind of map, and `segmentation, <protocol>`; background first."""
    curves: dict[str, tuple[Curve, ...]]
    """By kind of map, for each class."""


def score_maps(pictures: Iterable[tuple[TruthPicture, PictureMaps]], class_count: int) -> MapScores:
    """Score maps picture by picture; only sums are kept."""
    tally = _Tally(class_count)
    for truth, maps in pictures:
        tally.add(truth, maps)
    return tally.scores()


class _Tally:
    def __init__(self, class_count: int) -> None:
        self._class_count = class_count
        self._pictures = 0
        self._confusion: dict[str, NDArray[np.int64]] = {}
        self._levels: dict[str, NDArray[np.int64]] = {}

    def add(self, truth: TruthPicture, maps: PictureMaps) -> None:
        self._pictures += 1
        predictions: dict[str, NDArray[np.integer]] = {
            f"segmentation, {protocol}": labels for protocol, labels in maps.segmentation.items()
        }
        for kind, activation in maps.activation.items():
            predictions[kind] = labels_above(activation, CAM_THRESHOLD)
            self._count_levels(kind, truth, activation)
        self._count_confusion(truth, predictions)

    def _count_confusion(
        self, truth: TruthPicture, predictions: dict[str, NDArray[np.integer]]
    ) -> None:
        label_count = self._class_count + 1
        for kind, predicted in predictions.items():
            labels = true_labels(truth, *predicted.shape)
            known = leave_out_unknown(predicted, labels, truth)
            counts = count_confusion(labels, known, label_count)
            self._confusion[kind] = self._confusion.get(kind, np.zeros_like(counts)) + counts

    def _count_levels(
        self, kind: str, truth: TruthPicture, activation: NDArray[np.float32]
    ) -> None:
        height, width = activation.shape[1:]
        empty = np.zeros((self._class_count, 2, 256), np.int64)
        sums = self._levels.setdefault(kind, empty)
        strongest = activation.argmax(axis=0)
        for c in range(self._class_count):
            if truth.scored(c) and truth.picture.labels[c] is True:
                own = np.where(strongest == c, activation[c], 0)
                sums[c] += count_levels(levels_of(own), truth.mask(c, height, width))

    def scores(self) -> MapScores:
        return MapScores(
            pictures=self._pictures,
            confusion={kind: score_confusion(one) for kind, one in self._confusion.items()},
            curves={
                kind: tuple(_curve(sums[c]) for c in range(self._class_count))
                for kind, sums in self._levels.items()
            },
        )


def labels_above(activation: NDArray[np.float32], threshold: float) -> NDArray[np.int64]:
    """(C, H, W) to (H, W): the strongest class, counted from 1, where it is above, else 0."""
    return np.where(activation.max(axis=0) > threshold, activation.argmax(axis=0) + 1, 0)


def levels_of(activation: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Values in [0, 1) to 0 to 99, so that level >= k means value > k/100, for k >= 1."""
    return np.clip(np.ceil(activation * 100) - 1, 0, 99).astype(np.uint8)


def _curve(counts: NDArray[np.int64]) -> Curve:
    """From (2, 256) truth and other pixels by level."""
    sums = np.stack([_sums_above(counts, percent) for percent in CURVE_PERCENT])
    named = {f.__name__: tuple(f(sums).value().tolist()) for f in (precision, recall, iou)}
    return Curve(**named)


def _sums_above(counts: NDArray[np.int64], level: int) -> Sums:
    sums = np.zeros(len(PixelColumn))
    sums[PixelColumn.HIT_PX] = counts[0, level:].sum()
    sums[PixelColumn.FALSE_PX] = counts[1, level:].sum()
    sums[PixelColumn.MISSED_PX] = counts[0, :level].sum()
    return sums
