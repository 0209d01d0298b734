"""The assigner: the assignment network, and what it tells the online network of a batch.

weak views -> assignment network -> main CAM (or Mixed CAM) -> pixel labels
                                    auxiliary CAM           -> pixel labels, sure places
                                    segmentation            -> soft labels
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import nn
from torch.nn.functional import interpolate

from hunique_training.config import TrainConfig
from hunique_training.data.batch import Batch
from hunique_training.losses.ignored_consistency import sure_where_ignored
from hunique_training.network.cosa import CosaNetwork
from hunique_training.precision import in_precision
from hunique_training.pseudo_labels.box_constraints import (
    claim_in_boxes,
    confine_cams,
    confine_logits,
    lost_by_marks,
)
from hunique_training.pseudo_labels.cam_labeller import CamLabeller, PixelLabels, SurePlaces
from hunique_training.pseudo_labels.mixed_cam import mixed_cam, raised
from hunique_training.pseudo_labels.multi_scale import (
    AssignedMaps,
    maps_of_scales,
    sum_of_scales,
)
from hunique_training.pseudo_labels.segmentation_labels import segmentation_pseudo_labels


class Assignment(NamedTuple):
    """What the online network is to learn from one batch."""

    main: PixelLabels
    """From the main (or Mixed) CAM, on the labels' grid."""
    auxiliary: PixelLabels | None
    """From the auxiliary CAM, on the labels' grid; None where it has no share."""
    sure: SurePlaces | None
    """From the auxiliary CAM, on the CAM's grid; None without contrastive separation."""
    segmentation: torch.Tensor
    """(B, C+1, h, w) soft labels in [0, 1], on the labels' grid."""
    guided: torch.Tensor
    """(B, C) bool: classes of which the segmentation has something to teach."""
    ignored: torch.Tensor
    """(B, h, w) bool: pixels without a main label that the segmentation is sure of."""

    def part(self, places: slice) -> "Assignment":
        """That of some of the pictures."""
        return Assignment(
            self.main.part(places),
            None if self.auxiliary is None else self.auxiliary.part(places),
            None if self.sure is None else self.sure.part(places),
            self.segmentation[places],
            self.guided[places],
            self.ignored[places],
        )


class Assigner:
    """Assigns pseudo-labels to batches.

    Args:
        network: the assignment network.
        config: the run.
    """

    def __init__(self, network: CosaNetwork, config: TrainConfig) -> None:
        self.network = network
        self.main = CamLabeller(config.thresholds, config)
        self.auxiliary = CamLabeller(config.auxiliary_thresholds, config)
        self._config = config

    @property
    def memory(self) -> nn.ModuleDict:
        """What must be kept, beside the network, to go on exactly."""
        return nn.ModuleDict({"main": self.main, "auxiliary": self.auxiliary})

    def assign(self, parts: Sequence[Batch], batch: Batch) -> Assignment:
        """Look at the weak views part by part, and label them together.

        Args:
            parts: the pictures of `batch`, as many at once as the network is to see.
            batch: all of them.
        """
        seen = [self.see(part) for part in parts]
        maps = AssignedMaps(*map(torch.cat, zip(*seen, strict=True))) if len(seen) > 1 else seen[0]
        height, width = batch.weak.shape[-2:]
        stride = self.network.encoder.stride_px
        return self.label(maps, batch, (height // stride, width // stride))

    def see(self, batch: Batch) -> AssignedMaps:
        """What the assignment network sees on the weak views, on the labels' grid."""
        stride = self._config.label_stride_px
        height, width = batch.weak.shape[-2:]
        each = maps_of_scales(
            in_precision(self.network, self._config.precision),
            batch.weak,
            scales=self._config.assignment_scales,
            size=(height // stride, width // stride),
            multiple_px=self.network.encoder.stride_px,
        )
        last = self._config.auxiliary_cam_of_last_scale
        return sum_of_scales(each, auxiliary_of_last_scale=last)

    @torch.no_grad()
    def label(self, maps: AssignedMaps, batch: Batch, cam_size: tuple[int, int]) -> Assignment:
        """Label what was seen; dynamic thresholds take it in first."""
        config = self._config
        batch = batch.without(self._lost(maps, batch))
        maps = _confined(maps, batch)
        auxiliary = maps.auxiliary_cam
        main = mixed_cam(maps.cam, auxiliary, config.mixed_cam_shares)
        main = raised(main, config.cam_exponents)
        self.main.observe(main, batch)
        self.auxiliary.observe(auxiliary, batch)
        contrast = config.weights.contrastive_separation > 0
        segmentation = segmentation_pseudo_labels(
            maps.segmentation_logits, batch.labels, temperature=config.segmentation_temperature
        )
        labels = self._label(self.main, main, batch)
        size = (main.shape[2], main.shape[3])
        return Assignment(
            labels,
            self._label(self.auxiliary, auxiliary, batch) if config.auxiliary_share else None,
            self.auxiliary.sure_places(_resized(auxiliary, cam_size), batch) if contrast else None,
            segmentation,
            batch.known & ~self._silent(segmentation, batch),
            sure_where_ignored(
                labels.labels, batch.inside(size), segmentation, config.ignored_sure
            ),
        )

    def _label(self, labeller: CamLabeller, cams: torch.Tensor, batch: Batch) -> PixelLabels:
        """Labels and weights of pixels, of boxed classes as their boxes have it."""
        pixels = labeller.pixel_labels(cams, batch)
        if batch.marks is None:
            return pixels
        present = batch.labels[:, :, None, None]
        least = self._config.box_least_share
        side_px, boxes = batch.weak.shape[-1], batch.marks.class_boxes
        return PixelLabels(
            claim_in_boxes(pixels.labels, cams * present, boxes, side_px, least), pixels.weights
        )

    def _lost(self, maps: AssignedMaps, batch: Batch) -> torch.Tensor:
        """(B, C) bool: crops that no longer show what their pictures show.

        Each map is scaled to a maximum of 1, so a crop that missed the feature would get a
        false pseudo-label; the raw score tells (COSA section 7).
        """
        low = maps.class_logits.sigmoid() < self._config.lost_feature_score
        if batch.marks is not None:
            low = lost_by_marks(batch.marks, low)
        return (batch.labels > 0) & low

    def _silent(self, segmentation: torch.Tensor, batch: Batch) -> torch.Tensor:
        """(B, C) bool: classes that are there and of which the segmentation sees nothing."""
        if self._config.guide_silent_classes:
            return torch.zeros_like(batch.known)
        return (batch.labels > 0) & (segmentation[:, 1:].amax(dim=(2, 3)) < 0.5)


def _confined(maps: AssignedMaps, batch: Batch) -> AssignedMaps:
    """The maps, of boxed classes within their boxes."""
    if batch.marks is None or not batch.marks.class_boxes.shape[1]:
        return maps
    boxes, side_px = batch.marks.class_boxes, batch.weak.shape[-1]
    return maps._replace(
        cam=confine_cams(maps.cam, boxes, side_px),
        auxiliary_cam=confine_cams(maps.auxiliary_cam, boxes, side_px),
        segmentation_logits=confine_logits(maps.segmentation_logits, boxes, side_px),
    )


def _resized(maps: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    return interpolate(maps, size=size, mode="bilinear", align_corners=False)
