"""What the CAM of each arm is guided by, as targets of the segmentation-to-CAM loss.

Guided are the same pairs of picture and class in both guided arms: those whose label is known
and whose place is too. Classes that are absent have the target 0 in both; noise stands where
the mask would.
"""

from typing import NamedTuple

import torch

from hunique_training.second_stage.batches import LabelledBatch


class CamTarget(NamedTuple):
    """A target for the CAM of B pictures and C classes."""

    places: torch.Tensor
    """(B, C+1, h, w) in [0, 1]; channel 0 is not used."""
    known: torch.Tensor
    """(B, C) bool: pairs that are guided."""


def cam_target(arm: str, batch: LabelledBatch, stride_px: int, seed: int) -> CamTarget | None:
    """The target of one batch.

    Args:
        arm: one of `ARMS`.
        batch: with labels of pixels; those ignored count as none of the classes.
        stride_px: pixels of a cell of the target; a cell has the share of each class in it.
        seed: of the noise, another one each step.

    Returns:
        None for the arm without guidance.
    """
    if arm == "none":
        return None
    numbers = torch.arange(batch.labels.shape[1] + 1, device=batch.labels.device)
    masks = (batch.pixel_labels[:, None] == numbers[:, None, None]).float()
    places = torch.nn.functional.avg_pool2d(masks, stride_px)
    if arm == "noise":
        generator = torch.Generator().manual_seed(seed)
        noise = torch.rand(places.shape, generator=generator).to(places)
        present = torch.cat([torch.ones_like(batch.labels[:, :1]), batch.labels], dim=1)
        places = noise * present[:, :, None, None]
    return CamTarget(places, batch.known & ~batch.open_classes)
