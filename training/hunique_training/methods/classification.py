"""Method `cam`: classification alone, whose activation map shows where (Zhou et al., 2016).

The size prior is no part of a method: it holds the map of every one down where the run knows
of no feature, as it does CoSA's, so that rows of a table differ in the method alone.
"""

from collections.abc import Callable

import torch

from hunique_training.config import TrainConfig
from hunique_training.data.batch import Batch
from hunique_training.joint_batch import JointCounts, Part
from hunique_training.losses.classification import classification_loss
from hunique_training.losses.size_prior import size_prior_loss
from hunique_training.network.cosa import CosaOutput
from hunique_training.step import PartLosses, no_guidance

Online = Callable[[torch.Tensor], CosaOutput]
"""The online network."""


def cam_losses(
    online: Online, part: Part, counts: JointCounts, config: TrainConfig, step: int
) -> PartLosses:
    """Both classifiers against the image labels."""
    del step
    return classification_alone(online(part.batch.strong), part.batch, counts, config)


def classification_alone(
    output: CosaOutput, batch: Batch, counts: JointCounts, config: TrainConfig
) -> PartLosses:
    """Losses without pseudo-labels, with the size prior where the run has one.

    `regulariser` is free for what a method adds.
    """
    plain, auxiliary = (
        classification_loss(logits, batch.labels, batch.known, counts.known)
        for logits in (output.taught_logits, output.auxiliary_class_logits)
    )
    zero = plain.new_zeros(())
    guidance, weight = no_guidance(zero), config.weights.size_prior
    if not (config.largest_shares and weight):
        return PartLosses(plain + auxiliary, plain, auxiliary, *guidance)
    prior = size_prior_loss(
        output.cam, batch.labels, batch.known, config.largest_shares, counts.known
    )
    total = plain + auxiliary + weight * prior
    return PartLosses(total, plain, auxiliary, *guidance._replace(size_prior=prior))


def with_regulariser(losses: PartLosses, regulariser: torch.Tensor, weight: float) -> PartLosses:
    """The same losses with `weight` times a further one in their sum."""
    return losses._replace(total=losses.total + weight * regulariser, regulariser=regulariser)


def mean_colour(config: TrainConfig, images: torch.Tensor) -> torch.Tensor:
    """(3, 1, 1) in [0, 1]: what stands in hidden places, the colour around pictures."""
    return images.new_tensor(config.views.pad_value)[:, None, None] / 255
