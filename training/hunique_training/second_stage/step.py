"""One step of the second stage: labels of pixels teach the decoder, of pictures the classifiers.

Classes that are somewhere on a picture at a place that nobody marked are open: what is
labelled background there may be background or any of them, so the loss of such a pixel
is -log of the sum of their probabilities. Pixels labelled with a class are as always.
"""

from typing import NamedTuple

import torch
from torch.nn.functional import interpolate

from hunique_training.losses.cam_to_segmentation import (
    cam_to_segmentation_loss,
    pixel_mean_loss,
)
from hunique_training.losses.classification import classification_loss
from hunique_training.network.cosa import CosaNetwork, CosaOutput
from hunique_training.pseudo_labels.segmentation_labels import ABSENT_LOGIT
from hunique_training.second_stage.batches import LabelledBatch
from hunique_training.second_stage.config import SecondStageConfig


class SecondStageLosses(NamedTuple):
    """The losses of a step, scalars, unweighted."""

    total: torch.Tensor
    """The weighted sum that is minimised."""
    segmentation: torch.Tensor
    """Cross-entropy against labels of pixels."""
    classification: torch.Tensor
    """Of the final features."""
    auxiliary_classification: torch.Tensor
    """Of the earlier block."""


def second_stage_losses(
    network: CosaNetwork, batch: LabelledBatch, config: SecondStageConfig
) -> SecondStageLosses:
    """Losses of a batch, seen in its strong colours."""
    output: CosaOutput = network(batch.strong)
    labels = coarser(batch.pixel_labels, config.label_stride_px)
    size = (labels.shape[1], labels.shape[2])
    logits = interpolate(
        output.segmentation_logits, size=size, mode="bilinear", align_corners=False
    )
    logits = merge_open(logits, batch.open_classes)
    if config.class_balanced:
        segmentation = cam_to_segmentation_loss(logits, labels, by_class=True)
    else:
        segmentation = pixel_mean_loss(logits, labels)
    plain = classification_loss(output.taught_logits, batch.labels, batch.known)
    auxiliary = classification_loss(output.auxiliary_class_logits, batch.labels, batch.known)
    total = segmentation + config.classification_weight * (plain + auxiliary)
    return SecondStageLosses(total, segmentation, plain, auxiliary)


def coarser(labels: torch.Tensor, stride_px: int) -> torch.Tensor:
    """Labels (B, H, W) of the middle of every cell of `stride_px` squared."""
    first = stride_px // 2
    return labels[:, first::stride_px, first::stride_px]


def merge_open(logits: torch.Tensor, open_classes: torch.Tensor) -> torch.Tensor:
    """Add the probabilities of open classes to that of the background.

    Args:
        logits: (B, C+1, H, W).
        open_classes: (B, C) bool.

    Returns:
        The same shape: channel 0 is the logarithm of a sum of exponentials, open classes are
        at -1e5, all other probabilities as they were.
    """
    lifted = open_classes[:, :, None, None]
    either = torch.cat([logits[:, :1], logits[:, 1:].masked_fill(~lifted, ABSENT_LOGIT)], dim=1)
    rest = logits[:, 1:].masked_fill(lifted, ABSENT_LOGIT)
    return torch.cat([either.logsumexp(dim=1, keepdim=True), rest], dim=1)
