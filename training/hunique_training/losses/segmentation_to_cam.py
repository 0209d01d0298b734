"""Segmentation-to-CAM loss: the CAM is guided by segmentation pseudo-labels (COSA section 3).

The release clamps the CAM with ReLU first, which floors absent classes at ln 2 and takes
the gradient from places below zero even where the target is 1; `rectify=False` is the
paper's sigmoid of the CAM itself.
"""

import torch
from torch.nn.functional import interpolate, relu, softplus


def segmentation_to_cam_loss(
    cam: torch.Tensor,
    target: torch.Tensor,
    *,
    rectify: bool,
    known: torch.Tensor | None = None,
    known_count: torch.Tensor | None = None,
) -> torch.Tensor:
    """Mean of t softplus(-x) + (1 - t) softplus(x) over places and known classes.

    Args:
        cam: (B, C, h, w), unbounded.
        target: (B, C+1, H, W) soft pseudo-labels in [0, 1]; channel 0 (background) is left out.
        rectify: whether x is relu(cam), as released, or cam.
        known: (B, C) bool; classes whose label is unknown take no part. None: all known.
        known_count: () int, known classes over all pictures of the whole batch that this is a
            part of; the losses of its parts add up to its own. None: this is all.
    """
    wanted = interpolate(target[:, 1:], size=cam.shape[-2:], mode="bilinear", align_corners=False)
    x = relu(cam) if rectify else cam
    each = wanted * softplus(-x) + (1 - wanted) * softplus(x)
    if known is None:
        return each.mean()
    weight = known[:, :, None, None].expand_as(each)
    places = cam.shape[-2] * cam.shape[-1]
    count = weight.sum() if known_count is None else known_count * places
    return (each * weight).sum() / count.clamp(min=1)
