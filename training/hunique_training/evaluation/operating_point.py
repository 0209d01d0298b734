"""Choosing, on validation pictures, where a class counts as present and which pixels are its.

Scores are calibrated first (Platt, 1999: score = sigmoid(a logit(raw) + b), fitted to the
image-level labels), then the presence threshold is the one with the best image-level F1,
and the pixel threshold the one with the best IoU over all pictures given that gate, times the
share of pictures rightly called present that keep an outline: without one they are served as absent.
"""

import dataclasses
from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from hunique_training.checkpoint import ClassOperatingPoint
from hunique_training.evaluation.evidence import (
    PictureEvidence,
    iou_by_threshold,
    outlined_by_threshold,
)
from hunique_training.manifest import MIN_AREA_SHARE

PIXEL_RANGE = (8, 250)
"""Pixel thresholds tried, of 255: 0.03 to 0.98. High ones matter: losses that weigh a small
feature as much as all the rest make probabilities around it large. Low ones too: a CAM pooled
over fewer places than a feature covers is sure of its core alone."""


class Scored(Protocol):
    """A picture that a model has scored."""

    @property
    def labels(self) -> tuple[bool | None, ...]:
        """Image-level labels."""

    @property
    def raw_scores(self) -> NDArray[np.float32]:
        """(C,) image-level probability, not calibrated."""


def choose_operating_point(
    evidence: Sequence[PictureEvidence], class_index: int
) -> ClassOperatingPoint:
    """The operating point of one class on these pictures.

    The pixel threshold stays 0.5 where no mask tells one from another: no picture that counts
    as present has scored pixels of the class, or the model claims none of them.
    """
    point = choose_presence(evidence, class_index)
    raw = np.array([one.raw_scores[class_index] for one in evidence], np.float64)
    scores = calibrated(raw, point.calibration_scale, point.calibration_offset)
    admitted = (scores >= point.presence_threshold).tolist()
    low, high = PIXEL_RANGE
    worth = iou_by_threshold(evidence, class_index, admitted)
    worth *= outlined_by_threshold(evidence, class_index, admitted, MIN_AREA_SHARE)
    if not worth[low : high + 1].any():
        return point
    pixel = low + int(worth[low : high + 1].argmax())
    return dataclasses.replace(point, pixel_threshold=round(pixel / 255, 4))


def choose_presence(scored: Sequence[Scored], class_index: int) -> ClassOperatingPoint:
    """When a class counts as present on these pictures; the pixel threshold is 0.5."""
    known = [one for one in scored if one.labels[class_index] is not None]
    raw = np.array([one.raw_scores[class_index] for one in known], np.float64)
    present = np.array([bool(one.labels[class_index]) for one in known], bool)
    scale, offset = fit_calibration(raw, present)
    presence = best_f1_threshold(calibrated(raw, scale, offset), present)
    return ClassOperatingPoint(
        presence_threshold=round(float(presence), 4),
        pixel_threshold=0.5,
        calibration_scale=round(scale, 4),
        calibration_offset=round(offset, 4),
    )


def calibrated(
    raw: NDArray[np.float64] | np.float32, scale: float, offset: float
) -> NDArray[np.float64]:
    """sigmoid(scale * logit(raw) + offset), elementwise."""
    # few pictures can be told apart by any slope: exp must not overflow there
    return 1 / (1 + np.exp(np.minimum(-(scale * _logit(raw) + offset), 700)))


def _logit(raw: NDArray[np.float64] | np.float32) -> NDArray[np.float64]:
    clipped = np.clip(np.asarray(raw, np.float64), 1e-6, 1 - 1e-6)
    return np.log(clipped / (1 - clipped))


def fit_calibration(raw: NDArray[np.float64], present: NDArray[np.bool_]) -> tuple[float, float]:
    """Scale and offset of least cross-entropy, with Platt's smoothed targets.

    Where only one kind of label is there, nothing can be fitted: (1, 0).
    """
    positives, negatives = int(present.sum()), int((~present).sum())
    if not positives or not negatives:
        return 1.0, 0.0
    target = np.where(present, (positives + 1) / (positives + 2), 1 / (negatives + 2))
    logit = _logit(raw)

    def loss(parameters: NDArray[np.float64]) -> float:
        z = parameters[0] * logit + parameters[1]
        return float((np.logaddexp(0, z) - target * z).mean())

    fitted = minimize(loss, np.array([1.0, 0.0]), method="Nelder-Mead").x
    return float(max(fitted[0], 1e-3)), float(fitted[1])


def best_f1_threshold(scores: NDArray[np.float64], present: NDArray[np.bool_]) -> float:
    """The score from which calling a class present gives the best F1; 0.5 without positives."""
    if not present.any():
        return 0.5
    order = np.argsort(-scores, kind="stable")
    ranked, hits = scores[order], present[order].cumsum()
    f1 = 2 * hits / (np.arange(1, len(order) + 1) + present.sum())
    best = int(f1.argmax())
    below = ranked[best + 1] if best + 1 < len(ranked) else 0.0
    return float((ranked[best] + below) / 2)
