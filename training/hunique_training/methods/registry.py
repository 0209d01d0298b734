"""The methods by name: what a forward pass of each adds to the losses of a step."""

from collections.abc import Callable

from hunique_training.config import TrainConfig
from hunique_training.joint_batch import JointCounts, Part
from hunique_training.methods.adversarial_erasing import adversarial_erasing_losses
from hunique_training.methods.classification import Online, cam_losses
from hunique_training.methods.equivariant_cam import equivariant_cam_losses
from hunique_training.methods.hide_and_seek import hide_and_seek_losses
from hunique_training.step import PartLosses, losses_of_part

MethodLosses = Callable[[Online, Part, JointCounts, TrainConfig, int], PartLosses]
"""(online network, part, counts of the joint batch, run, step from 0) to losses."""


def _cosa_losses(
    online: Online, part: Part, counts: JointCounts, config: TrainConfig, step: int
) -> PartLosses:
    guide_cam = step >= config.guidance_start_step
    return losses_of_part(online, part, counts, config, guide_cam=guide_cam)


LOSSES: dict[str, MethodLosses] = {
    "cosa": _cosa_losses,
    "cam": cam_losses,
    "hide_and_seek": hide_and_seek_losses,
    "adversarial_erasing": adversarial_erasing_losses,
    "equivariant_cam": equivariant_cam_losses,
}
"""One for each of `config.METHODS`."""
