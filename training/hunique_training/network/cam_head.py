"""A classifier whose weights also draw the class activation map (CAM).

Zhou et al., CVPR 2016: with a linear classifier over pooled features, the same weights
applied at every place give M_c(x, y) = sum_k w_k^c f_k(x, y). CoSA pools by the global
maximum and leaves the bias out (COSA section 1); `top_share` pools the mean of the
strongest places instead, which spreads the gradient over more of a small feature.
"""

import torch
from torch import nn


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
        places = activation.flatten(2)
        count = max(1, round(self.top_share * places.shape[2]))
        return places.topk(count, dim=2).values.mean(dim=2), activation
