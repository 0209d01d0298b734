"""What one picture says about every threshold at once: counts by probability.

For each class the pixels are counted by their probability (256 steps) and by truth, so
that the IoU at any pixel threshold, gated by any presence threshold, follows by addition,
without running the network again. Both protocols are counted in the same pass. Borders
do not add up over thresholds; they are counted at those that a `BorderRule` names.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from hunique_training.evaluation.borders import BorderRule, count_border
from hunique_training.evaluation.protocol import Protocol, strongest_only
from hunique_training.evaluation.truth import FEATURE, NOT_SCORED, TruthPicture

LEVELS = 256


@dataclass(frozen=True, kw_only=True)
class BorderCounts:
    """Border pixels of one picture at one threshold a class."""

    levels: tuple[int, ...]
    """Per class: the pixel threshold, 1 to 255."""
    counts: dict[Protocol, NDArray[np.int64]]
    """(C, 4), as `count_border` gives them, for a class that is admitted."""


@dataclass(frozen=True, kw_only=True)
class PictureEvidence:
    """Counts of one picture."""

    labels: tuple[bool | None, ...]
    """Image-level labels."""
    source: str
    """Where the picture comes from."""
    group: str
    """Whom or what it shows; a picture without a group is its own."""
    raw_scores: NDArray[np.float32]
    """(C,) image-level probability, not calibrated."""
    scored: NDArray[np.bool_]
    """(C,) whether pixels of the class are scored."""
    feature_counts: NDArray[np.integer]
    """(C, 256) truth pixels by probability, label-free."""
    other_counts: NDArray[np.integer]
    """(C, 256) scored pixels that are not truth, by probability, label-free."""
    filtered: dict[int, NDArray[np.integer]] = field(default_factory=dict)
    """Class index to (2, 256), truth and other pixels by probability, label-filtered;
    only for classes labelled present, and only where forbidding changes the counts."""
    borders: BorderCounts | None = None
    """Counts of borders, if they were asked for."""

    def counts(self, class_index: int, protocol: Protocol) -> NDArray[np.integer]:
        """(2, 256): truth and other pixels of a class that is admitted, by probability."""
        if protocol is Protocol.LABEL_FILTERED and class_index in self.filtered:
            return self.filtered[class_index]
        return np.stack([self.feature_counts[class_index], self.other_counts[class_index]])


def gather_evidence(
    truth: TruthPicture,
    probability: NDArray[np.uint8],
    raw_scores: NDArray[np.float32],
    border_rule: BorderRule | None = None,
) -> PictureEvidence:
    """Count the pixels of one picture.

    Args:
        truth: the picture's masks.
        probability: (C, H, W) uint8, 255 times the pixel probability, upright frame.
        raw_scores: (C,) image-level probability, not calibrated.
        border_rule: where borders are counted; None leaves them out.
    """
    picture, (count, height, width) = truth.picture, probability.shape
    scored = np.array([truth.scored(c) for c in range(count)])
    masks = {int(c): truth.mask(int(c), height, width) for c in np.flatnonzero(scored)}
    own = {p: strongest_only(probability, picture.labels, p) for p in Protocol}
    counts = np.zeros((count, 2, LEVELS), np.uint32)
    filtered: dict[int, NDArray[np.integer]] = {}
    for c, mask in masks.items():
        counts[c] = count_levels(own[Protocol.LABEL_FREE][c], mask)
        if picture.labels[c] is True:
            other = count_levels(own[Protocol.LABEL_FILTERED][c], mask)
            filtered |= {} if np.array_equal(other, counts[c]) else {c: other}
    return PictureEvidence(
        labels=picture.labels,
        source=picture.source,
        group=picture.group or str(picture.path),
        raw_scores=raw_scores,
        scored=scored,
        feature_counts=counts[:, 0],
        other_counts=counts[:, 1],
        filtered=filtered,
        borders=None if border_rule is None else _count_borders(own, masks, border_rule),
    )


def count_levels(values: NDArray[np.uint8], mask: NDArray[np.uint8]) -> NDArray[np.uint32]:
    """(2, 256): truth and other pixels by value; what is not scored is left out.

    Args:
        values: (H, W) uint8.
        mask: (H, W) uint8 of 0, 128 (not scored), 255 (feature).
    """
    parts = (values[mask == FEATURE], values[(mask != FEATURE) & (mask != NOT_SCORED)])
    return np.stack([np.bincount(part, minlength=LEVELS) for part in parts]).astype(np.uint32)


def _count_borders(
    own: dict[Protocol, NDArray[np.uint8]], masks: dict[int, NDArray[np.uint8]], rule: BorderRule
) -> BorderCounts:
    counts = {protocol: np.zeros((len(planes), 4), np.int64) for protocol, planes in own.items()}
    for c, mask in masks.items():
        tolerance_px = rule.tolerance_px(*mask.shape)
        free, filtered = (own[p][c] >= rule.levels[c] for p in Protocol)
        counts[Protocol.LABEL_FREE][c] = count_border(free, mask, tolerance_px)
        counts[Protocol.LABEL_FILTERED][c] = (
            counts[Protocol.LABEL_FREE][c]
            if np.array_equal(free, filtered)
            else count_border(filtered, mask, tolerance_px)
        )
    return BorderCounts(levels=rule.levels, counts=counts)


def iou_by_threshold(
    evidence: Iterable[PictureEvidence], class_index: int, admitted: Sequence[bool]
) -> NDArray[np.float64]:
    """Label-free IoU (256,) of a class at every pixel threshold k/255, all pictures together.

    Args:
        evidence: the pictures.
        class_index: the class.
        admitted: per picture, whether the class counts as present; where not, every truth
            pixel of it is missed and nothing is claimed.
    """
    hits = np.zeros(LEVELS)
    claims = np.zeros(LEVELS)
    truth_px = 0
    for one, counts in zip(evidence, admitted, strict=True):
        if not one.scored[class_index]:
            continue
        truth_px += int(one.feature_counts[class_index].sum())
        if counts:
            hits += _at_least(one.feature_counts[class_index])
            claims += _at_least(one.other_counts[class_index])
    union = truth_px + claims
    return np.divide(hits, union, out=np.zeros(LEVELS), where=union > 0)


def outlined_by_threshold(
    evidence: Iterable[PictureEvidence],
    class_index: int,
    admitted: Sequence[bool],
    min_area_share: float,
) -> NDArray[np.float64]:
    """Share (256,) of pictures rightly called present that claim enough at every pixel threshold.

    Args:
        evidence: the pictures; those with scored pixels of the class count.
        class_index: the class.
        admitted: per picture, whether the class counts as present.
        min_area_share: a smaller share of the scored pixels is no outline.

    Returns:
        Of each k/255; zeros where no picture counts.
    """
    outlined, count = np.zeros(LEVELS), 0
    for one, counts in zip(evidence, admitted, strict=True):
        if not (counts and one.scored[class_index] and one.labels[class_index]):
            continue
        pixels = one.feature_counts[class_index] + one.other_counts[class_index]
        outlined += _at_least(pixels) >= max(1, round(min_area_share * pixels.sum()))
        count += 1
    return outlined / max(count, 1)


def _at_least(counts: NDArray[np.integer]) -> NDArray[np.integer]:
    """How many have a value of at least k, for each k."""
    return counts[::-1].cumsum()[::-1]
