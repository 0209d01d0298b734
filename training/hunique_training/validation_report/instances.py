"""Counting instances: which of the outlines that a model draws are features that are there.

A true instance is a connected area (8 neighbours) of the truth mask, as a found one is of
the model's. Pairs are matched greedily, the highest IoU first, each instance once; above an
IoU of 0.5 that is the only matching there is. Don't-care pixels count for neither side, and
found instances of which they are more than half are left out.
"""

from collections.abc import Callable, Sequence
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from hunique_models.mask import Mask, components
from hunique_training.evaluation.figures import Ratio, Sums
from hunique_training.evaluation.truth import FEATURE, NOT_SCORED


class InstanceColumn(IntEnum):
    """Sums of instances of one class, in this order."""

    CLAIMED = 0
    """Found by the model."""
    TRUE = 1
    """In the truth mask."""
    MATCHED_AT_25 = 2
    """Pairs with an IoU of at least 0.25."""
    MATCHED_AT_50 = 3
    """Pairs with an IoU of at least 0.5."""


THRESHOLDS = {InstanceColumn.MATCHED_AT_25: 0.25, InstanceColumn.MATCHED_AT_50: 0.5}
"""From which IoU on a pair is a match."""


def count_instances(claimed: Sequence[Mask], truth: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Count and match the instances of one class on one picture.

    Args:
        claimed: the instances found.
        truth: (H, W) uint8: 255 feature, 128 not scored, 0 not the feature.

    Returns:
        (4,) int64, see `InstanceColumn`.
    """
    counted = truth != NOT_SCORED
    true = components((truth == FEATURE).astype(np.uint8), 0)
    kept = [mask for mask in claimed if 2 * _area_px(mask, counted) >= mask.area_px]
    pairs = sorted(
        ((_iou(one, other, counted), i, j)
         for i, one in enumerate(kept) for j, other in enumerate(true)),
        key=lambda pair: (-pair[0], pair[1], pair[2]),
    )  # fmt: skip
    counts = np.zeros(len(InstanceColumn), np.int64)
    counts[InstanceColumn.CLAIMED], counts[InstanceColumn.TRUE] = len(kept), len(true)
    for column, threshold in THRESHOLDS.items():
        counts[column] = _matches(pairs, threshold)
    return counts


def _matches(pairs: Sequence[tuple[float, int, int]], threshold: float) -> int:
    used_claims: set[int] = set()
    used_truths: set[int] = set()
    for value, i, j in pairs:
        if value >= threshold and i not in used_claims and j not in used_truths:
            used_claims.add(i)
            used_truths.add(j)
    return len(used_claims)


def _area_px(mask: Mask, counted: NDArray[np.bool_]) -> int:
    x, y, width, height = mask.box
    return int(np.count_nonzero(mask.crop & counted[y : y + height, x : x + width]))


def _iou(one: Mask, other: Mask, counted: NDArray[np.bool_]) -> float:
    left, top = max(one.box.x, other.box.x), max(one.box.y, other.box.y)
    right = min(one.box.x + one.box.width, other.box.x + other.box.width)
    bottom = min(one.box.y + one.box.height, other.box.y + other.box.height)
    if left >= right or top >= bottom:
        return 0.0
    parts = [
        mask.crop[top - mask.box.y : bottom - mask.box.y, left - mask.box.x : right - mask.box.x]
        for mask in (one, other)
    ]
    shared = int(np.count_nonzero(parts[0] & parts[1]))  # truth has no pixel that is not counted
    return shared / (_area_px(one, counted) + other.area_px - shared)


def _share(part: InstanceColumn, whole: InstanceColumn) -> Callable[[Sums], Ratio]:
    return lambda sums: Ratio(sums[..., part], sums[..., whole])


INSTANCE_FIGURES: dict[str, Callable[[Sums], Ratio]] = {
    "instance_precision_50": _share(InstanceColumn.MATCHED_AT_50, InstanceColumn.CLAIMED),
    "instance_recall_50": _share(InstanceColumn.MATCHED_AT_50, InstanceColumn.TRUE),
    "instance_precision_25": _share(InstanceColumn.MATCHED_AT_25, InstanceColumn.CLAIMED),
    "instance_recall_25": _share(InstanceColumn.MATCHED_AT_25, InstanceColumn.TRUE),
}
"""Figures of instances by name, from sums in the order of `InstanceColumn`."""
