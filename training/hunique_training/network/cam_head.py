"""A classifier whose weights also draw the class activation map (CAM).

Zhou et al., CVPR 2016: with a linear classifier over pooled features, the same weights
applied at every place give M_c(x, y) = sum_k w_k^c f_k(x, y). CoSA pools by the global
maximum and leaves the bias out (COSA section 1); `top_share` pools the mean of the
strongest places instead, which spreads the gradient over more of a small feature.
"""

from collections.abc import Iterable, Sequence

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

    Args:
        channels: D of the features.
        top_shares: C of them: by class, the share of places whose mean is the logit.
        hidden: width of the hidden layer.
        dropout: share of the channels that are left out at a training step, so that no class
            hangs on one of them.
    """

    mean: torch.Tensor
    deviation: torch.Tensor

    def __init__(
        self, channels: int, *, top_shares: Sequence[float], hidden: int = 64, dropout: float = 0.0
    ) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(1, channels, 1, 1))
        self.register_buffer("deviation", torch.ones(1, channels, 1, 1))
        self.hidden = nn.Conv2d(channels, hidden, 1)
        self.classes = nn.Conv2d(hidden, len(top_shares), 1)
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
        normal = self.dropout((features - self.mean) / self.deviation)
        activation: torch.Tensor = self.classes(nn.functional.relu(self.hidden(normal)))
        return mean_of_strongest(activation, self.top_shares), activation


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
