"""What one CAM says of pixels at its threshold: labels, their weights, and the sure places.

CAM -> threshold (fixed, or following the CAMs) -> labels
    -> perplexity -> weights of pixels, places sure enough to compare
"""

from functools import partial
from typing import NamedTuple

import torch
from torch import nn
from torch.nn.functional import interpolate

from hunique_training.config import TrainConfig
from hunique_training.data.batch import Batch
from hunique_training.losses.cam_to_segmentation import IGNORE
from hunique_training.pseudo_labels.cam_labels import (
    CamThresholds,
    Refinement,
    cam_pseudo_labels,
)
from hunique_training.pseudo_labels.dynamic_threshold import DynamicThreshold
from hunique_training.pseudo_labels.perplexity import adaptive_weights, perplexity
from hunique_training.pseudo_labels.refinement import pixel_adaptive_refinement


class PixelLabels(NamedTuple):
    """Labels to learn a segmentation from."""

    labels: torch.Tensor
    """(B, h, w) int64: 0 background, 1 to C, 255 ignored."""
    weights: torch.Tensor | None
    """(B, h, w) float, mean 1 over what is not ignored; None weighs all pixels alike."""

    def part(self, places: slice) -> "PixelLabels":
        """Those of some of the pictures."""
        weights = None if self.weights is None else self.weights[places]
        return PixelLabels(self.labels[places], weights)


class SurePlaces(NamedTuple):
    """Labels to compare CAM vectors by."""

    labels: torch.Tensor
    """(B, h, w) int64: 0 background, 1 to C, 255 ignored."""
    kept: torch.Tensor
    """(B, h, w) bool: perplexity within the limit."""

    def part(self, places: slice) -> "SurePlaces":
        """Those of some of the pictures."""
        return SurePlaces(self.labels[places], self.kept[places])


class CamLabeller(nn.Module):
    """Labels from the main or the auxiliary CAM; a dynamic threshold is its only state.

    Args:
        fixed: thresholds where they are not dynamic.
        config: the run.
    """

    def __init__(self, fixed: CamThresholds, config: TrainConfig) -> None:
        super().__init__()
        self._fixed = fixed
        self._config = config
        dynamic = config.threshold == "dynamic"
        self.dynamic = DynamicThreshold(config.dynamic_threshold) if dynamic else None

    @property
    def thresholds(self) -> CamThresholds:
        """Where this CAM becomes foreground and background now."""
        if self.dynamic is None:
            return self._fixed
        return CamThresholds(high=self.dynamic.value, low=self.dynamic.value)

    @property
    def middle(self) -> float:
        """xi: the one threshold, or the middle of the two."""
        return (self.thresholds.high + self.thresholds.low) / 2

    def observe(self, cams: torch.Tensor, batch: Batch) -> None:
        """Let a dynamic threshold take in the CAMs (B, C, h, w) of a step."""
        if self.dynamic is not None:
            self.dynamic.observe(_strength(cams, batch), batch.inside(_size(cams)))

    def pixel_labels(self, cams: torch.Tensor, batch: Batch) -> PixelLabels:
        """Labels and weights of pixels from CAMs (B, C, h, w) in [0, 1)."""
        images = interpolate(batch.weak, size=_size(cams), mode="bilinear", align_corners=False)
        labels = cam_pseudo_labels(
            cams,
            batch.labels,
            batch.boxes_on(cams.shape[-1]),
            thresholds=self.thresholds,
            downscale=self._config.label_downscale,
            images=images,
            refine=self._refinement(),
        )
        if self._config.weighting == "none":
            return PixelLabels(labels, None)
        unsure = perplexity(_strength(cams, batch), self.middle, self._config.perplexity)
        return PixelLabels(labels, adaptive_weights(unsure, labels != IGNORE))

    def _refinement(self) -> Refinement | None:
        if not self._config.refine_dilations:
            return None
        return partial(
            pixel_adaptive_refinement,
            dilations=self._config.refine_dilations,
            iterations=self._config.refine_iterations,
        )

    def sure_places(self, cams: torch.Tensor, batch: Batch) -> SurePlaces:
        """Labels of places, unrefined, from CAMs (B, C, h, w) in [0, 1), and which are sure."""
        boxes = batch.boxes_on(cams.shape[-1])
        labels = cam_pseudo_labels(
            cams, batch.labels, boxes, thresholds=self.thresholds, downscale=1
        )
        unsure = perplexity(_strength(cams, batch), self.middle, self._config.perplexity)
        kept = (unsure <= self._config.contrast.perplexity_limit) & (labels != IGNORE)
        return SurePlaces(labels, kept)


def _strength(cams: torch.Tensor, batch: Batch) -> torch.Tensor:
    """The strongest present class at every place, (B, h, w) in [0, 1): v of the perplexity."""
    return (cams * batch.labels[:, :, None, None]).amax(dim=1)


def _size(maps: torch.Tensor) -> tuple[int, int]:
    return maps.shape[-2], maps.shape[-1]
