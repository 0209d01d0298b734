"""One step of CoSA: the assignment network assigns, the online network learns.

weak views   -> assigner (assignment network) -> pseudo-labels
strong views -> online network                -> logits, CAMs, segmentation
losses: labels -> both classifiers; CAM labels -> segmentation; segmentation -> CAM;
        sure places -> CAM vectors (contrastive separation); picture -> segmentation
        (dense energy)
"""

from typing import NamedTuple

import torch
from torch.nn.functional import interpolate

from hunique_training.config import TrainConfig
from hunique_training.data.batch import Batch
from hunique_training.losses.cam_to_segmentation import (
    IGNORE,
    cam_to_segmentation_loss,
    pixel_mean_loss,
)
from hunique_training.losses.classification import classification_loss
from hunique_training.losses.contrastive_separation import contrastive_separation_loss
from hunique_training.losses.dense_energy import dense_energy_loss
from hunique_training.losses.segmentation_to_cam import segmentation_to_cam_loss
from hunique_training.network.cosa import CosaNetwork, CosaOutput
from hunique_training.pseudo_labels.assigner import Assigner, Assignment
from hunique_training.pseudo_labels.cam_labeller import PixelLabels


class Losses(NamedTuple):
    """The losses of a step, scalars, unweighted; zero while they are not used.

    The last three are no losses: a run is watched by them.
    """

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
    contrastive_separation: torch.Tensor
    """CAM vectors of sure places against each other."""
    regulariser: torch.Tensor
    """Dense energy of the segmentation; at most 0."""
    threshold: torch.Tensor
    """xi of the main CAM; the middle of two fixed thresholds."""
    auxiliary_threshold: torch.Tensor
    """xi of the auxiliary CAM."""
    foreground_weight: torch.Tensor
    """Mean weight of the pixels labelled foreground by the main CAM, 0 without any. Over
    all pixels the mean is 1."""


class Guidance(NamedTuple):
    """The losses that need pseudo-labels, as in `Losses`."""

    cam_to_segmentation: torch.Tensor
    segmentation_to_cam: torch.Tensor
    contrastive_separation: torch.Tensor
    regulariser: torch.Tensor


def cosa_losses(
    online: CosaNetwork, assigner: Assigner, batch: Batch, config: TrainConfig, step: int
) -> Losses:
    """Losses of `step` (from 0); pseudo-labels join after the warm-up."""
    output: CosaOutput = online(batch.strong)
    plain = classification_loss(output.class_logits, batch.labels, batch.known)
    auxiliary = classification_loss(output.auxiliary_class_logits, batch.labels, batch.known)
    zero = plain.new_zeros(())
    guidance, foreground_weight = Guidance(zero, zero, zero, zero), zero
    if step >= config.loss_warm_up_steps:
        assignment = assigner.assign(batch, (output.cam.shape[-2], output.cam.shape[-1]))
        guide_cam = step >= config.guidance_start_step
        guidance = guidance_of(output, assignment, batch, config, guide_cam=guide_cam)
        foreground_weight = _foreground_weight(assignment.main)
    total = plain + auxiliary
    for name, loss in guidance._asdict().items():
        total = total + getattr(config.weights, name) * loss
    return Losses(
        total,
        plain,
        auxiliary,
        *guidance,
        threshold=zero + assigner.main.middle,
        auxiliary_threshold=zero + assigner.auxiliary.middle,
        foreground_weight=foreground_weight,
    )


def guidance_of(
    output: CosaOutput,
    assignment: Assignment,
    batch: Batch,
    config: TrainConfig,
    *,
    guide_cam: bool = True,
) -> Guidance:
    """The losses of what the online network gave against what it was assigned.

    Args:
        output: what the online network gave.
        assignment: what it was assigned.
        batch: the pictures.
        config: the run.
        guide_cam: whether the segmentation is old enough to guide the CAM.
    """
    logits = _on_labels_grid(output.segmentation_logits, assignment)
    zero = logits.new_zeros(())
    return Guidance(
        _guide_segmentation(logits, assignment, config),
        _guide_cam(output, assignment, config) if guide_cam and config.guide_cam else zero,
        _separate(output, assignment, config),
        _regularise(logits, assignment, batch, config) if config.weights.regulariser else zero,
    )


def _foreground_weight(pixels: PixelLabels) -> torch.Tensor:
    foreground = (pixels.labels > 0) & (pixels.labels != IGNORE)
    weights = foreground if pixels.weights is None else pixels.weights
    return (weights * foreground).sum() / foreground.sum().clamp(min=1)


def _on_labels_grid(logits: torch.Tensor, assignment: Assignment) -> torch.Tensor:
    size = assignment.main.labels.shape[-2:]
    if logits.shape[-2:] == size:
        return logits
    return interpolate(logits, size=size, mode="bilinear", align_corners=False)


def _guide_segmentation(
    logits: torch.Tensor, assignment: Assignment, config: TrainConfig
) -> torch.Tensor:
    """CAM to segmentation.

    Classes whose label is unknown count as background here: were their channel left out of
    the softmax instead, nothing would hold it down on such pictures.
    """
    loss = (1 - config.auxiliary_share) * _against(logits, assignment.main, config)
    if assignment.auxiliary is not None:
        loss = loss + config.auxiliary_share * _against(logits, assignment.auxiliary, config)
    return loss


def _against(logits: torch.Tensor, pixels: PixelLabels, config: TrainConfig) -> torch.Tensor:
    if config.mean_over_pixels:
        return pixel_mean_loss(logits, pixels.labels, pixels.weights)
    by_class = config.class_balanced
    return cam_to_segmentation_loss(
        logits, pixels.labels, by_class=by_class, weights=pixels.weights
    )


def _guide_cam(output: CosaOutput, assignment: Assignment, config: TrainConfig) -> torch.Tensor:
    guided = (output.cam, output.auxiliary_cam) if config.guide_auxiliary_cam else (output.cam,)
    target, rectify = assignment.segmentation, config.rectify_guided_cam
    losses = [
        segmentation_to_cam_loss(cam, target, rectify=rectify, known=assignment.guided)
        for cam in guided
    ]
    return torch.stack(losses).mean()


def _separate(output: CosaOutput, assignment: Assignment, config: TrainConfig) -> torch.Tensor:
    if assignment.sure is None:
        return output.cam.new_zeros(())
    labels, kept = assignment.sure
    return contrastive_separation_loss(output.cam, labels, kept, config.contrast)


def _regularise(
    logits: torch.Tensor, assignment: Assignment, batch: Batch, config: TrainConfig
) -> torch.Tensor:
    height, width = batch.strong.shape[-2:]
    return dense_energy_loss(
        logits.softmax(dim=1),
        batch.strong,
        assignment.main.labels,
        batch.inside((height, width)),
        config.energy,
    )
