"""What a guided-CAM experiment is: one frozen configuration for all of its arms."""

import dataclasses
import json
from dataclasses import dataclass, field

from hunique_training.config import TrainConfig
from hunique_training.data.views import ViewConfig
from hunique_training.second_stage.config import SecondStageConfig

ARMS = ("truth", "none", "noise")
"""What guides the CAM. `GT`, `NO`, `NS` in the talk."""


def default_training() -> SecondStageConfig:
    """Network, encoder and rates of the preset `hunique`, on small crops, for minutes."""
    preset = TrainConfig()
    return SecondStageConfig(
        network=preset.network.serving_segmentation_alone(),
        pretrained=preset.pretrained,
        views=ViewConfig(size_px=224),
        total_steps=600,
        rate_warm_up_steps=60,
        batch_size=preset.batch_size,
        learning_rate=preset.learning_rate,
        head_rate_factor=preset.head_rate_factor,
        frozen_stages=preset.frozen_stages,
        weight_decay=preset.weight_decay,
    )


@dataclass(frozen=True, kw_only=True)
class GuidedCamConfig:
    """One experiment."""

    training: SecondStageConfig = field(default_factory=default_training)
    """Network, crops, schedule and seed of every arm. What it says of segmentation and of the
    moving average is not used."""
    guidance_weight: float = 1.0
    """Factor of the segmentation-to-CAM loss beside 1 for each classification loss. CoSA's own
    is 0.05; a short run shows little of it."""
    every_steps: int = 50
    """The CAM is scored before the first step, after so many, and at the end."""
    pictures: int = 32
    """At most so many pictures of `val` are scored, always the same."""
    input_size_px: int = 320
    """Longer side of a picture that is scored, in about so many pixels."""

    def __post_init__(self) -> None:
        """Check limits."""
        for name in ("guidance_weight", "every_steps", "pictures", "input_size_px"):
            if getattr(self, name) <= 0:
                raise ValueError(f"{name} must be above 0, found {getattr(self, name)}")

    def to_json(self) -> str:
        """The whole configuration, readable and stable."""
        return json.dumps(dataclasses.asdict(self), indent=2, sort_keys=True) + "\n"
