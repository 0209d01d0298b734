"""A classifier whose weights also draw the class activation map (CAM).

Zhou et al., CVPR 2016: with a linear classifier over pooled features, the same weights
applied at every place give M_c(x, y) = sum_k w_k^c f_k(x, y). CoSA pools by the global
maximum and leaves the bias out (COSA section 1); `top_share` pools the mean of the
strongest places instead, which spreads the gradient over more of a small feature.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import torch
from torch import nn

from hunique_training.network.feature_moments import moments_of_parts


class CamHead(nn.Module):
    """1x1 convolution, no bias, read twice: as class activation map and, pooled, as logits.

    Args:
        channels: D of the features.
        class_count: C, background not counted.
        top_share: share of places whose mean is the logit; 0 is the global maximum.
    """

    def __init__(self, channels: int, class_count: int, *, top_share: float = 0.0) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(class_count, channels, 1, 1))
        nn.init.kaiming_uniform_(self.weight, a=5**0.5)
        self.top_share = top_share

    def forward(self, features: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Features (B, D, h, w) to logits (B, C) and activation maps (B, C, h, w), unbounded."""
        activation = nn.functional.conv2d(features, self.weight)
        if self.top_share == 0:
            # max of the features first, then the weights: what CoSA's release computes
            pooled = features.amax(dim=(2, 3), keepdim=True)
            return nn.functional.conv2d(pooled, self.weight).flatten(1), activation
        return mean_of_strongest(activation, [self.top_share] * len(self.weight)), activation


class ProjectedCamHead(nn.Module):
    """Classifies every place by a small network of its own, then pools the strongest places.

    Two 1x1 convolutions with ReLU between them. What is drawn is what was pooled, as with
    `CamHead`; the hidden layer lets features of several blocks be weighed against each other
    place by place, which a linear head over the last block cannot.

    Image labels leave it open which of many features a class hangs on. Noise on the features,
    one number a channel and picture, makes it hang on many of them, as ridge regression would
    (Bishop 1995, Training with noise is equivalent to Tikhonov regularization). What is faint
    drowns in it, so every level of noise has a hidden layer of its own: each layer learns all
    classes, and each class is drawn from the layer of its level.

    Args:
        channels: D of the features.
        top_shares: C of them: by class, the share of places whose mean is the logit.
        hidden: width of each hidden layer.
        dropout: share of the channels that are left out at a training step, so that no class
            hangs on one of them.
        noise: by class, deviation of the noise at a training step, in deviations of the
            feature; empty: none.
    """

    mean: torch.Tensor
    deviation: torch.Tensor

    def __init__(
        self,
        channels: int,
        *,
        top_shares: Sequence[float],
        hidden: int = 64,
        dropout: float = 0.0,
        noise: Sequence[float] = (),
    ) -> None:
        super().__init__()
        count = len(top_shares)
        noise = tuple(noise) or (0.0,) * count
        self.levels = tuple(sorted(set(noise)))
        layers = len(self.levels)
        self._drawn = [self.levels.index(noise[c]) * count + c for c in range(count)]
        self.register_buffer("mean", torch.zeros(1, channels, 1, 1))
        self.register_buffer("deviation", torch.ones(1, channels, 1, 1))
        self.hidden = nn.Conv2d(channels, layers * hidden, 1)
        self.classes = nn.Conv2d(layers * hidden, layers * count, 1, groups=layers)
        self.dropout = nn.Dropout2d(dropout)
        self.top_shares = tuple(top_shares)

    @torch.no_grad()
    def measure(self, parts: Iterable[torch.Tensor]) -> None:
        """Take mean and deviation of each channel from features (B, D, h, w), part by part.

        Blocks differ in magnitude; without this the loudest would speak alone.
        """
        moments = moments_of_parts(parts)
        self.mean.copy_(moments.mean)
        self.deviation.copy_(moments.deviation + 1e-3)

    def forward(self, features: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Features (B, D, h, w) to logits (B, C) and activation maps (B, C, h, w), unbounded."""
        activation = self._of_all_layers(features)
        if len(self.levels) > 1:
            activation = activation[:, self._drawn]
        return mean_of_strongest(activation, self.top_shares), activation

    def lessons(self, features: torch.Tensor) -> "Lessons":
        """What `forward` gives, and the logits of all classes by all hidden layers."""
        activation = self._of_all_layers(features)
        logits = mean_of_strongest(activation, self.top_shares * len(self.levels))
        drawn = (logits, activation)
        if len(self.levels) > 1:
            drawn = (logits[:, self._drawn], activation[:, self._drawn])
        return Lessons(*drawn, logits.reshape(len(logits), len(self.levels), -1))

    def _of_all_layers(self, features: torch.Tensor) -> torch.Tensor:
        """(B, D, h, w) to (B, layers C, h, w), layer by layer."""
        hidden = self.hidden(self.dropout((features - self.mean) / self.deviation))
        if self.training and any(self.levels):
            hidden = hidden + self._response_to_noise(features)
        activation: torch.Tensor = self.classes(nn.functional.relu(hidden))
        return activation

    def _response_to_noise(self, features: torch.Tensor) -> torch.Tensor:
        """(B, layers hidden, 1, 1): what noise of (B, D) on the features adds, layer by layer."""
        weights = self.hidden.weight.flatten(1).chunk(len(self.levels))
        noises = [level * torch.randn_like(features[:, :, 0, 0]) for level in self.levels]
        added = [noise @ weight.T for noise, weight in zip(noises, weights, strict=True)]
        return torch.cat(added, dim=1)[:, :, None, None]


class Lessons(NamedTuple):
    """What a CAM head is taught by."""

    logits: torch.Tensor
    """(B, C), as drawn."""
    activation: torch.Tensor
    """(B, C, h, w), as drawn."""
    by_layer: torch.Tensor
    """(B, layers, C): logits of every class by every hidden layer, drawn or not."""


def mean_of_strongest(activation: torch.Tensor, shares: Sequence[float]) -> torch.Tensor:
    """(B, C, h, w) to (B, C): by class, the mean of the strongest share of places, at least of one.

    One sum over all classes alike: a served graph then adds up a picture's places in the same
    order whatever else is in its batch.
    """
    places = activation.flatten(2)
    counts = [max(1, round(share * places.shape[2])) for share in shares]
    strongest = places.topk(max(counts), dim=2).values
    weights = [[1 / count] * count + [0.0] * (max(counts) - count) for count in counts]
    return (strongest * strongest.new_tensor(weights)).sum(dim=2)
