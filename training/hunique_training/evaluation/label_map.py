"""Truth as one label a pixel, which published scores want, from a mask for each class."""

import numpy as np
from numpy.typing import NDArray

from hunique_training.evaluation.confusion import LEFT_OUT
from hunique_training.evaluation.truth import FEATURE, NOT_SCORED, TruthPicture


def true_labels(truth: TruthPicture, height: int, width: int) -> NDArray[np.uint8]:
    """(height, width) uint8: 0 background, 1 to C classes, 255 left out.

    Left out are pixels that show two features, for they have no one label, and pixels that
    some class does not score and no other claims.
    """
    labels = np.zeros((height, width), np.uint8)
    features = np.zeros((height, width), np.uint8)
    for c, path in enumerate(truth.masks):
        if path is not None and truth.scored(c):
            mask = truth.mask(c, height, width)
            labels[(mask == NOT_SCORED) & (features == 0)] = LEFT_OUT
            labels[mask == FEATURE] = c + 1
            features += mask == FEATURE
    labels[features > 1] = LEFT_OUT
    return labels


def leave_out_unknown(
    predicted: NDArray[np.integer], labels: NDArray[np.uint8], truth: TruthPicture
) -> NDArray[np.integer]:
    """Predicted labels (H, W), 255 where a class that is not scored here takes background.

    Whether such a pixel is right or wrong is not known: the class is not labelled, or it is
    on the picture and has no mask.
    """
    unscored = [c + 1 for c in range(len(truth.masks)) if not truth.scored(c)]
    unknown = (labels == 0) & np.isin(predicted, unscored)
    return np.where(unknown, LEFT_OUT, predicted)
