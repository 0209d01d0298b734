"""What a second stage is: one frozen configuration, and one for each network."""

import dataclasses
import json
import math
from dataclasses import dataclass, field
from typing import Any, Self

from hunique_training.config import TrainConfig
from hunique_training.data.views import ViewConfig
from hunique_training.network.cosa import NetworkConfig
from hunique_training.network.registry import decoder_for


@dataclass(frozen=True, kw_only=True)
class SecondStageConfig:
    """One run. The same for pseudo-labels and for truth, so that both can be compared."""

    network: NetworkConfig = field(default_factory=lambda: NetworkConfig(cam_head="final"))
    """The network, in the served format. Its class head has to tell presence and not place, so
    it reads the last block."""
    pretrained: str | None = "package"
    """Encoder weights: "package", a checkpoint file, or None for random numbers."""
    views: ViewConfig = field(default_factory=ViewConfig)
    """Crops and augmentation. `degrade_probability` is 0, whatever is given: a second stage learns
    where labels lie, and its views keep their pixels. Runs of before said 0.5 and did the same."""
    total_steps: int = 1600
    """Optimiser steps of the whole run."""
    rate_warm_up_steps: int = 50
    """Steps in which the learning rate rises from nearly 0."""
    batch_size: int = 8
    """Pictures of a step."""
    learning_rate: float = 2e-4
    """AdamW's base rate for the encoder."""
    head_rate_factor: float = 10.0
    """How many times faster heads and decoder learn."""
    frozen_stages: int = 2
    """Encoder stages, from the input on, that keep their pretrained weights."""
    weight_decay: float = 0.01
    """AdamW's weight decay."""
    average_momentum: float = 0.995
    """The model is the moving average of the weights; its memory is about 1 / (1 - m) steps."""
    classification_weight: float = 0.5
    """Factor of each of the two classification losses, beside 1 for the segmentation."""
    class_balanced: bool = False
    """Whether background and foreground weigh half each and all classes present the same;
    otherwise all pixels weigh alike."""
    background_slot: bool = True
    """Whether pictures without hands have a slot of their own among those of the classes."""
    label_stride_px: int = 2
    """Pixels are compared on a grid of so many pixels of the crop."""
    seed: int = 0
    """Everything random follows from it."""
    cache_side_px: int = 800
    """Pictures are kept in memory at most this large."""

    def __post_init__(self) -> None:
        """Check limits."""
        for name in ("total_steps", "batch_size", "learning_rate", "label_stride_px"):
            if getattr(self, name) <= 0:
                raise ValueError(f"{name} must be above 0, found {getattr(self, name)}")
        if not 0 <= self.average_momentum < 1:
            raise ValueError(f"expected 0 <= momentum < 1, found {self.average_momentum}")
        object.__setattr__(self, "views", dataclasses.replace(self.views, degrade_probability=0.0))

    def to_json(self) -> str:
        """The whole configuration, readable and stable."""
        return json.dumps(dataclasses.asdict(self), indent=2, sort_keys=True) + "\n"

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """The inverse of `dataclasses.asdict`, lists read as tuples."""
        parts: dict[str, type[Any]] = {"network": NetworkConfig, "views": ViewConfig}
        built = {name: kind(**_tuples(values[name])) for name, kind in parts.items()}
        return cls(**{**values, **built})


def _tuples(values: dict[str, Any]) -> dict[str, Any]:
    return {k: tuple(v) if isinstance(v, list) else v for k, v in values.items()}


def second_stage(encoder: str, class_names: tuple[str, ...]) -> SecondStageConfig:
    """The configuration for an encoder, with the decoder that suits it.

    `efficientnet_lite0` is small and served well by a CPU; `vit_small_14` and the other
    transformers want a GPU, a slower rate, all blocks trained, and crops that their
    patches divide. Not tuned: the convolutional one has the first stage's values, the
    transformers have CoSA's rate.

    Args:
        encoder: a name of `network.registry.ENCODERS`.
        class_names: the classes.
    """
    network = _served_as_hands_are(
        NetworkConfig(
            encoder=encoder, decoder=decoder_for(encoder), class_names=class_names, cam_head="final"
        )
    )
    if network.decoder == "fine":
        return SecondStageConfig(network=network)
    base = SecondStageConfig(network=network)
    patch_px = int(encoder.rpartition("_")[2])
    step_px = math.lcm(patch_px, SecondStageConfig.label_stride_px)
    size_px = round(base.views.size_px / step_px) * step_px
    return dataclasses.replace(
        base,
        views=dataclasses.replace(base.views, size_px=size_px),
        frozen_stages=0,
        learning_rate=6e-5,
        pretrained="package" if encoder == "vit_small_14" else None,
    )


def _served_as_hands_are(network: NetworkConfig) -> NetworkConfig:
    """With what the first stage knows of the features of hands, if the classes are those."""
    first = TrainConfig().network
    if network.class_names != first.class_names:
        return network
    return dataclasses.replace(
        network,
        classes_in_overview=first.classes_in_overview,
        mask_colour_weights=first.mask_colour_weights,
        mask_pale_weights=first.mask_pale_weights,
    )


def config_to_read_with(network: NetworkConfig, seed: int) -> TrainConfig:
    """What a first stage of these classes and this seed would read its sources with.

    Args:
        network: any one with the classes. What presets set class by class is left out.
        seed: of splits and of drawing.
    """
    return TrainConfig(
        network=network, mixed_cam_shares=(), cam_exponents=(), largest_shares=(), seed=seed
    )
