"""One step of CoSA: the assignment network assigns, the online network learns.

    weak views   -> assignment network -> CAMs, segmentation -> pseudo-labels
    strong views -> online network     -> logits, CAMs, segmentation
    losses: labels -> both classifiers; CAM labels -> segmentation; segmentation -> CAM

Suffixes give shapes: B pictures, C classes, H x W the crop, h x w the decoder's grid.
"""

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch.nn.functional import interpolate

from hunique_training.config import TrainConfig
from hunique_training.losses.cam_to_segmentation import cam_to_segmentation_loss
from hunique_training.losses.classification import classification_loss
from hunique_training.losses.segmentation_to_cam import segmentation_to_cam_loss
from hunique_training.network.cosa import CosaNetwork, CosaOutput
from hunique_training.pseudo_labels.cam_labels import CamThresholds, cam_pseudo_labels
from hunique_training.pseudo_labels.multi_scale import AssignedMaps, multi_scale_maps, stretch
from hunique_training.pseudo_labels.refinement import pixel_adaptive_refinement
from hunique_training.pseudo_labels.segmentation_labels import segmentation_pseudo_labels


@dataclass(frozen=True, kw_only=True)
class Batch:
    """The pictures of one step."""

    weak: torch.Tensor
    """(B, 3, H, W) float in [0, 1]."""
    strong: torch.Tensor
    """(B, 3, H, W) float in [0, 1], same geometry."""
    labels: torch.Tensor
    """(B, C) float: 1 present, 0 absent or unknown."""
    known: torch.Tensor
    """(B, C) bool: False where the label is unknown."""
    boxes: torch.Tensor
    """(B, 4) int: rows y0 to y1, columns x0 to x1 that show the picture."""


class Losses(NamedTuple):
    """The losses of a step, scalars, unweighted; zero while they are not used."""

    total: torch.Tensor
    """The weighted sum that is minimised."""
    classification: torch.Tensor
    """Of the final features."""
    auxiliary_classification: torch.Tensor
    """Of the earlier block."""
    cam_to_segmentation: torch.Tensor
    """Segmentation against CAM pseudo-labels."""
    segmentation_to_cam: torch.Tensor
    """CAM against segmentation pseudo-labels."""


def cosa_losses(
    online: CosaNetwork, assignment: CosaNetwork, batch: Batch, config: TrainConfig, step: int
) -> Losses:
    """Losses of `step` (from 0); pseudo-labels join after the warm-up."""
    output: CosaOutput = online(batch.strong)
    plain = classification_loss(output.class_logits, batch.labels, batch.known)
    auxiliary = classification_loss(output.auxiliary_class_logits, batch.labels, batch.known)
    if step < config.loss_warm_up_steps:
        zero = plain.new_zeros(())
        return Losses(plain + auxiliary, plain, auxiliary, zero, zero)
    maps = assign(assignment, batch, config)
    to_segmentation = _guide_segmentation(output, maps, batch, config)
    to_cam = _guide_cam(output, maps, batch, config)
    total = (
        plain
        + auxiliary
        + config.weights.cam_to_segmentation * to_segmentation
        + config.weights.segmentation_to_cam * to_cam
    )
    return Losses(total, plain, auxiliary, to_segmentation, to_cam)


def assign(assignment: CosaNetwork, batch: Batch, config: TrainConfig) -> AssignedMaps:
    """What the assignment network sees on the weak views, on the pseudo-labels' grid."""
    stride = config.label_stride_px
    height, width = batch.weak.shape[-2:]
    return multi_scale_maps(
        assignment,
        batch.weak,
        scales=config.assignment_scales,
        size=(height // stride, width // stride),
        multiple_px=assignment.encoder.stride_px,
    )


def pseudo_labels_of(
    cams: torch.Tensor, batch: Batch, thresholds: CamThresholds, config: TrainConfig
) -> torch.Tensor:
    """CAM pseudo-labels (B, h, w) int64 on the grid of `cams` (B, C, h, w)."""
    size = cams.shape[-2:]
    ratio = batch.weak.shape[-1] // size[-1]
    images = interpolate(batch.weak, size=size, mode="bilinear", align_corners=False)
    return cam_pseudo_labels(
        cams,
        batch.labels,
        batch.boxes // ratio,
        thresholds=thresholds,
        downscale=config.label_downscale,
        images=images,
        refine=pixel_adaptive_refinement if config.refine else None,
    )


def _guide_segmentation(
    output: CosaOutput, maps: AssignedMaps, batch: Batch, config: TrainConfig
) -> torch.Tensor:
    """CAM to segmentation.

    Classes whose label is unknown count as background here: were their channel left out of
    the softmax instead, nothing would hold it down on such pictures.
    """
    logits = output.segmentation_logits
    if logits.shape[-2:] != maps.cam.shape[-2:]:
        size = maps.cam.shape[-2:]
        logits = interpolate(logits, size=size, mode="bilinear", align_corners=False)
    sources = [(_mixed_cam(maps, config), config.thresholds, 1 - config.auxiliary_share)]
    if config.auxiliary_share:
        sources += [(maps.auxiliary_cam, config.auxiliary_thresholds, config.auxiliary_share)]
    losses = [
        share
        * cam_to_segmentation_loss(
            logits,
            pseudo_labels_of(cams, batch, thresholds, config),
            by_class=config.class_balanced,
        )
        for cams, thresholds, share in sources
    ]
    return torch.stack(losses).sum()


def _mixed_cam(maps: AssignedMaps, config: TrainConfig) -> torch.Tensor:
    """The talk's Mixed CAM, with a share for each class: (B, C, h, w) in [0, 1)."""
    if not config.mixed_cam_shares:
        return maps.cam
    share = maps.cam.new_tensor(config.mixed_cam_shares)[None, :, None, None]
    return stretch((1 - share) * maps.cam + share * maps.auxiliary_cam)


def _guide_cam(
    output: CosaOutput, maps: AssignedMaps, batch: Batch, config: TrainConfig
) -> torch.Tensor:
    target = segmentation_pseudo_labels(
        maps.segmentation_logits, batch.labels, temperature=config.segmentation_temperature
    )
    guided = (output.cam, output.auxiliary_cam) if config.guide_auxiliary_cam else (output.cam,)
    losses = [
        segmentation_to_cam_loss(cam, target, rectify=config.rectify_guided_cam, known=batch.known)
        for cam in guided
    ]
    return torch.stack(losses).mean()
