"""Method `adversarial_erasing`: what the classifier looks at is erased, and it looks again.

Wei et al., CVPR 2017 erase the most activated region and train the next classifier on
the rest; ACoL (Zhang et al., CVPR 2018) does so in one network. Here one network sees the
picture twice in a step: plain, and with the mean colour where the activation map of a
class that is there reaches 0.6 of its maximum (ACoL's threshold). Both passes are
classified by the same labels. Erasing begins after the warm-up, when maps mean something.

A small feature that is erased whole leaves nothing to find: the second pass then teaches
its surroundings, which is known as over-erasing. It stands here to be compared with.
"""

import torch
from torch.nn.functional import interpolate, relu

from hunique_training.config import TrainConfig
from hunique_training.joint_batch import JointCounts, Part
from hunique_training.losses.classification import classification_loss
from hunique_training.methods.classification import (
    Online,
    classification_alone,
    mean_colour,
    with_regulariser,
)
from hunique_training.pseudo_labels.multi_scale import stretch
from hunique_training.step import PartLosses

ERASED_FROM = 0.6
"""Strength, as a share of a map's range, from which places are erased."""
WEIGHT = 1.0
"""Factor of the second pass."""


def adversarial_erasing_losses(
    online: Online, part: Part, counts: JointCounts, config: TrainConfig, step: int
) -> PartLosses:
    """Classification, and as `regulariser` that of pictures without what was seen in them."""
    batch = part.batch
    output = online(batch.strong)
    losses = classification_alone(output, batch, counts, config)
    shows = batch.labels.amax(dim=1) > 0
    if step < config.loss_warm_up_steps or not shows.any():
        return losses
    erased = erase(batch.strong, output.cam.detach(), batch.labels, mean_colour(config, batch.weak))
    again = online(erased[shows]).taught_logits
    second = classification_loss(again, batch.labels[shows], batch.known[shows], counts.known)
    return with_regulariser(losses, second, WEIGHT)


def erase(
    images: torch.Tensor, cams: torch.Tensor, labels: torch.Tensor, colour: torch.Tensor
) -> torch.Tensor:
    """Images (B, 3, H, W) with `colour` where a present class is strong.

    Args:
        images: float in [0, 1].
        cams: (B, C, h, w), unbounded.
        labels: (B, C), 1 present.
        colour: (3, 1, 1).
    """
    strength = (stretch(relu(cams)) * labels[:, :, None, None]).amax(dim=1, keepdim=True)
    size = (images.shape[-2], images.shape[-1])
    strength = interpolate(strength, size=size, mode="bilinear", align_corners=False)
    return torch.where(strength >= ERASED_FROM, colour, images)
