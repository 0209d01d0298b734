"""What an encoder is, and the encoders by name.

An encoder takes pictures in [0, 1] and holds its own normalisation constants as buffers,
so that they travel with checkpoints and exports.
"""

from typing import NamedTuple, Protocol, runtime_checkable

import torch
from torch import nn

from hunique_training.network.efficientnet_lite import EfficientNetLite0


class EncoderFeatures(NamedTuple):
    """Features of B pictures of H x W pixels."""

    final: torch.Tensor
    """(B, D, H/16, W/16) of the last block."""
    auxiliary: torch.Tensor
    """(B, Da, H/16, W/16) of an earlier block: sharper, less semantic."""
    middle: torch.Tensor | None
    """(B, Dm, H/8, W/8), where the encoder has it."""
    fine: torch.Tensor | None
    """(B, Df, H/4, W/4), where the encoder has it."""


@runtime_checkable
class Encoder(Protocol):
    """What the CoSA network needs of an encoder."""

    final_channels: int
    """D of `EncoderFeatures.final`."""
    auxiliary_channels: int
    """Da of `EncoderFeatures.auxiliary`."""
    middle_channels: int
    """Dm of `EncoderFeatures.middle`; 0 where there is none."""
    fine_channels: int
    """Df of `EncoderFeatures.fine`; 0 where there is none."""
    size_multiple_px: int
    """Input sides must divide by this."""

    def freeze_stages(self, count: int) -> None:
        """Keep the weights of the first `count` stages as they are."""
        ...

    def __call__(self, images: torch.Tensor) -> EncoderFeatures:
        """Pictures (B, 3, H, W) float sRGB in [0, 1] to features."""
        ...


def build_encoder(name: str, pretrained: str | None) -> nn.Module:
    """Build an encoder by name.

    Args:
        name: `efficientnet_lite0`.
        pretrained: "package" for the weights of the installed package, a path to a
            checkpoint file, or None for random weights.

    Raises:
        ValueError: the name is not known.
        CheckpointFormatError: the weights do not fit the encoder.
    """
    if name != "efficientnet_lite0":
        raise ValueError(f"expected an encoder out of efficientnet_lite0, found {name!r}")
    return EfficientNetLite0.from_pretrained(pretrained)
