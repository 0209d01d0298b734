"""One picture's pseudo-labels: strength, thresholds, refinement, decision.

    picture -> look -> strength -> relative strength -> refined -> decided -> picture's size

Relative strength puts every map and class on one scale: 1/4 at its low threshold, 3/4 at
its high one, straight lines between. Refinements average relative strength, so that they
move borders; what ends between 1/4 and 3/4 is ignored.
"""

from collections.abc import Sequence

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn.functional import interpolate

from hunique_training.checkpoint import ModelCheckpoint
from hunique_training.data.batches import to_tensor
from hunique_training.data.labels import DataError
from hunique_training.evaluation.dense_crf import dense_crf
from hunique_training.losses.cam_to_segmentation import IGNORE
from hunique_training.pseudo_labels.cam_labels import CamThresholds
from hunique_training.pseudo_labels.refinement import pixel_adaptive_refinement
from hunique_training.second_stage.labelling_config import LabellingConfig
from hunique_training.second_stage.strength import SOURCES, Look, thresholds_of

LOW, HIGH = 0.25, 0.75
"""Relative strength at the low and at the high threshold."""
_PAR_SUM = 1.01
"""Sum of the affinities of a place in PAR, as published."""


class Labeller:
    """Labels pictures by a trained model and their image-level labels.

    Args:
        model: the trained model.
        config: which map, thresholds, refinement.

    Raises:
        DataError: the model has no such map.
    """

    def __init__(self, model: ModelCheckpoint, config: LabellingConfig) -> None:
        if config.source not in SOURCES:
            raise DataError(f"expected one of {', '.join(SOURCES)}; found {config.source!r}")
        if config.source == "segmentation":
            require_segmentation(model)
        self._model = model
        self._config = config
        self._thresholds = thresholds_of(model, config)

    @torch.no_grad()
    def label(self, pixels: NDArray[np.uint8], labels: Sequence[bool | None]) -> NDArray[np.uint8]:
        """Labels of a picture (H, W, 3) uint8 sRGB.

        Returns:
            (H, W) uint8: 0 background, 1 to C, 255 ignored. A class labelled absent is nowhere;
            what the segmentation claims for a class of unknown label is ignored.
        """
        if not self._may_show(labels):
            return np.zeros(pixels.shape[:2], np.uint8)
        look = self._look(pixels, labels)
        strength = SOURCES[self._config.source](self._model, look, self._config)
        relative = self._refine(relative_strength(strength, self._thresholds), look.image)
        size = (look.image.shape[-2], look.image.shape[-1])
        relative = interpolate(relative, size=size, mode="bilinear", align_corners=False)[0]
        decided = decide(relative.cpu(), torch.tensor([label is None for label in labels]))
        height, width = pixels.shape[:2]
        sized = cv2.resize(decided, (width, height), interpolation=cv2.INTER_NEAREST)
        return np.asarray(sized, np.uint8)

    def _may_show(self, labels: Sequence[bool | None]) -> bool:
        """Whether the labels leave anything for the map to be: a CAM shows present classes alone."""
        if self._config.source == "segmentation":
            return any(label is not False for label in labels)
        return any(label is True for label in labels)

    def _look(self, pixels: NDArray[np.uint8], labels: Sequence[bool | None]) -> Look:
        """The picture with its longer side about the input size, sides in whole cells."""
        multiple_px = self._model.network.encoder.stride_px
        scale = self._model.input_size_px / max(pixels.shape[:2])
        height, width = (
            max(1, round(side * scale / multiple_px)) * multiple_px for side in pixels.shape[:2]
        )
        method = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
        sized = np.asarray(cv2.resize(pixels, (width, height), interpolation=method), np.uint8)
        device = next(self._model.network.parameters()).device
        stride = self._config.grid_stride_px
        return Look(
            to_tensor([sized]).to(device),
            torch.tensor([[float(label is True) for label in labels]], device=device),
            torch.tensor([[float(label is not False) for label in labels]], device=device),
            (max(1, height // stride), max(1, width // stride)),
        )

    def _refine(self, relative: torch.Tensor, image: torch.Tensor) -> torch.Tensor:
        config = self._config
        size = relative.shape[-2:]
        if config.refine == "none":
            return relative
        small = interpolate(image, size=size, mode="bilinear", antialias=True, align_corners=False)
        if config.refine == "crf":
            background = 1 - relative.amax(dim=1, keepdim=True)
            beliefs = torch.cat([background, relative], dim=1)
            return dense_crf(beliefs / beliefs.sum(dim=1, keepdim=True), small * 255)[:, 1:]
        moved = pixel_adaptive_refinement(
            small, relative, dilations=config.refine_dilations, iterations=config.refine_iterations
        )
        return moved / _PAR_SUM**config.refine_iterations


def require_segmentation(model: ModelCheckpoint) -> None:
    """Refuse a model whose segmentation was never trained.

    Raises:
        DataError: says what such a model can be labelled from.
    """
    if model.method != "cosa":
        raise DataError(
            f"expected a model with a trained segmentation, found one of the method "
            f"{model.method}, a classifier alone. Label from its activation maps: --from cam"
        )


def relative_strength(strength: torch.Tensor, thresholds: Sequence[CamThresholds]) -> torch.Tensor:
    """Strength (B, C, h, w) in [0, 1] to [0, 1] with 1/4 at each low and 3/4 at each high."""
    low = strength.new_tensor([each.low for each in thresholds])[None, :, None, None]
    high = strength.new_tensor([each.high for each in thresholds])[None, :, None, None]
    below = LOW * strength / low
    between = LOW + (HIGH - LOW) * (strength - low) / (high - low).clamp(min=1e-6)
    above = HIGH + (1 - HIGH) * (strength - high) / (1 - high)
    return torch.where(strength < low, below, torch.where(strength < high, between, above))


def decide(relative: torch.Tensor, unknown: torch.Tensor) -> NDArray[np.uint8]:
    """Relative strength (C, H, W) to labels (H, W) uint8.

    Args:
        relative: on the scale of `relative_strength`.
        unknown: (C,) bool: classes of unknown label, which can only make a place ignored.
    """
    strongest, winner = relative.max(dim=0)
    labels = torch.where(strongest >= HIGH, winner + 1, IGNORE)
    labels[unknown[winner]] = IGNORE
    labels[strongest < LOW] = 0
    return labels.to(torch.uint8).numpy()
