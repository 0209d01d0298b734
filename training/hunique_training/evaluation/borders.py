"""Borders of masks: how much of them lies where the other mask's border is.

Boundary F after Martin et al., TPAMI 2004, with the matching of Perazzi et al., CVPR 2016
(DAVIS): a border pixel is matched where the other mask has a border pixel within a
tolerance, a share of the picture's diagonal rounded up to whole pixels::

    precision = matched border pixels of the claim / its border pixels
    recall    = matched border pixels of the truth / its border pixels
    F         = 2 precision recall / (precision + recall)

Counts are added up over pictures before they are divided, as in Martin's benchmark and as
for the IoU, so that false alarms and missed pictures count.
"""

from dataclasses import dataclass
from math import ceil, hypot

import cv2
import numpy as np
from numpy.typing import NDArray

from hunique_training.evaluation.truth import FEATURE, NOT_SCORED

DEFAULT_TOLERANCE_SHARE = 0.008
"""Share of the diagonal within which borders match; DAVIS's. 11 px at 1,024 x 768."""
_CROSS = cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3))

Bits = NDArray[np.bool_]


@dataclass(frozen=True, kw_only=True)
class BorderRule:
    """At which thresholds borders are looked at, and how near they must lie."""

    levels: tuple[int, ...]
    """Per class: pixel threshold, 1 to 255."""
    tolerance_share: float = DEFAULT_TOLERANCE_SHARE
    """Share of the picture's diagonal."""

    def tolerance_px(self, height: int, width: int) -> int:
        """The tolerance on a picture, at least one pixel."""
        return max(1, ceil(self.tolerance_share * hypot(height, width)))


def count_border(claim: Bits, truth: NDArray[np.uint8], tolerance_px: int) -> NDArray[np.int64]:
    """Count the border pixels of a claimed and a true mask and those matched.

    A border pixel belongs to its mask and has one of its four neighbours outside it; the
    picture's edge is no border. Border pixels in a don't-care area or within the tolerance
    of it are not counted, but others may be matched by them.

    Args:
        claim: (H, W) bool, the mask that the model draws.
        truth: (H, W) uint8: 255 feature, 128 not scored, 0 not the feature.
        tolerance_px: largest distance of a match.

    Returns:
        (4,) int64: claimed, claimed and matched, true, true and matched.
    """
    feature = truth == FEATURE
    window = _window(claim | feature, tolerance_px + 1)
    if window is None:
        return np.zeros(4, np.int64)
    claimed, true = border(claim[window]), border(feature[window])
    counted = ~near(truth[window] == NOT_SCORED, tolerance_px)
    parts = (
        claimed & counted,
        claimed & counted & near(true, tolerance_px),
        true & counted,
        true & counted & near(claimed, tolerance_px),
    )
    return np.array([np.count_nonzero(part) for part in parts], np.int64)


def border(mask: Bits) -> Bits:
    """Pixels of a mask (H, W) bool with one of the four neighbours outside it."""
    return mask & (cv2.erode(mask.astype(np.uint8), _CROSS) == 0)


def near(mask: Bits, distance_px: int) -> Bits:
    """Pixels (H, W) bool at most so far, in a straight line, from a pixel of the mask."""
    if not mask.any():
        return mask
    distance = cv2.distanceTransform((~mask).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    return np.asarray(distance <= distance_px + 1e-3)  # distances are float32


def _window(mask: Bits, margin_px: int) -> tuple[slice, slice] | None:
    """Rows and columns that hold the mask and a margin; None where it is empty."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not len(rows):
        return None
    return (
        slice(max(0, int(rows[0]) - margin_px), int(rows[-1]) + margin_px + 1),
        slice(max(0, int(columns[0]) - margin_px), int(columns[-1]) + margin_px + 1),
    )
