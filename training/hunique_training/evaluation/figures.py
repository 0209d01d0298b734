"""The figures of a class as ratios of sums, for one set of pictures or many resampled ones.

Sums stand in the last axis of an array, so that the same line of code scores a data set
(K,), its groups (G, K) and its resamples (R, K). Every figure is a numerator and a
denominator; where the denominator is 0 there is no figure (NaN).
"""

from collections.abc import Callable
from enum import IntEnum
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Sums = NDArray[np.float64]


class PixelColumn(IntEnum):
    """Sums of pixels of one class under one protocol, in this order."""

    HIT_PX = 0
    """Claimed and true."""
    FALSE_PX = 1
    """Claimed, not true."""
    MISSED_PX = 2
    """True, not claimed."""
    CLAIMED_BORDER_PX = 3
    """Border of claims."""
    CLAIMED_BORDER_HIT_PX = 4
    """Border of claims that is near the border of the truth."""
    TRUE_BORDER_PX = 5
    """Border of the truth."""
    TRUE_BORDER_HIT_PX = 6
    """Border of the truth that is near the border of claims."""


class ImageColumn(IntEnum):
    """Sums of pictures of one class, in this order."""

    HITS = 0
    """Called present and labelled present."""
    ALARMS = 1
    """Called present and labelled absent."""
    PRESENT = 2
    """Labelled present."""
    ABSENT = 3
    """Labelled absent."""


class Ratio(NamedTuple):
    """A figure before it is divided."""

    part: Sums
    """Numerator."""
    whole: Sums
    """Denominator; 0 where the figure is undefined."""

    def value(self) -> Sums:
        """Part by whole, NaN where that is undefined."""
        defined = self.whole > 0
        return np.divide(self.part, self.whole, out=np.full_like(self.whole, np.nan), where=defined)


def iou(sums: Sums) -> Ratio:
    """Intersection over union."""
    hit, false, missed = _pixels(sums)
    return Ratio(hit, hit + false + missed)


def dice(sums: Sums) -> Ratio:
    """Twice the intersection over both areas: F1 of pixels."""
    hit, false, missed = _pixels(sums)
    return Ratio(2 * hit, 2 * hit + false + missed)


def precision(sums: Sums) -> Ratio:
    """Share of claimed pixels that are true."""
    hit, false, _ = _pixels(sums)
    return Ratio(hit, hit + false)


def recall(sums: Sums) -> Ratio:
    """Share of true pixels that are claimed."""
    hit, _, missed = _pixels(sums)
    return Ratio(hit, hit + missed)


def boundary_f(sums: Sums) -> Ratio:
    """Harmonic mean of border precision and border recall, see `borders`.

    0 where one of the masks has a border and the other has none.
    """
    claimed = sums[..., PixelColumn.CLAIMED_BORDER_PX]
    claimed_hit = sums[..., PixelColumn.CLAIMED_BORDER_HIT_PX]
    true = sums[..., PixelColumn.TRUE_BORDER_PX]
    true_hit = sums[..., PixelColumn.TRUE_BORDER_HIT_PX]
    # 2 P R / (P + R) with P = claimed_hit / claimed, R = true_hit / true
    whole = claimed_hit * true + true_hit * claimed
    one_sided = (whole == 0) & (claimed + true > 0)
    return Ratio(2 * claimed_hit * true_hit, np.where(one_sided, 1.0, whole))


def image_f1(sums: Sums) -> Ratio:
    """F1 of the presence decision."""
    hits = sums[..., ImageColumn.HITS]
    return Ratio(2 * hits, sums[..., ImageColumn.PRESENT] + hits + sums[..., ImageColumn.ALARMS])


def sensitivity(sums: Sums) -> Ratio:
    """Share of pictures with the class that are called present."""
    return Ratio(sums[..., ImageColumn.HITS], sums[..., ImageColumn.PRESENT])


def specificity(sums: Sums) -> Ratio:
    """Share of pictures without the class that are called absent."""
    absent = sums[..., ImageColumn.ABSENT]
    return Ratio(absent - sums[..., ImageColumn.ALARMS], absent)


def _pixels(sums: Sums) -> tuple[Sums, Sums, Sums]:
    return (
        sums[..., PixelColumn.HIT_PX],
        sums[..., PixelColumn.FALSE_PX],
        sums[..., PixelColumn.MISSED_PX],
    )


PIXEL_FIGURES: dict[str, Callable[[Sums], Ratio]] = {
    f.__name__: f for f in (iou, dice, precision, recall, boundary_f)
}
"""Figures of masks by name, from sums in the order of `PixelColumn`."""
IMAGE_FIGURES: dict[str, Callable[[Sums], Ratio]] = {
    f.__name__: f for f in (image_f1, sensitivity, specificity)
}
"""Figures of presence by name, from sums in the order of `ImageColumn`."""
