"""Activation maps and segmentation of the assignment network over scales and flips.

For each scale s: the pictures and their mirror images go through the network, all maps
are resized back; C_s = relu(max over the two), S_s = sum of the two. Then C = sum_s C_s,
scaled to [0, 1) per picture and class by (C - min) / (max + 1e-5), and S = sum_s S_s
(COSA section 2). The release keeps the auxiliary map of the last scale only, by mistake;
here all scales count for both maps unless that is asked for.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch.nn.functional import interpolate, relu

from hunique_training.network.cosa import CosaOutput


class AssignedMaps(NamedTuple):
    """What the assignment network sees on B pictures, at `size` = (H', W')."""

    cam: torch.Tensor
    """(B, C, H', W') in [0, 1)."""
    auxiliary_cam: torch.Tensor
    """(B, C, H', W') in [0, 1)."""
    segmentation_logits: torch.Tensor
    """(B, C+1, H', W'): the sum over scales and flips."""
    class_logits: torch.Tensor
    """(B, C): the highest over scales and flips, from the final features."""


@torch.no_grad()
def multi_scale_maps(
    network: Callable[[torch.Tensor], CosaOutput],
    images: torch.Tensor,
    *,
    scales: Sequence[float],
    size: tuple[int, int],
    multiple_px: int = 16,
) -> AssignedMaps:
    """Run images (B, 3, H, W) in [0, 1] at each scale, plain and mirrored.

    Args:
        network: the assignment network.
        images: weak views.
        scales: factors on the picture's size; rounded so that sides divide `multiple_px`.
        size: (height, width) of the maps returned.
        multiple_px: what the encoder's input sides must divide by.
    """
    each = maps_of_scales(network, images, scales=scales, size=size, multiple_px=multiple_px)
    return sum_of_scales(each)


@torch.no_grad()
def maps_of_scales(
    network: Callable[[torch.Tensor], CosaOutput],
    images: torch.Tensor,
    *,
    scales: Sequence[float],
    size: tuple[int, int],
    multiple_px: int = 16,
) -> list[AssignedMaps]:
    """The maps of each scale apart, activation maps >= 0 but not yet scaled to [0, 1).

    Arguments are those of `multi_scale_maps`.
    """
    return [_both_ways(network, _scaled(images, s, multiple_px), size) for s in scales]


def sum_of_scales(
    each: Sequence[AssignedMaps], *, auxiliary_of_last_scale: bool = False
) -> AssignedMaps:
    """Sum over scales, then scale activation maps to [0, 1).

    Args:
        each: what `maps_of_scales` gives.
        auxiliary_of_last_scale: whether the auxiliary CAM is the last scale's alone, as released.
    """
    cams, auxiliary, logits, classes = (list(maps) for maps in zip(*each, strict=True))
    if auxiliary_of_last_scale:
        auxiliary = auxiliary[-1:]
    return AssignedMaps(
        stretch(torch.stack(cams).sum(0)),
        stretch(torch.stack(auxiliary).sum(0)),
        torch.stack(logits).sum(0),
        torch.stack(classes).amax(0),
    )


def stretch(maps: torch.Tensor) -> torch.Tensor:
    """(B, C, H, W) >= 0 to [0, 1) by each map's minimum and maximum."""
    maps = maps - maps.amin(dim=(2, 3), keepdim=True)
    return maps / (maps.amax(dim=(2, 3), keepdim=True) + 1e-5)


def _scaled(images: torch.Tensor, scale: float, multiple_px: int) -> torch.Tensor:
    if scale == 1:
        return images
    sides = [max(1, round(side * scale / multiple_px)) * multiple_px for side in images.shape[-2:]]
    return interpolate(images, size=sides, mode="bilinear", align_corners=False)


def _both_ways(
    network: Callable[[torch.Tensor], CosaOutput], images: torch.Tensor, size: tuple[int, int]
) -> AssignedMaps:
    output = network(torch.cat([images, images.flip(-1)]))
    cam, cam_mirrored = _resized(output.cam, size)
    auxiliary, auxiliary_mirrored = _resized(output.auxiliary_cam, size)
    logits, logits_mirrored = _resized(output.segmentation_logits, size)
    return AssignedMaps(
        relu(torch.maximum(cam, cam_mirrored)),
        relu(torch.maximum(auxiliary, auxiliary_mirrored)),
        logits + logits_mirrored,
        torch.maximum(*output.class_logits.chunk(2)),
    )


def _resized(maps: torch.Tensor, size: tuple[int, int]) -> tuple[torch.Tensor, torch.Tensor]:
    """Maps of the plain and of the mirrored pictures, both in the plain frame."""
    plain, mirrored = interpolate(maps, size=size, mode="bilinear", align_corners=False).chunk(2)
    return plain, mirrored.flip(-1)
