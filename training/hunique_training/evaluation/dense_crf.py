"""Fully connected conditional random field (CRF): the post-processing of CoSA* (COSA section 5).

Kraehenbuehl and Koltun, NIPS 2011, by mean field with exact Gaussian sums:

    Q = p;  Q <- softmax(log p + sum_k w_k n_k K_k (n_k Q)),   n_k = 1 / sqrt(K_k 1)

K_1 is a Gaussian over position, K_2 one over position and colour. The cost grows with the
square of the number of places: meant for grids of about 100 x 100 (seconds on a core).
"""

from dataclasses import dataclass

import torch

from hunique_training.losses.dense_energy import bilateral_sum


@dataclass(frozen=True, kw_only=True)
class CrfConfig:
    """Kernels and iterations; the defaults are CoSA's final evaluation."""

    iterations: int = 1
    """Mean-field steps."""
    smoothness_weight: float = 1.0
    """Of the kernel over position."""
    smoothness_width: float = 1.0
    """Its deviation, in places of the grid."""
    colour_weight: float = 4.0
    """Of the kernel over position and colour."""
    position_width: float = 121.0
    """Its deviation over position, in places of the grid."""
    colour_width: float = 5.0
    """Its deviation over colour, in levels of 0 to 255."""


@torch.no_grad()
def dense_crf(
    probabilities: torch.Tensor, images: torch.Tensor, config: CrfConfig | None = None
) -> torch.Tensor:
    """Let like-coloured neighbours agree.

    Args:
        probabilities: (B, K, h, w), sum to 1 over K.
        images: (B, 3, h, w) float sRGB in [0, 255].
        config: kernels; None takes CoSA's.

    Returns:
        (B, K, h, w), sums to 1 over K.
    """
    config = config or CrfConfig()
    kernels = (
        (config.smoothness_weight, torch.zeros_like(images), config.smoothness_width),
        (config.colour_weight, images / config.colour_width, config.position_width),
    )
    each = torch.ones_like(probabilities[:, :1])
    norms = [bilateral_sum(each, colours, 1.0, width).rsqrt() for _, colours, width in kernels]
    unary = probabilities.clamp(min=1e-5).log()
    belief = probabilities
    for _ in range(config.iterations):
        messages = [
            weight * norm * bilateral_sum(norm * belief, colours, 1.0, width)
            for (weight, colours, width), norm in zip(kernels, norms, strict=True)
        ]
        belief = (unary + torch.stack(messages).sum(0)).softmax(dim=1)
    return belief
