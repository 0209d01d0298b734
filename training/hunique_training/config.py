"""What a training run is: one frozen configuration.

The resolved configuration is written into the run folder and into every checkpoint.
"""

import dataclasses
import json
from dataclasses import dataclass, field
from typing import Any, Self

from hunique_training.data.views import ViewConfig
from hunique_training.early_stop import ValidationConfig
from hunique_training.losses.contrastive_separation import ContrastConfig
from hunique_training.losses.dense_energy import EnergyConfig
from hunique_training.network.cosa import NetworkConfig, for_classes
from hunique_training.precision import PRECISIONS
from hunique_training.pseudo_labels.cam_labels import CamThresholds
from hunique_training.pseudo_labels.dynamic_threshold import DynamicThresholdConfig
from hunique_training.pseudo_labels.perplexity import PerplexityConfig

METHODS = ("cosa", "cam", "hide_and_seek", "adversarial_erasing", "equivariant_cam")
"""What `TrainConfig.method` may be."""
_OF_OTHERS = {"mixed_cam_shares": 0.0, "cam_exponents": 0.4, "largest_shares": 0.0}
"""What is set class by class, and its value for a class that nothing was chosen for: few places
tell what it is, and many belong, as of a tattoo; it may be as large as the picture."""


@dataclass(frozen=True, kw_only=True)
class LossWeights:
    """Factors of the losses. Both classification losses have weight 1 from step 0."""

    cam_to_segmentation: float = 0.1
    """Cross-entropy of the segmentation against CAM pseudo-labels."""
    segmentation_to_cam: float = 0.05
    """Cross-entropy of the CAM against segmentation pseudo-labels."""
    contrastive_separation: float = 0.0
    """Contrast of CAM vectors; 0.1 in the paper, absent from the release."""
    regulariser: float = 0.0
    """Dense energy of the segmentation; 0.05 in the release, absent from the paper."""
    marked_pixels: float = 0.5
    """Cross-entropy of the segmentation at points and scribbles, where the data have any."""
    marked_cam: float = 0.1
    """The same of the CAM."""
    ignored_consistency: float = 0.0
    """Segmentation of the strong view against the assignment network's where CAM
    pseudo-labels are ignored (DuPL's idea)."""
    size_prior: float = 0.0
    """CAM held down where no feature can be, by `TrainConfig.largest_shares`."""


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """One run of CoSA. The defaults are the preset `hunique`."""

    preset: str = "hunique"
    """Name of the preset that this configuration started from."""
    method: str = "cosa"
    """How the network learns: CoSA, or one of the classifiers of `hunique_training.methods`,
    which leave the segmentation untrained."""
    network: NetworkConfig = field(
        default_factory=lambda: NetworkConfig(
            cam_mask_shares=(0.0, 0.0, 1.0, 1.0),
            cam_mask_smoothing=(0.0, 0.0, 1.5, 0.0),
            classes_in_overview=(False, False, True, False),
            mask_colour_weights=(1.0, 0.25, 0.0, 1.5),
            mask_pale_weights=(0.0, 0.0, 1.0, 0.0),
            local_top_shares=(0.15, 0.015, 0.02, 0.03),
            local_hidden=128,
            local_noise=(1.0, 1.0, 0.0, 1.0),
        )
    )
    """The network."""
    pretrained: str | None = "package"
    """Encoder weights: "package", a checkpoint file, or None for random numbers."""
    views: ViewConfig = field(default_factory=lambda: ViewConfig(degrade_probability=0.5))
    """Crops and augmentation."""
    total_steps: int = 2000
    """Optimiser steps of the whole run."""
    loss_warm_up_steps: int = 1200
    """Steps of classification alone, before pseudo-labels are used."""
    rate_warm_up_steps: int = 50
    """Steps in which the learning rate rises from nearly 0."""
    batch_size: int = 8
    """Pictures that pass the networks together, over all processes; each takes an equal share."""
    accumulate: int = 1
    """Batches whose gradients make one step. A step is the same, up to rounding, as one of
    `accumulate` times the batch size at once, in less memory."""
    precision: str = "float32"
    """What the networks compute in: `float32`, `bfloat16` or `float16`."""
    learning_rate: float = 2e-4
    """AdamW's base rate for the encoder."""
    head_rate_factor: float = 10.0
    """How many times faster heads and decoder learn."""
    frozen_stages: int = 7
    """Encoder stages, from the input on, that keep their pretrained weights. Image-level labels
    do not say where, and an encoder that is trained by them moves what it sees to where it
    likes: frozen, its features stay in place. It is also much cheaper."""
    weight_decay: float = 0.01
    """AdamW's weight decay."""
    assignment_momentum: float = 0.995
    """m of the assignment network; its memory is about 1 / (1 - m) steps."""
    assignment_catches_up: bool = True
    """Whether m starts small and rises to its value. The release keeps it from step 0."""
    assignment_own_heads: bool = False
    """Whether the assignment network's heads and decoder start from random numbers of their
    own, as in the release (COSA section 1), rather than as copies."""
    assignment_scales: tuple[float, ...] = (1.0,)
    """Scales at which the assignment network looks, each also mirrored."""
    auxiliary_cam_of_last_scale: bool = False
    """Whether the auxiliary CAM is that of the last scale alone, as in the release by mistake
    (COSA section 2)."""
    threshold: str = "fixed"
    """`fixed`: the two below, with pixels between them ignored. `dynamic`: one that follows
    where recent CAMs part in two, with no pixel ignored, as in the paper."""
    thresholds: CamThresholds = field(default_factory=lambda: CamThresholds(high=0.6, low=0.45))
    """For pseudo-labels from the CAM."""
    auxiliary_thresholds: CamThresholds = field(
        default_factory=lambda: CamThresholds(high=0.55, low=0.25)
    )
    """For pseudo-labels from the auxiliary CAM."""
    dynamic_threshold: DynamicThresholdConfig = field(default_factory=DynamicThresholdConfig)
    """How the dynamic threshold follows."""
    weighting: str = "none"
    """`none`: pixels of CAM pseudo-labels weigh alike. `reliability`: the less, the nearer
    their CAM is to the threshold (RAW, as in the paper)."""
    perplexity: PerplexityConfig = field(default_factory=PerplexityConfig)
    """How unsure a pixel near the threshold is: for weights and for contrast."""
    contrast: ContrastConfig = field(default_factory=ContrastConfig)
    """Which places contrastive separation compares, and how."""
    energy: EnergyConfig = field(default_factory=EnergyConfig)
    """Grid and widths of the regulariser."""
    auxiliary_share: float = 0.0
    """Weight of pseudo-labels from the auxiliary CAM alone beside the main ones."""
    mixed_cam_shares: tuple[float, ...] = ()
    """Share of the auxiliary CAM in the CAM that makes the main pseudo-labels, by class
    (Mixed CAM). Small things want the auxiliary one, which sees less around them; large
    ones the main one. Empty: the main CAM alone."""
    lost_feature_score: float = 0.3
    """A crop of a picture that shows a class, of which the assignment network's score is below
    this, has lost the feature: no pseudo-label and no guidance of that class. 0: never."""
    cam_exponents: tuple[float, ...] = (0.4, 1.3, 0.5, 0.45)
    """Power to which the CAM that makes the main pseudo-labels is raised, by class. Below 1 it
    lifts what is weaker than the peak: a tattoo has few places that tell and many that belong.
    Above 1 it trims what the grid of the CAM smears beyond a feature as thin as a ring. Empty:
    none."""
    largest_shares: tuple[float, ...] = (0.6, 0.05, 0.0, 0.3)
    """By class, the largest share of a picture that a feature may cover; 0: not known, as for
    a lunule, which close-ups show at any size. Empty: none."""
    guidance_start_step: int = 1600
    """First step in which segmentation guides the CAMs. Before, the assignment network's
    segmentation is still that of a random decoder."""
    guide_silent_classes: bool = False
    """Whether a segmentation that sees nothing of a class that is there guides its CAM all
    the same, towards nothing."""
    guide_cam: bool = True
    """Whether segmentation pseudo-labels guide the CAM."""
    guide_auxiliary_cam: bool = True
    """Whether segmentation pseudo-labels guide the auxiliary CAM too."""
    label_stride_px: int = 4
    """Pseudo-labels have a value for every so many pixels of the crop."""
    label_downscale: int = 1
    """CAM pseudo-labels are decided on a grid so many times coarser still."""
    refine_dilations: tuple[int, ...] = (1, 2)
    """Reach of the pixel-adaptive refinement that moves the borders of CAM pseudo-labels, in
    cells of their grid; empty: none. A reach beyond a feature's size wipes it out: with the
    published 24 no nail on a whole hand keeps a label."""
    refine_iterations: int = 4
    """How often the refinement is repeated."""
    rectify_guided_cam: bool = False
    """Whether the guided CAM passes ReLU first, as in the release."""
    class_balanced: bool = False
    """Whether each class present weighs the same in the CAM-to-segmentation loss. What is small
    is then found sooner and outlined too widely."""
    mean_over_pixels: bool = True
    """Whether that loss is the paper's mean over pixels. Neither of both: that of the background
    and that of the foreground, half each."""
    segmentation_temperature: float = 0.01
    """Temperature of segmentation pseudo-labels."""
    weights: LossWeights = field(
        default_factory=lambda: LossWeights(
            cam_to_segmentation=0.5, segmentation_to_cam=0.1, size_prior=0.7
        )
    )
    """Loss factors."""
    box_least_share: float = 0.3
    """Share of a box that its class gets at least, where the CAM is strongest."""
    ignored_sure: float = 0.9
    """Probability from which the assignment network is followed where pixels are ignored."""
    validation: ValidationConfig = field(default_factory=ValidationConfig)
    """Validation while training."""
    seed: int = 0
    """Everything random follows from it."""
    cache_side_px: int = 800
    """Pictures are kept in memory at most this large."""

    def __post_init__(self) -> None:
        """Check limits."""
        for name in ("total_steps", "batch_size", "accumulate", "learning_rate"):
            if getattr(self, name) <= 0:
                raise ValueError(f"{name} must be above 0, found {getattr(self, name)}")
        if self.method not in METHODS:
            raise ValueError(f"method is one of {', '.join(METHODS)}; found {self.method!r}")
        if self.precision not in PRECISIONS:
            raise ValueError(f"precision is one of {PRECISIONS}, found {self.precision!r}")
        if not 0 <= self.assignment_momentum < 1:
            raise ValueError(f"expected 0 <= momentum < 1, found {self.assignment_momentum}")
        if self.threshold not in ("fixed", "dynamic"):
            raise ValueError(f"threshold is 'fixed' or 'dynamic', found {self.threshold!r}")
        if self.weighting not in ("none", "reliability"):
            raise ValueError(f"weighting is 'none' or 'reliability', found {self.weighting!r}")
        if self.mean_over_pixels and self.class_balanced:
            raise ValueError("choose one of mean_over_pixels and class_balanced, found both")
        for name in _OF_OTHERS:
            values, count = getattr(self, name), len(self.network.class_names)
            if values and len(values) != count:
                raise ValueError(f"{name} needs {count} values, one a class; found {len(values)}")

    def for_classes(self, class_names: tuple[str, ...]) -> Self:
        """The same for other classes: those that are among these keep what was chosen for them."""
        names = self.network.class_names
        values: dict[str, Any] = {
            name: for_classes(getattr(self, name), names, class_names, other)
            for name, other in _OF_OTHERS.items()
        }
        bounds = values.pop("largest_shares")
        return dataclasses.replace(
            self,
            network=self.network.for_classes(class_names),
            largest_shares=bounds if any(bounds) else (),
            **values,
        )

    @property
    def step_pictures(self) -> int:
        """Pictures of a step: of the joint batch."""
        return self.batch_size * self.accumulate

    def same_run(self, other: "TrainConfig") -> bool:
        """Whether a run of the one may go on as the other.

        A step's pictures may pass the networks in more or fewer parts.
        """
        parts = {"batch_size": other.batch_size, "accumulate": other.accumulate}
        return (
            self.step_pictures == other.step_pictures
            and dataclasses.replace(self, **parts) == other  # type: ignore[arg-type]
        )

    def to_json(self) -> str:
        """The whole configuration, readable and stable."""
        return json.dumps(dataclasses.asdict(self), indent=2, sort_keys=True) + "\n"

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """The inverse of `dataclasses.asdict`, lists read as tuples.

        Fields that are missing take their defaults, or none where the default came to the
        preset later, so that a run of an earlier version reads as what it was.
        """
        values = {"largest_shares": (), **values}
        built = {
            name: kind(**_tuples(values[name])) for name, kind in _PARTS.items() if name in values
        }
        return cls(**{**_tuples(values), **built})


_PARTS: dict[str, type[Any]] = {
    "network": NetworkConfig,
    "views": ViewConfig,
    "thresholds": CamThresholds,
    "auxiliary_thresholds": CamThresholds,
    "dynamic_threshold": DynamicThresholdConfig,
    "perplexity": PerplexityConfig,
    "contrast": ContrastConfig,
    "validation": ValidationConfig,
    "energy": EnergyConfig,
    "weights": LossWeights,
}


def _tuples(values: dict[str, Any]) -> dict[str, Any]:
    return {k: tuple(v) if isinstance(v, list) else v for k, v in values.items()}
