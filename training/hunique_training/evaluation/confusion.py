"""Mean IoU over background and classes, as published, from one confusion matrix.

These are the scores of CoSA's release (`evaluation.scores`, `pseudo_scores` and the mean
of `format_tabs`): every pixel has one label, 0 the background, 1 to C the classes, 255
left out.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

LEFT_OUT = 255


class ConfusionScores(NamedTuple):
    """Scores of a confusion matrix over n = C + 1 labels, 0 to 1; NaN where undefined."""

    iou: NDArray[np.float64]
    """(n,) IoU of each label."""
    mean_iou: float
    """Mean over the labels that the truth has."""
    reported_miou_percent: float
    """Mean over the labels of the IoU in percent, each rounded to two digits first: the
    number of the paper's tables. Labels without an IoU are left out of it."""
    pixel_accuracy: float
    """Share of pixels with the right label."""
    mean_accuracy: float
    """Mean share of right pixels over the labels that the truth has."""


def count_confusion(
    truth: NDArray[np.integer], predicted: NDArray[np.integer], label_count: int
) -> NDArray[np.int64]:
    """Pixels by true label (rows) and predicted label: (n, n) int64.

    Pixels whose truth is no label or whose prediction is 255 are left out.

    Args:
        truth: any shape, 0 to n - 1 or 255.
        predicted: the same shape, 0 to n - 1 or 255.
        label_count: n.
    """
    counted = (truth >= 0) & (truth < label_count) & (predicted != LEFT_OUT)
    pairs = truth[counted].astype(np.int64) * label_count + predicted[counted]
    return np.bincount(pairs, minlength=label_count**2).reshape(label_count, label_count)


def score_confusion(confusion: NDArray[np.int64]) -> ConfusionScores:
    """Scores of a confusion matrix (n, n), true labels in rows."""
    right, true, predicted = confusion.diagonal(), confusion.sum(axis=1), confusion.sum(axis=0)
    iou = _divide(right, true + predicted - right)
    recall = _divide(right, true)
    return ConfusionScores(
        iou=iou,
        mean_iou=_mean(iou[true > 0]),
        reported_miou_percent=_mean(np.round(100 * iou[~np.isnan(iou)], 2)),
        pixel_accuracy=float(_divide(right.sum(), true.sum())),
        mean_accuracy=_mean(recall[true > 0]),
    )


def _divide(part: NDArray[np.int64], whole: NDArray[np.int64]) -> NDArray[np.float64]:
    undefined = np.full(np.shape(whole), np.nan)
    return np.divide(part, whole, out=undefined, where=np.asarray(whole > 0))


def _mean(values: NDArray[np.float64]) -> float:
    return float(values.mean()) if len(values) else float("nan")
