"""Method `cam`: classification alone, whose activation map shows where (Zhou et al., 2016)."""

from collections.abc import Callable

import torch

from hunique_training.config import TrainConfig
from hunique_training.data.batch import Batch
from hunique_training.joint_batch import JointCounts, Part
from hunique_training.losses.classification import classification_loss
from hunique_training.network.cosa import CosaOutput
from hunique_training.step import PartLosses, no_guidance

Online = Callable[[torch.Tensor], CosaOutput]
"""The online network."""


def cam_losses(
    online: Online, part: Part, counts: JointCounts, config: TrainConfig, step: int
) -> PartLosses:
    """Both classifiers against the image labels."""
    del config, step
    return classification_alone(online(part.batch.strong), part.batch, counts)


def classification_alone(output: CosaOutput, batch: Batch, counts: JointCounts) -> PartLosses:
    """Losses without pseudo-labels; `regulariser` is free for what a method adds."""
    plain, auxiliary = (
        classification_loss(logits, batch.labels, batch.known, counts.known)
        for logits in (output.class_logits, output.auxiliary_class_logits)
    )
    zero = plain.new_zeros(())
    return PartLosses(plain + auxiliary, plain, auxiliary, *no_guidance(zero))


def with_regulariser(losses: PartLosses, regulariser: torch.Tensor, weight: float) -> PartLosses:
    """The same losses with `weight` times a further one in their sum."""
    return losses._replace(total=losses.total + weight * regulariser, regulariser=regulariser)


def mean_colour(config: TrainConfig, images: torch.Tensor) -> torch.Tensor:
    """(3, 1, 1) in [0, 1]: what stands in hidden places, the colour around pictures."""
    return images.new_tensor(config.views.pad_value)[:, None, None] / 255
