"""Average precision of image-level scores, with a weight for each picture.

AP = sum_k (R_k - R_(k-1)) P_k over the distinct scores from the highest down, P and R
being precision and recall of all pictures that score at least so high: no interpolation,
and pictures of equal score enter together.
"""

import numpy as np
from numpy.typing import NDArray


class RankedLabels:
    """Labels in the order of their scores, ready to be weighted over and over.

    Args:
        scores: (N,) float.
        present: (N,) bool.
    """

    def __init__(self, scores: NDArray[np.floating], present: NDArray[np.bool_]) -> None:
        self._order = np.argsort(-scores, kind="stable")
        ranked = scores[self._order]
        self._present = present[self._order].astype(np.float64)
        self._last_of_equals = np.append(ranked[1:] != ranked[:-1], True)[: len(ranked)]

    def average_precision(self, weights: NDArray[np.floating]) -> NDArray[np.float64]:
        """AP (R,) under R sets of weights (R, N) >= 0; NaN without a picture that has it."""
        ordered = np.asarray(weights, np.float64)[:, self._order]
        found = (ordered * self._present).cumsum(axis=1)[:, self._last_of_equals]
        called = ordered.cumsum(axis=1)[:, self._last_of_equals]
        gained = np.diff(found, axis=1, prepend=0.0)
        precision = np.divide(found, called, out=np.zeros_like(found), where=called > 0)
        total, area = gained.sum(axis=1), (gained * precision).sum(axis=1)
        return np.divide(area, total, out=np.full_like(total, np.nan), where=total > 0)
