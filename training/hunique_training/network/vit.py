"""Plain vision transformers (Dosovitskiy et al., ICLR 2021), with DINOv2's layer scale.

Parameters carry timm's names (`blocks.0.attn.qkv.weight`, ...), so that checkpoints of
timm load as they are. COSA section 1 says what CoSA takes from it: the last block's
normed tokens, and those of the third block from the end, not normed.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn.functional import gelu, interpolate, scaled_dot_product_attention

from hunique_training.network.encoder import CheckpointFormatError, Encoder, EncoderFeatures

_IMAGENET_MEAN, _IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
_EPSILON = 1e-6


@dataclass(frozen=True, kw_only=True)
class VitShape:
    """Sizes of a vision transformer."""

    patch_px: int
    """Side of a patch."""
    width: int
    """Channels of a token."""
    heads: int
    """Attention heads."""
    grid: int
    """Side of the grid of learned positions: pretraining side / patch side."""
    depth: int = 12
    """Blocks."""
    layer_scale: bool = False
    """Whether each branch ends in a learned factor a channel (DINOv2)."""
    auxiliary_layer: int = -3
    """Block whose output is the auxiliary feature; -1 is the last, normed."""


VIT_SHAPES = {
    "vit_tiny_16": VitShape(patch_px=16, width=192, heads=3, grid=14),
    "vit_small_16": VitShape(patch_px=16, width=384, heads=6, grid=14),
    "vit_base_16": VitShape(patch_px=16, width=768, heads=12, grid=14),
    "vit_small_14": VitShape(patch_px=14, width=384, heads=6, grid=37, layer_scale=True),
    "vit_base_14": VitShape(patch_px=14, width=768, heads=12, grid=37, layer_scale=True),
}
"""The transformers by name; those of patch 14 are DINOv2's."""


class _Attention(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)
        self.heads = heads

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        batch, count, width = x.shape
        qkv = self.qkv(x).reshape(batch, count, 3, self.heads, width // self.heads)
        query, key, value = qkv.permute(2, 0, 3, 1, 4)
        mixed = scaled_dot_product_attention(query, key, value)
        out: torch.Tensor = self.proj(mixed.transpose(1, 2).reshape(batch, count, width))
        return out


class _Mlp(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(width, 4 * width)
        self.fc2 = nn.Linear(4 * width, width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = self.fc2(gelu(self.fc1(x)))
        return out


class _LayerScale(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.ones(width))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * self.gamma


class _Block(nn.Module):
    """Attention then perceptron, each after a layer norm and beside a shortcut."""

    def __init__(self, shape: VitShape) -> None:
        super().__init__()
        width = shape.width
        self.norm1 = nn.LayerNorm(width, eps=_EPSILON)
        self.attn = _Attention(width, shape.heads)
        self.ls1 = _LayerScale(width) if shape.layer_scale else nn.Identity()
        self.norm2 = nn.LayerNorm(width, eps=_EPSILON)
        self.mlp = _Mlp(width)
        self.ls2 = _LayerScale(width) if shape.layer_scale else nn.Identity()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = x + self.ls1(self.attn(self.norm1(x)))
        out: torch.Tensor = x + self.ls2(self.mlp(self.norm2(x)))
        return out


class _PatchEmbedding(nn.Module):
    def __init__(self, shape: VitShape) -> None:
        super().__init__()
        self.proj = nn.Conv2d(3, shape.width, shape.patch_px, stride=shape.patch_px)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = self.proj(images)
        return out


class VisionTransformer(Encoder):
    """The encoder. Pictures are normalised with ImageNet's mean and deviation, as CoSA does.

    Positions are learned for a grid of `shape.grid` squared and resized bicubically
    (half-pixel centres) to the grid of the input; they stay as pretrained.

    Args:
        shape: sizes, from `VIT_SHAPES` or one's own.
    """

    pixel_mean: torch.Tensor
    pixel_std: torch.Tensor

    def __init__(self, shape: VitShape) -> None:
        super().__init__()
        self.shape = shape
        self.stride_px = shape.patch_px
        self.final_channels = self.auxiliary_channels = shape.width
        self.register_buffer("pixel_mean", torch.tensor(_IMAGENET_MEAN)[:, None, None])
        self.register_buffer("pixel_std", torch.tensor(_IMAGENET_STD)[:, None, None])
        self.cls_token = nn.Parameter(torch.zeros(1, 1, shape.width))
        positions = torch.empty(1, 1 + shape.grid**2, shape.width)
        self.pos_embed = nn.Parameter(nn.init.trunc_normal_(positions, std=0.02))
        self.pos_embed.requires_grad_(False)
        self.patch_embed = _PatchEmbedding(shape)
        self.blocks = nn.ModuleList(_Block(shape) for _ in range(shape.depth))
        self.norm = nn.LayerNorm(shape.width, eps=_EPSILON)

    def forward(self, images: torch.Tensor) -> EncoderFeatures:
        """Pictures (B, 3, H, W) float sRGB in [0, 1], sides divisible by the patch, to features."""
        grid = (images.shape[2] // self.stride_px, images.shape[3] // self.stride_px)
        final, auxiliary = self.tokens((images - self.pixel_mean) / self.pixel_std)
        return EncoderFeatures(
            final=_to_map(final[:, 1:], grid),
            auxiliary=_to_map(auxiliary[:, 1:], grid),
            middle=None,
            fine=None,
        )

    def tokens(self, normalised: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Normalised pictures (B, 3, H, W) to final and auxiliary tokens (B, 1 + hw, D).

        Place 0 is the class token.
        """
        patches = self.patch_embed(normalised)
        x = torch.cat([self.cls_token.expand(patches.shape[0], -1, -1), _to_tokens(patches)], dim=1)
        x = x + self._positions(patches.shape[2], patches.shape[3])
        outputs = []
        for block in self.blocks:
            x = block(x)
            outputs.append(x)
        outputs[-1] = self.norm(x)
        return outputs[-1], outputs[self.shape.auxiliary_layer]

    def _positions(self, height: int, width: int) -> torch.Tensor:
        side = self.shape.grid
        if (height, width) == (side, side):
            return self.pos_embed
        learned = _to_map(self.pos_embed[:, 1:], (side, side))
        resized = interpolate(learned, size=(height, width), mode="bicubic", align_corners=False)
        return torch.cat([self.pos_embed[:, :1], _to_tokens(resized)], dim=1)

    def freeze_stages(self, count: int) -> None:
        """Keep the patch embedding and the first `count` blocks as they are; 0 freezes nothing."""
        if count:
            self.patch_embed.requires_grad_(False)
            self.cls_token.requires_grad_(False)
        for block in list(self.blocks)[:count]:
            block.requires_grad_(False)

    def load_pretrained(self, state: Mapping[str, torch.Tensor]) -> None:
        """Take over weights under timm's names; a classifier's own weights are left out.

        Raises:
            CheckpointFormatError: keys or shapes do not fit.
        """
        wanted = {k: v for k, v in self.state_dict().items() if not k.startswith("pixel_")}
        missing = sorted(wanted.keys() - state.keys())
        if missing:
            raise CheckpointFormatError(
                f"The weights lack {len(missing)} of {len(wanted)} arrays, the first is "
                f"{missing[0]}; found for example {', '.join(sorted(state)[:3])}"
            )
        for name, value in wanted.items():
            if state[name].shape != value.shape:
                raise CheckpointFormatError(
                    f"{name}: expected shape {tuple(value.shape)}, found "
                    f"{tuple(state[name].shape)}. Is this the encoder that the weights are for?"
                )
        self.load_state_dict({name: state[name] for name in wanted}, strict=False)


def _to_map(tokens: torch.Tensor, grid: tuple[int, int]) -> torch.Tensor:
    """(B, hw, D) to (B, D, h, w)."""
    # not len(tokens): the exporter would take that for a constant
    return tokens.transpose(1, 2).reshape(tokens.shape[0], tokens.shape[2], *grid)


def _to_tokens(features: torch.Tensor) -> torch.Tensor:
    """(B, D, h, w) to (B, hw, D)."""
    return features.flatten(2).transpose(1, 2)
