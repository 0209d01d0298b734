"""One step of CoSA: the assignment network assigns, the online network learns.

weak views   -> assigner (assignment network) -> pseudo-labels
strong views -> online network                -> logits, CAMs, segmentation
losses: labels -> both classifiers; CAM labels -> segmentation; segmentation -> CAM;
        sure places -> CAM vectors (contrastive separation); picture -> segmentation
        (dense energy)

Losses are those of a part of a joint batch (see `joint_batch`); those of all parts add up.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import NamedTuple

import torch
from torch.nn.functional import interpolate

from hunique_training.config import TrainConfig
from hunique_training.data.batch import Batch
from hunique_training.joint_batch import (
    JointBatch,
    JointCounts,
    Part,
    joint_counts,
    mean_foreground_weight,
)
from hunique_training.losses.cam_to_segmentation import (
    share_of_cam_to_segmentation,
    share_of_pixel_mean,
)
from hunique_training.losses.classification import classification_loss
from hunique_training.losses.contrastive_separation import contrastive_separation_loss
from hunique_training.losses.dense_energy import dense_energy_loss
from hunique_training.losses.ignored_consistency import ignored_consistency_loss
from hunique_training.losses.marked_pixels import marked_cam_loss, marked_pixels_loss
from hunique_training.losses.segmentation_to_cam import segmentation_to_cam_loss
from hunique_training.losses.size_prior import size_prior_loss
from hunique_training.network.cosa import CosaOutput
from hunique_training.pseudo_labels.assigner import Assigner, Assignment
from hunique_training.pseudo_labels.cam_labeller import PixelLabels
from hunique_training.ranks import sum_over_ranks


class PartLosses(NamedTuple):
    """What the pictures of one forward pass add to the losses of a step, scalars."""

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
    marked_pixels: torch.Tensor
    """Segmentation at points and scribbles."""
    marked_cam: torch.Tensor
    """CAM at points and scribbles."""
    ignored_consistency: torch.Tensor
    """Segmentation against that of the assignment network where the CAM is undecided."""
    size_prior: torch.Tensor
    """CAM where no feature can be."""


class Losses(NamedTuple):
    """The losses of a step, scalars, unweighted; zero while they are not used.

    The last three are no losses: a run is watched by them.
    """

    total: torch.Tensor
    """The weighted sum that is minimised."""
    classification: torch.Tensor
    """See `PartLosses`, as for all losses."""
    auxiliary_classification: torch.Tensor
    cam_to_segmentation: torch.Tensor
    segmentation_to_cam: torch.Tensor
    contrastive_separation: torch.Tensor
    regulariser: torch.Tensor
    marked_pixels: torch.Tensor
    marked_cam: torch.Tensor
    ignored_consistency: torch.Tensor
    size_prior: torch.Tensor
    threshold: torch.Tensor
    """xi of the main CAM; the middle of two fixed thresholds."""
    auxiliary_threshold: torch.Tensor
    """xi of the auxiliary CAM."""
    foreground_weight: torch.Tensor
    """Mean weight of the pixels labelled foreground by the main CAM, 0 without any. Over
    all pixels the mean is 1."""


class Guidance(NamedTuple):
    """The losses beside classification, as in `Losses`; all but marks' need pseudo-labels."""

    cam_to_segmentation: torch.Tensor
    segmentation_to_cam: torch.Tensor
    contrastive_separation: torch.Tensor
    regulariser: torch.Tensor
    marked_pixels: torch.Tensor
    marked_cam: torch.Tensor
    ignored_consistency: torch.Tensor
    size_prior: torch.Tensor


def no_guidance(zero: torch.Tensor) -> Guidance:
    """Losses that are not used: `zero` () each."""
    return Guidance(*(zero for _ in Guidance._fields))


def losses_of_part(
    online: Callable[[torch.Tensor], CosaOutput],
    part: Part,
    counts: JointCounts,
    config: TrainConfig,
    *,
    guide_cam: bool = True,
) -> PartLosses:
    """The losses of one forward pass.

    Args:
        online: the online network.
        part: pictures, and once pseudo-labels have begun, what they were assigned.
        counts: of the joint batch.
        config: the run.
        guide_cam: whether the segmentation is old enough to guide the CAM.
    """
    batch = part.batch
    output = online(batch.strong)
    plain, auxiliary = (
        classification_loss(logits, batch.labels, batch.known, counts.known)
        for logits in (output.taught_logits, output.auxiliary_class_logits)
    )
    zero = plain.new_zeros(())
    guidance = no_guidance(zero)
    if part.assignment is not None:
        config = config if guide_cam else replace(config, guide_cam=False)
        guidance = guidance_of(output, part.assignment, batch, config, counts)
    if batch.marks is not None:
        guidance = _with_marks(guidance, output, batch.marks.labels, counts.marked)
    if config.largest_shares and config.weights.size_prior:
        shares, known = config.largest_shares, batch.known
        prior = size_prior_loss(output.cam, batch.labels, known, shares, counts.known)
        guidance = guidance._replace(size_prior=prior)
    total = plain + auxiliary
    for name, loss in guidance._asdict().items():
        total = total + getattr(config.weights, name) * loss
    return PartLosses(total, plain, auxiliary, *guidance)


def joint_losses(parts: Sequence[PartLosses], joint: JointBatch, assigner: Assigner) -> Losses:
    """The losses of a step, detached, and what a run is watched by, from those of its parts."""
    values = [torch.stack([x.detach() for x in column]) for column in zip(*parts, strict=True)]
    summed = sum_over_ranks(torch.stack([value.sum() for value in values]))
    zero = summed.new_zeros(())
    thresholds = (zero + assigner.main.middle, zero + assigner.auxiliary.middle)
    weight = zero if joint.main is None else mean_foreground_weight(joint.main)
    return Losses(*summed.unbind(), *[*thresholds, weight])


def guidance_of(
    output: CosaOutput,
    assignment: Assignment,
    batch: Batch,
    config: TrainConfig,
    counts: JointCounts | None = None,
) -> Guidance:
    """The losses of what the online network gave against what it was assigned.

    Args:
        output: what the online network gave.
        assignment: what it was assigned.
        batch: the pictures.
        config: the run.
        counts: of the joint batch that the pictures are a part of; None: they are all.
    """
    counts = counts or joint_counts(batch, assignment)
    share = len(batch.labels) / float(counts.pictures)
    logits = _resized(output.segmentation_logits, assignment.main.labels.shape[-2:])
    zero, energetic = logits.new_zeros(()), config.weights.regulariser != 0
    consistent = config.weights.ignored_consistency != 0
    return no_guidance(zero)._replace(
        cam_to_segmentation=_guide_segmentation(logits, assignment, config, counts),
        segmentation_to_cam=(
            _guide_cam(output, assignment, config, counts.guided) if config.guide_cam else zero
        ),
        contrastive_separation=_separate(output, assignment, config) * share,
        regulariser=_regularise(logits, assignment, batch, config) * share if energetic else zero,
        ignored_consistency=(
            ignored_consistency_loss(
                logits, assignment.segmentation, assignment.ignored, counts.ignored
            )
            if consistent
            else zero
        ),
    )


def _with_marks(
    guidance: Guidance, output: CosaOutput, labels: torch.Tensor, counts: torch.Tensor
) -> Guidance:
    """The same losses with those of points and scribbles, which teach from the first step on."""
    logits = _resized(output.segmentation_logits, labels.shape[-2:])
    return guidance._replace(
        marked_pixels=marked_pixels_loss(logits, labels, counts),
        marked_cam=marked_cam_loss(output.cam, labels, counts),
    )


def _resized(logits: torch.Tensor, size: Sequence[int]) -> torch.Tensor:
    if logits.shape[-2:] == size:
        return logits
    return interpolate(logits, size=list(size), mode="bilinear", align_corners=False)


def _guide_segmentation(
    logits: torch.Tensor, assignment: Assignment, config: TrainConfig, counts: JointCounts
) -> torch.Tensor:
    """CAM to segmentation.

    Classes whose label is unknown count as background here: were their channel left out of
    the softmax instead, nothing would hold it down on such pictures.
    """
    main = _against(logits, assignment.main, config, counts.main)
    loss = (1 - config.auxiliary_share) * main
    if assignment.auxiliary is not None:
        auxiliary = _against(logits, assignment.auxiliary, config, counts.auxiliary)
        loss = loss + config.auxiliary_share * auxiliary
    return loss


def _against(
    logits: torch.Tensor, pixels: PixelLabels, config: TrainConfig, counts: torch.Tensor
) -> torch.Tensor:
    if config.mean_over_pixels:
        return share_of_pixel_mean(logits, pixels, counts)
    return share_of_cam_to_segmentation(logits, pixels, counts, by_class=config.class_balanced)


def _guide_cam(
    output: CosaOutput, assignment: Assignment, config: TrainConfig, guided_count: torch.Tensor
) -> torch.Tensor:
    guided = (output.cam, output.auxiliary_cam) if config.guide_auxiliary_cam else (output.cam,)
    target, known = assignment.segmentation, assignment.guided
    losses = [
        segmentation_to_cam_loss(
            cam, target, rectify=config.rectify_guided_cam, known=known, known_count=guided_count
        )
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
