"""What one picture says about every threshold at once: counts by probability.

For each class the pixels are counted by their probability (256 steps) and by truth, so
that the IoU at any pixel threshold, gated by any presence threshold, follows by addition,
without running the network again.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hunique_training.evaluation.truth import FEATURE, NOT_SCORED, TruthPicture

LEVELS = 256


@dataclass(frozen=True, kw_only=True)
class PictureEvidence:
    """Counts of one picture."""

    labels: tuple[bool | None, ...]
    """Image-level labels."""
    source: str
    """Where the picture comes from."""
    group: str
    """Whom or what it shows."""
    raw_scores: NDArray[np.float32]
    """(C,) image-level probability, not calibrated."""
    scored: NDArray[np.bool_]
    """(C,) whether pixels of the class are scored."""
    feature_counts: NDArray[np.int64]
    """(C, 256) truth pixels by probability."""
    other_counts: NDArray[np.int64]
    """(C, 256) scored pixels that are not truth, by probability."""


def gather_evidence(
    truth: TruthPicture, probability: NDArray[np.uint8], raw_scores: NDArray[np.float32]
) -> PictureEvidence:
    """Count the pixels of one picture.

    Args:
        truth: the picture's masks.
        probability: (C, H, W) uint8, 255 times the pixel probability, upright frame.
        raw_scores: (C,) image-level probability, not calibrated.
    """
    count, height, width = probability.shape
    strongest = probability.argmax(axis=0)
    feature = np.zeros((count, LEVELS), np.int64)
    other = np.zeros((count, LEVELS), np.int64)
    scored = np.array([truth.scored(c) for c in range(count)])
    for c in np.flatnonzero(scored):
        own = np.where(strongest == c, probability[c], 0)
        mask = truth.mask(int(c), height, width)
        feature[c] = np.bincount(own[mask == FEATURE], minlength=LEVELS)
        other[c] = np.bincount(own[(mask != FEATURE) & (mask != NOT_SCORED)], minlength=LEVELS)
    return PictureEvidence(
        labels=truth.picture.labels,
        source=truth.picture.source,
        group=truth.picture.group,
        raw_scores=raw_scores,
        scored=scored,
        feature_counts=feature,
        other_counts=other,
    )


def iou_by_threshold(
    evidence: Iterable[PictureEvidence], class_index: int, admitted: Sequence[bool]
) -> NDArray[np.float64]:
    """IoU (256,) of a class at every pixel threshold k/255, over all pictures together.

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


def _at_least(counts: NDArray[np.int64]) -> NDArray[np.int64]:
    """How many have a value of at least k, for each k."""
    return counts[::-1].cumsum()[::-1]
