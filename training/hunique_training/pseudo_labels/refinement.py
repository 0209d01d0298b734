"""Pixel-adaptive refinement (PAR): maps flow between neighbours of like colour.

Ru et al., CVPR 2022 (AFA). For the 8 neighbours at each dilation:
    a_k = -mean_c ((|I_k - I| / (std_k(I) + 1e-8) / 0.3)^2),
    p_k = -((d_k / (std_k(d) + 1e-8) / 0.3)^2),
    affinity = softmax_k(a) + 0.01 softmax_k(p),
and M <- sum_k affinity_k M_k is repeated. Affinities sum to 1.01, as published.
"""

from collections.abc import Sequence

import torch
from torch.nn.functional import interpolate, pad

_OFFSETS = ((-1, -1), (-1, 0), (-1, 1), (0, -1), (0, 1), (1, -1), (1, 0), (1, 1))
COLOUR_WIDTH = 0.3
POSITION_WEIGHT = 0.01


def pixel_adaptive_refinement(
    images: torch.Tensor,
    maps: torch.Tensor,
    *,
    dilations: Sequence[int] = (1, 2, 4, 8, 12, 24),
    iterations: int = 10,
) -> torch.Tensor:
    """Refine maps (B, K, h, w) along the colours of images (B, 3, H, W); gives (B, K, H, W).

    Maps are resized to the images first (bilinear, corners aligned, as published).
    """
    maps = interpolate(maps, size=images.shape[-2:], mode="bilinear", align_corners=True)
    affinity = colour_affinity(images, dilations)
    for _ in range(iterations):
        maps = sum_neighbours(maps, affinity, dilations)
    return maps


def colour_affinity(images: torch.Tensor, dilations: Sequence[int]) -> torch.Tensor:
    """Affinity of each pixel to its neighbours: (B, 8 * len(dilations), H, W), sums to 1.01."""
    neighbours = torch.stack(list(_neighbours(images, dilations)), dim=2)  # (B, 3, K, H, W)
    distance = (neighbours - images[:, :, None]).abs()
    width = neighbours.std(dim=2, keepdim=True) + 1e-8
    colour = -((distance / width / COLOUR_WIDTH) ** 2).mean(dim=1)
    steps = torch.tensor(
        [d * (2**0.5 if dy and dx else 1.0) for d in dilations for dy, dx in _OFFSETS],
        dtype=images.dtype,
        device=images.device,
    )
    position = -((steps / (steps.std() + 1e-8) / COLOUR_WIDTH) ** 2)
    weight = POSITION_WEIGHT * position.softmax(0)
    return colour.softmax(dim=1) + weight[None, :, None, None]


def sum_neighbours(
    maps: torch.Tensor, affinity: torch.Tensor, dilations: Sequence[int]
) -> torch.Tensor:
    """One step: each pixel of (B, K, H, W) becomes the affinity-weighted sum of its neighbours."""
    total = torch.zeros_like(maps)
    for index, shifted in enumerate(_neighbours(maps, dilations)):
        total.addcmul_(shifted, affinity[:, index : index + 1])
    return total


def _neighbours(x: torch.Tensor, dilations: Sequence[int]) -> list[torch.Tensor]:
    """Shifted views of (B, K, H, W), edges repeated: 8 for each dilation."""
    height, width = x.shape[-2:]
    reach = max(dilations)
    padded = pad(x, (reach, reach, reach, reach), mode="replicate")
    return [
        padded[
            ..., reach + dy * d : reach + dy * d + height, reach + dx * d : reach + dx * d + width
        ]
        for d in dilations
        for dy, dx in _OFFSETS
    ]
