"""Partial losses on marked pixels: points and scribbles, and nothing else.

Cross-entropy over the labelled cells alone (Bearman et al., ECCV 2016; Lin et al., CVPR 2016
for scribbles), each label that is marked weighing alike: a class has a few clicks where a
scribble of background has a thousand cells. For the CAM, which scores every class for itself,
each class present or not at the marked cells.

A batch that is worked on in parts gives the counts of all of it; the losses of its parts
then add up to its own.
"""

import torch
from torch.nn.functional import cross_entropy, interpolate, softplus

from hunique_training.losses.cam_to_segmentation import IGNORE, label_counts


def marked_pixels_loss(
    logits: torch.Tensor, labels: torch.Tensor, counts: torch.Tensor | None = None
) -> torch.Tensor:
    """Mean over marked labels of the mean cross-entropy over their cells.

    Args:
        logits: (B, C+1, h, w); channel 0 is the background.
        labels: (B, h, w) int64: 0 background, 1 to C, 255 unmarked.
        counts: (256,) int64, `label_counts` of the whole batch; None: this is all.

    Returns:
        A scalar >= 0; 0 with zero gradient where nothing is marked.
    """
    each = cross_entropy(logits, labels, ignore_index=IGNORE, reduction="none")
    return _mean_of_labels(each, labels, counts)


def marked_cam_loss(
    cam: torch.Tensor, labels: torch.Tensor, counts: torch.Tensor | None = None
) -> torch.Tensor:
    """The same for activation maps: mean over classes of t softplus(-x) + (1 - t) softplus(x).

    Args:
        cam: (B, C, h', w'), unbounded; enlarged bilinearly to the cells.
        labels: (B, h, w) int64: 0 background, 1 to C, 255 unmarked. t is 1 for the class
            that a cell is marked with, 0 for all others.
        counts: (256,) int64, `label_counts` of the whole batch; None: this is all.

    Returns:
        A scalar >= 0; 0 with zero gradient where nothing is marked.
    """
    x = interpolate(cam, size=labels.shape[-2:], mode="bilinear", align_corners=False)
    numbers = torch.arange(1, cam.shape[1] + 1, device=labels.device)[None, :, None, None]
    is_class = labels[:, None] == numbers
    each = torch.where(is_class, softplus(-x), softplus(x)).mean(dim=1)
    return _mean_of_labels(each, labels, counts)


def _mean_of_labels(
    each: torch.Tensor, labels: torch.Tensor, counts: torch.Tensor | None
) -> torch.Tensor:
    """Mean over labels that are marked of the mean of `each` (B, h, w) over their cells."""
    counts = label_counts(labels) if counts is None else counts
    marked = counts[:IGNORE].to(each.dtype)
    per_cell = (marked > 0) / (marked.clamp(min=1) * (marked > 0).sum().clamp(min=1))
    weights = torch.cat([per_cell, per_cell.new_zeros(1)])[labels]
    return (each * weights).sum()
