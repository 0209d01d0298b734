"""Segmentation decoders: features in, logits of background and C classes out.

`LargeFieldOfView` is CoSA's (three convolutions, two of them dilated, the encoder's stride).
`FineDecoder` adds the encoder's finer features on the way up to stride 4, because a ring
or a lunule is about one cell wide at stride 16.
"""

import torch
from torch import nn
from torch.nn.functional import interpolate, relu

from hunique_training.network.encoder import EncoderFeatures


class LargeFieldOfView(nn.Module):
    """CoSA's decoder: conv3x3 dilation 5, ReLU, the same again, conv1x1; no bias, no norm.

    Args:
        channels: D of the encoder's final features.
        class_count: C, background not counted.
        stride_px: the encoder's stride, which is also that of the logits.
        hidden: width of the two dilated convolutions (512 as published).
    """

    def __init__(
        self, channels: int, class_count: int, *, stride_px: int = 16, hidden: int = 512
    ) -> None:
        super().__init__()
        self.stride_px = stride_px
        self.first = nn.Conv2d(channels, hidden, 3, padding=5, dilation=5, bias=False)
        self.second = nn.Conv2d(hidden, hidden, 3, padding=5, dilation=5, bias=False)
        self.logits = nn.Conv2d(hidden, class_count + 1, 1, bias=False)

    def forward(self, features: EncoderFeatures) -> torch.Tensor:
        """Encoder features to logits (B, C+1, h, w); channel 0 is the background."""
        x = relu(self.second(relu(self.first(features.final))))
        out: torch.Tensor = self.logits(x)
        return out


class FineDecoder(nn.Module):
    """Dilated context at stride 16, then fused upward with stride 8 and stride 4 features.

    Args:
        channels: widths of the encoder's final, middle and fine features.
        class_count: C, background not counted.
    """

    stride_px = 4

    def __init__(self, channels: tuple[int, int, int], class_count: int) -> None:
        super().__init__()
        final, middle, fine = channels
        self.context = nn.Conv2d(final, 160, 3, padding=3, dilation=3)
        self.context_wide = nn.Conv2d(160, 128, 3, padding=6, dilation=6)
        self.fuse_middle = _Separable(128 + middle, 96)
        self.fuse_fine = _Separable(96 + fine, 64)
        self.logits = nn.Conv2d(64, class_count + 1, 1)

    def forward(self, features: EncoderFeatures) -> torch.Tensor:
        """Encoder features to logits (B, C+1, H/4, W/4); channel 0 is the background."""
        if features.middle is None or features.fine is None:
            raise ValueError("FineDecoder needs an encoder with features at stride 8 and 4")
        x = relu(self.context(features.final))
        x = relu(self.context_wide(x)) + x[:, :128]
        x = self.fuse_middle(torch.cat([_enlarge(x, features.middle), features.middle], dim=1))
        x = self.fuse_fine(torch.cat([_enlarge(x, features.fine), features.fine], dim=1))
        out: torch.Tensor = self.logits(x)
        return out


def _enlarge(x: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
    return interpolate(x, size=like.shape[-2:], mode="bilinear", align_corners=False)


class _Separable(nn.Sequential):
    """Depthwise 3x3 then pointwise convolution, each with ReLU."""

    def __init__(self, channels_in: int, channels_out: int) -> None:
        super().__init__(
            nn.Conv2d(channels_in, channels_in, 3, padding=1, groups=channels_in),
            nn.ReLU(),
            nn.Conv2d(channels_in, channels_out, 1),
            nn.ReLU(),
        )
