"""Which looks have a say in the mask of a class: those of levels, and of parts, that see it.

    image-level scores of all looks -> the best of each level -> levels that see the class
    the best of the whole picture, and of each part looked at on its own -> parts that see it

A feature that is small on a large photograph is seen by close levels alone; the far ones are
sure that it is not there, and would outvote the close ones in any mean. And where it is seen on
one hand, what looks like it on another or on the furniture is not it.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from hunique_models.findings import calibrated_score
from hunique_models.geometry import OVERVIEW_LEVEL, Look
from hunique_models.manifest import ClassSpec


def counting_looks(
    looks: Sequence[Look],
    scores: NDArray[np.float32],
    classes: Sequence[ClassSpec],
    sight_share: float,
) -> NDArray[np.bool_]:
    """Whether the answer of each look counts for each class.

    The overview counts for classes that have it. Where a level's best calibrated score is at
    least `sight_share` times the presence threshold it sees the class, and the levels that do not
    see it count no longer; where none does, all count.

    Args:
        looks: the L looks.
        scores: (L, C) image-level scores, not calibrated.
        classes: the C classes.
        sight_share: 0: all levels see everything.

    Returns:
        (L, C) bool.
    """
    levels = np.array([look.level for look in looks])
    counts = np.empty((len(looks), len(classes)), bool)
    for index, spec in enumerate(classes):
        counts[:, index] = spec.in_overview | (levels != OVERVIEW_LEVEL)
        if not sight_share:
            continue
        least = sight_share * spec.presence_threshold
        seeing = [
            level
            for level in np.unique(levels[counts[:, index]])
            if calibrated_score(float(scores[levels == level, index].max()), spec.calibration)
            >= least
        ]
        if seeing:
            counts[:, index] &= np.isin(levels, seeing)
    return counts


def counting_parts(scores: NDArray[np.float32], classes: Sequence[ClassSpec]) -> NDArray[np.bool_]:
    """Whether the mask of each part of a picture counts for each class.

    Where one part's score reaches the presence threshold, the others must reach it too; where
    none does, all count.

    Args:
        scores: (P, C) the best image-level score of each part, not calibrated.
        classes: the C classes.
    """
    counts = np.ones(scores.shape, bool)
    for index, spec in enumerate(classes):
        sees = [
            calibrated_score(float(score), spec.calibration) >= spec.presence_threshold
            for score in scores[:, index]
        ]
        if any(sees):
            counts[:, index] = sees
    return counts


def laying_order(scores: NDArray[np.float32], counts: NDArray[np.bool_]) -> NDArray[np.intp]:
    """In which order regions are laid into the map of each class: who sees it best comes last.

    Regions may have a fifth in common, where the last one has the last word: a hand that does not
    show the class must not wipe out what its neighbour shows.

    Args:
        scores: (R, C) the best image-level score of each region, not calibrated.
        counts: (R, C) whether its mask counts.

    Returns:
        (R, C) places of regions, first to last. Of equal ones the first given comes last.
    """
    places = np.broadcast_to(np.arange(len(scores))[:, None], scores.shape)
    return np.lexsort((-places, scores, counts), axis=0)
