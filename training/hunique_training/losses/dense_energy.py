"""Dense energy: neighbours of like colour should be segmented alike (Tang et al., ECCV 2018).

As the released CoSA takes it (COSA section 3), with p the softmax, R the picture's box,

    g = relu(R - max_c p), and 1 where the pseudo-label is "ignore"
    A_i = sum_j exp(-|position_i - position_j|^2 / 2 s_xy^2 - |colour_i - colour_j|^2 / 2 s_rgb^2)
          R_j p_j
    L = -scale / B  sum_i g_i R_i p_i A_i,       dL/dp = -2 scale / B  g R A

The gradient is the published one: g counts as constant, and the two places of p as one.
The release approximates A by a permutohedral lattice, which gives about half of the exact
sum that is taken here; `ENERGY_SCALE` makes up for it, so that weights keep their meaning.
"""

from dataclasses import dataclass

import torch
from torch.nn.functional import interpolate, relu

from hunique_training.losses.cam_to_segmentation import IGNORE

PUBLISHED_STRIDE_PX = 2
"""The release evaluates the energy at half the size of the crop."""
ENERGY_SCALE = 0.5e-7
"""1e-7 as published, times the lattice's share of the exact sum (0.45 to 0.55)."""
ENTRIES_AT_ONCE = 2**24
"""Pairs of places held in memory together."""


@dataclass(frozen=True, kw_only=True)
class EnergyConfig:
    """Grid and widths of the energy."""

    stride_px: int = 8
    """One place for so many pixels of the crop. The cost falls with its fourth power; values
    are scaled to those of the release's stride of 2. On photographs 8 is within 1 % of 4, and
    the gradient within a cosine of 0.998."""
    colour_width: float = 15.0
    """s_rgb, in levels of 0 to 255."""
    position_width_px: float = 100.0
    """s_xy, in pixels of the crop."""

    def __post_init__(self) -> None:
        """Check limits."""
        for name in ("stride_px", "colour_width", "position_width_px"):
            if getattr(self, name) <= 0:
                raise ValueError(f"{name} must be above 0, found {getattr(self, name)}")


def dense_energy_loss(
    probabilities: torch.Tensor,
    images: torch.Tensor,
    pseudo_label: torch.Tensor,
    inside: torch.Tensor,
    config: EnergyConfig | None = None,
) -> torch.Tensor:
    """L on the grid of `config`.

    Args:
        probabilities: (B, C+1, h, w) in [0, 1]; resized bilinearly.
        images: (B, 3, H, W) float sRGB in [0, 1]; nearest pixel.
        pseudo_label: (B, h', w') int64: 0 to C, or 255 (undecided); nearest pixel.
        inside: (B, H, W) bool: pixels that show the picture; nearest pixel.
        config: grid and widths; None takes the defaults.

    Returns:
        A scalar <= 0, with the published gradient for `probabilities`.
    """
    config = config or EnergyConfig()
    size = (images.shape[-2] // config.stride_px, images.shape[-1] // config.stride_px)
    p = interpolate(probabilities, size=size, mode="bilinear", align_corners=False)
    with torch.no_grad():
        roi = _nearest(inside[:, None], size, p.dtype)
        undecided = _nearest(pseudo_label[:, None] == IGNORE, size, p.dtype) > 0
        gate = relu(roi - p.amax(dim=1, keepdim=True)).masked_fill(undecided, 1.0)
        colours = _nearest(images, size, p.dtype) * 255
        position_width = config.position_width_px / config.stride_px
        pull = gate * roi * bilateral_sum(p * roi, colours, config.colour_width, position_width)
    energy = (p * pull).sum()
    # the value counts once, its gradient twice: p stands in the sum in two places
    energy = 2 * energy - energy.detach()
    area = (config.stride_px / PUBLISHED_STRIDE_PX) ** 4
    return energy * (-ENERGY_SCALE * area / len(p))


def bilateral_sum(
    maps: torch.Tensor, colours: torch.Tensor, colour_width: float, position_width: float
) -> torch.Tensor:
    """Exact Gaussian sums over position and colour, unnormalised, each place itself included.

    Args:
        maps: (B, K, h, w).
        colours: (B, 3, h, w) in the unit of `colour_width`.
        colour_width: standard deviation over colours.
        position_width: standard deviation over places of the grid.

    Returns:
        (B, K, h, w). Memory stays bounded; time grows with (h w)^2.
    """
    height, width = maps.shape[-2:]
    rows = torch.arange(height, dtype=maps.dtype, device=maps.device)
    columns = torch.arange(width, dtype=maps.dtype, device=maps.device)
    places = torch.stack(torch.meshgrid(rows, columns, indexing="ij")).flatten(1) / position_width
    sums = [
        _gaussian_sum(torch.cat([places, colour.flatten(1) / colour_width]), one.flatten(1))
        for colour, one in zip(colours, maps, strict=True)
    ]
    return torch.stack(sums).view_as(maps)


def _gaussian_sum(features: torch.Tensor, values: torch.Tensor) -> torch.Tensor:
    """sum_j exp(-|f_i - f_j|^2 / 2) v_j for features (5, N) and values (K, N): (K, N)."""
    features = features - features.mean(dim=1, keepdim=True)  # smaller numbers cancel less
    half = features.square().sum(0) / 2
    blocks = []
    for start in range(0, features.shape[1], max(1, ENTRIES_AT_ONCE // features.shape[1])):
        end = start + max(1, ENTRIES_AT_ONCE // features.shape[1])
        exponent = torch.addmm(-half[start:end, None], features[:, start:end].T, features)
        blocks.append(values @ exponent.sub_(half).exp_().T)
    return torch.cat(blocks, dim=1)


def _nearest(maps: torch.Tensor, size: tuple[int, int], dtype: torch.dtype) -> torch.Tensor:
    return interpolate(maps.to(dtype), size=size, mode="nearest")
