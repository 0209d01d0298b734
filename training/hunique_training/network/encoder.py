"""What an encoder is: a network that turns pictures into features on a coarse grid.

An encoder takes pictures in [0, 1] and holds its own normalisation constants as buffers,
so that they travel with checkpoints and exports.
"""

from abc import ABC, abstractmethod
from typing import NamedTuple

import torch
from torch import nn


class CheckpointFormatError(Exception):
    """Weights do not fit the network; the message names what is missing or too much."""


class EncoderFeatures(NamedTuple):
    """Features of B pictures of H x W pixels; s is the encoder's stride."""

    final: torch.Tensor
    """(B, D, H/s, W/s) of the last block."""
    auxiliary: torch.Tensor
    """(B, Da, H/s, W/s) of an earlier block: sharper, less semantic."""
    middle: torch.Tensor | None
    """(B, Dm, H/8, W/8), where the encoder has it."""
    fine: torch.Tensor | None
    """(B, Df, H/4, W/4), where the encoder has it."""
    local: torch.Tensor | None = None
    """(B, Dl, H/s, W/s), where the encoder has it: several middle blocks side by side, which
    see enough to name a feature and not so much around it that they misplace it."""


class Encoder(nn.Module, ABC):
    """What the CoSA network needs of an encoder."""

    final_channels: int
    """D of `EncoderFeatures.final`."""
    auxiliary_channels: int
    """Da of `EncoderFeatures.auxiliary`."""
    middle_channels: int = 0
    """Dm of `EncoderFeatures.middle`; 0 where there is none."""
    fine_channels: int = 0
    """Df of `EncoderFeatures.fine`; 0 where there is none."""
    local_channels: int = 0
    """Dl of `EncoderFeatures.local`; 0 where there is none."""
    stride_px: int
    """Pixels for one place of the final features; input sides must divide by it."""

    @abstractmethod
    def freeze_stages(self, count: int) -> None:
        """Keep the weights of the first `count` stages or blocks as they are."""

    @abstractmethod
    def forward(self, images: torch.Tensor) -> EncoderFeatures:
        """Pictures (B, 3, H, W) float sRGB in [0, 1] to features."""
