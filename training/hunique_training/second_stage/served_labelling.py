"""One picture's pseudo-labels from a model as it is served: every look, merged and refined.

    picture -> looks -> network -> merged, refined along colours -> relative strength -> decided

What serving sees closer, labels see closer too, so small features keep their outlines.
"""

from collections.abc import Sequence

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from hunique_models.geometry import Detail
from hunique_models.merging import to_log_odds
from hunique_models.pipeline import Pipeline
from hunique_training.checkpoint import ModelCheckpoint
from hunique_training.evaluation.torch_engine import TorchEngine
from hunique_training.manifest import manifest_of
from hunique_training.second_stage.labelling import HIGH, LOW, decide, require_segmentation

UNDECIDED_LOG_ODDS = 0.5
"""Places that are nearer to their threshold are ignored."""


class ServedLabeller:
    """Labels pictures by a trained model as it is served, and by their image-level labels.

    Args:
        model: the trained model, with the operating point it is served with.

    Raises:
        DataError: its segmentation was never trained.
    """

    def __init__(self, model: ModelCheckpoint) -> None:
        require_segmentation(model)
        manifest = manifest_of(model)
        self._pipeline, self._engine = Pipeline(manifest), TorchEngine(model.network)
        thresholds = np.array([spec.pixel_threshold for spec in manifest.classes], np.float32)
        self._borders = np.log(thresholds / (1 - thresholds))

    def label(self, pixels: NDArray[np.uint8], labels: Sequence[bool | None]) -> NDArray[np.uint8]:
        """Labels (H, W) uint8 of a picture (H, W, 3) uint8 sRGB, as `Labeller.label` gives them."""
        height, width = pixels.shape[:2]
        if all(label is False for label in labels):
            return np.zeros((height, width), np.uint8)
        looks = self._pipeline.look_at(pixels, Detail.STANDARD)
        merged = self._pipeline.merge(self._pipeline.see(pixels, looks, self._engine), pixels)
        strength = relative_to_borders(merged, self._borders)
        strength[[label is False for label in labels]] = 0
        unknown = torch.tensor([label is None for label in labels])
        decided = decide(torch.from_numpy(strength), unknown)
        sized = cv2.resize(decided, (width, height), interpolation=cv2.INTER_NEAREST)
        return np.asarray(sized, np.uint8)


def relative_to_borders(
    planes: NDArray[np.uint8], borders: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Planes (C, h, w) uint8 to relative strength: 1/2 at a class's border.

    It is 1/4 and 3/4 `UNDECIDED_LOG_ODDS` below and above it, and goes on beyond 0 and 1.

    Args:
        planes: 255 times the pixel probability.
        borders: (C,) log odds.
    """
    strength = planes.astype(np.float32)
    for plane in strength:
        to_log_odds(plane)
    strength -= borders[:, None, None]
    strength *= (HIGH - LOW) / (2 * UNDECIDED_LOG_ODDS)
    strength += (HIGH + LOW) / 2
    return strength
