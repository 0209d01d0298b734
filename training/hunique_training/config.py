"""What a training run is: one frozen configuration and its named presets.

The resolved configuration is written into the run folder and into every checkpoint.
"""

import dataclasses
import json
from dataclasses import dataclass, field
from typing import Any, Self

from hunique_training.data.views import ViewConfig
from hunique_training.network.cosa import NetworkConfig
from hunique_training.pseudo_labels.cam_labels import CamThresholds


@dataclass(frozen=True, kw_only=True)
class LossWeights:
    """Factors of the losses. Both classification losses have weight 1 from step 0."""

    cam_to_segmentation: float = 0.1
    """Cross-entropy of the segmentation against CAM pseudo-labels."""
    segmentation_to_cam: float = 0.05
    """Cross-entropy of the CAM against segmentation pseudo-labels."""


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """One run of CoSA. The defaults are the preset `hunique`."""

    preset: str = "hunique"
    """Name of the preset that this configuration started from."""
    network: NetworkConfig = field(default_factory=NetworkConfig)
    """The network."""
    pretrained: str | None = "package"
    """Encoder weights: "package", a checkpoint file, or None for random numbers."""
    views: ViewConfig = field(default_factory=ViewConfig)
    """Crops and augmentation."""
    total_steps: int = 1100
    """Optimiser steps of the whole run."""
    loss_warm_up_steps: int = 300
    """Steps of classification alone, before pseudo-labels are used."""
    rate_warm_up_steps: int = 50
    """Steps in which the learning rate rises from nearly 0."""
    batch_size: int = 8
    """Pictures of a step."""
    learning_rate: float = 2e-4
    """AdamW's base rate for the encoder."""
    head_rate_factor: float = 10.0
    """How many times faster heads and decoder learn."""
    frozen_stages: int = 2
    """Encoder stages, from the input on, that keep their pretrained weights. They are the
    most expensive ones to train on a CPU and the least specific."""
    weight_decay: float = 0.01
    """AdamW's weight decay."""
    assignment_momentum: float = 0.995
    """m of the assignment network; its memory is about 1 / (1 - m) steps."""
    assignment_scales: tuple[float, ...] = (1.0,)
    """Scales at which the assignment network looks, each also mirrored."""
    thresholds: CamThresholds = field(default_factory=lambda: CamThresholds(high=0.55, low=0.25))
    """For pseudo-labels from the CAM."""
    auxiliary_thresholds: CamThresholds = field(
        default_factory=lambda: CamThresholds(high=0.55, low=0.25)
    )
    """For pseudo-labels from the auxiliary CAM."""
    auxiliary_share: float = 0.0
    """Weight of pseudo-labels from the auxiliary CAM alone beside the main ones."""
    mixed_cam_shares: tuple[float, ...] = (0.3, 1.0, 0.8, 1.0)
    """Share of the auxiliary CAM in the CAM that makes the main pseudo-labels, by class
    (Mixed CAM). Small things want the auxiliary one, which sees less around them; large
    ones the main one. Empty: the main CAM alone."""
    guide_auxiliary_cam: bool = True
    """Whether segmentation pseudo-labels guide the auxiliary CAM too."""
    label_stride_px: int = 4
    """Pseudo-labels have a value for every so many pixels of the crop."""
    label_downscale: int = 1
    """CAM pseudo-labels are decided on a grid so many times coarser still."""
    refine: bool = True
    """Whether pixel-adaptive refinement moves the borders of CAM pseudo-labels."""
    rectify_guided_cam: bool = False
    """Whether the guided CAM passes ReLU first, as in the release."""
    class_balanced: bool = True
    """Whether each class present weighs the same in the CAM-to-segmentation loss."""
    segmentation_temperature: float = 0.01
    """Temperature of segmentation pseudo-labels."""
    weights: LossWeights = field(
        default_factory=lambda: LossWeights(cam_to_segmentation=0.5, segmentation_to_cam=0.1)
    )
    """Loss factors."""
    seed: int = 0
    """Everything random follows from it."""
    cache_side_px: int = 640
    """Pictures are kept in memory at most this large."""

    def __post_init__(self) -> None:
        """Check limits."""
        for name in ("total_steps", "batch_size", "learning_rate"):
            if getattr(self, name) <= 0:
                raise ValueError(f"{name} must be above 0, found {getattr(self, name)}")
        if not 0 <= self.assignment_momentum < 1:
            raise ValueError(f"expected 0 <= momentum < 1, found {self.assignment_momentum}")
        if self.mixed_cam_shares and len(self.mixed_cam_shares) != len(self.network.class_names):
            raise ValueError(
                f"mixed_cam_shares needs {len(self.network.class_names)} values, one a class; "
                f"found {len(self.mixed_cam_shares)}"
            )

    def to_json(self) -> str:
        """The whole configuration, readable and stable."""
        return json.dumps(dataclasses.asdict(self), indent=2, sort_keys=True) + "\n"

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """The inverse of `dataclasses.asdict`, lists read as tuples."""
        parts: dict[str, type[Any]] = {
            "network": NetworkConfig,
            "views": ViewConfig,
            "thresholds": CamThresholds,
            "auxiliary_thresholds": CamThresholds,
            "weights": LossWeights,
        }
        built = {name: kind(**_tuples(values[name])) for name, kind in parts.items()}
        return cls(**{**_tuples(values), **built})


def _tuples(values: dict[str, Any]) -> dict[str, Any]:
    return {k: tuple(v) if isinstance(v, list) else v for k, v in values.items()}


def release() -> TrainConfig:
    """CoSA as released (COSA section 4), for a ViT-B/16 and VOC-like data.

    `hunique-train fit --preset release`; 32,000 steps take 8 h 39 min on two RTX 3090
    (the authors' log). Not run to the end here.
    """
    return TrainConfig(
        preset="release",
        network=NetworkConfig(encoder="vit_base_16", decoder="large_fov", pooling_top_share=0.0),
        pretrained=None,
        views=ViewConfig(size_px=448, scale_low=0.5, scale_high=2.0, quarter_turn_probability=0),
        total_steps=32_000,
        frozen_stages=0,
        loss_warm_up_steps=6_000,
        rate_warm_up_steps=1_500,
        batch_size=4,
        learning_rate=6e-5,
        assignment_momentum=0.9994,
        assignment_scales=(1.0, 0.5, 1.5),
        thresholds=CamThresholds(high=0.7, low=0.25),
        auxiliary_thresholds=CamThresholds(high=0.7, low=0.25),
        label_stride_px=1,
        label_downscale=2,
        auxiliary_share=0.5,
        mixed_cam_shares=(),
        guide_auxiliary_cam=False,
        refine=False,
        rectify_guided_cam=True,
        class_balanced=False,
        weights=LossWeights(),
    )


PRESETS = {"hunique": TrainConfig, "release": release}
"""Named configurations: `PRESETS[name]()`."""
