"""95 % intervals by bootstrap over groups.

Pictures of one person, nail or session are alike, so whole groups are drawn with
replacement, as many as there are, and every figure is worked out again from the sums of
the groups drawn. The interval is that of the 2.5th and the 97.5th percentile. What it
tells is how figures would vary with other people in the pictures, not with another
training run.
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

DEFAULT_RESAMPLES = 1000
SEED = 0
"""Of the drawing; fixed, so that figures repeat."""
_BLOCK_VALUES = 4_000_000
"""Weights in memory at once."""


def draw_multiplicities(
    group_count: int, picture_count: int, resamples: int
) -> Iterator[NDArray[np.float64]]:
    """How often each group was drawn: blocks (B, G) float64 of `resamples` rows in all.

    A row depends on the seed, its number and G alone, not on the size of blocks.

    Args:
        group_count: G, at least 1.
        picture_count: at least G; blocks are small enough to give each picture a weight.
        resamples: rows in all.
    """
    rng = np.random.default_rng(SEED)
    block = max(1, _BLOCK_VALUES // picture_count)
    for start in range(0, resamples, block):
        rows = [
            np.bincount(rng.integers(0, group_count, group_count), minlength=group_count)
            for _ in range(min(block, resamples - start))
        ]
        yield np.stack(rows).astype(np.float64)


def percentile_interval(
    resampled: NDArray[np.float64], contributing_groups: int
) -> tuple[float, float]:
    """The 2.5th and 97.5th percentile of a figure's resamples (R,).

    Resamples in which the figure is undefined are left out. With fewer than two groups
    that contribute there is nothing to resample: (NaN, NaN).
    """
    defined = resampled[~np.isnan(resampled)]
    if contributing_groups < 2 or not len(defined):
        return float("nan"), float("nan")
    low, high = np.percentile(defined, (2.5, 97.5))
    return float(low), float(high)
