"""SmoothGrad: which pixels move the score of a class, averaged over noisy copies.

Smilkov et al., 2017: M_c(x) = 1/n sum_i d S_c(x + e_i) / dx with e_i ~ N(0, s^2). Here S_c
is the class logit, and M_c is shown as the largest magnitude over the three colours,
averaged over the cells of a grid, because single pixels scatter. It is a map of a trained
classifier; nothing is trained on it directly.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch.nn.functional import adaptive_avg_pool2d

from hunique_training.network.cosa import CosaOutput
from hunique_training.pseudo_labels.multi_scale import stretch


@dataclass(frozen=True, kw_only=True)
class SmoothGradConfig:
    """How much noise, how often."""

    samples: int = 8
    """n: noisy copies. The paper finds little gain above 50; each costs a pass both ways."""
    noise_share: float = 0.15
    """s as a share of the picture's range of values (10 to 20 % in the paper)."""
    seed: int = 0
    """Of the noise."""


def smooth_grad(
    network: Callable[[torch.Tensor], CosaOutput],
    images: torch.Tensor,
    size: tuple[int, int],
    config: SmoothGradConfig | None = None,
    classes: Sequence[int] | None = None,
) -> torch.Tensor:
    """Saliency of classes.

    Args:
        network: a classifier; its parameters get no gradient.
        images: (B, 3, H, W) float in [0, 1].
        size: (h, w) of the maps, at most (H, W).
        config: noise; None takes the defaults.
        classes: indices of those that are wanted, each of which costs a backward pass; the maps
            of others are 0. None: all.

    Returns:
        (B, C, h, w) float in [0, 1), each map scaled by its own minimum and maximum.
    """
    config = config or SmoothGradConfig()
    generator = torch.Generator().manual_seed(config.seed)
    spread = images.amax(dim=(1, 2, 3), keepdim=True) - images.amin(dim=(1, 2, 3), keepdim=True)
    total = torch.zeros(())
    for _ in range(config.samples):
        noise = torch.randn(images.shape, generator=generator).to(images.device)
        total = total + _gradients(network, images + config.noise_share * spread * noise, classes)
    magnitude = (total / config.samples).abs().amax(dim=2)
    return stretch(adaptive_avg_pool2d(magnitude, size))


def _gradients(
    network: Callable[[torch.Tensor], CosaOutput],
    images: torch.Tensor,
    classes: Sequence[int] | None,
) -> torch.Tensor:
    """(B, C, 3, H, W): the gradient of each class logit by the pixels of its own picture.

    0 for classes that are not wanted.
    """
    with torch.enable_grad():
        leaf = images.detach().requires_grad_(True)
        logits = network(leaf).class_logits
        each = [
            torch.autograd.grad(logits[:, c].sum(), leaf, retain_graph=True)[0]
            if classes is None or c in classes
            else torch.zeros_like(images)
            for c in range(logits.shape[1])
        ]
    return torch.stack(each, dim=1)
