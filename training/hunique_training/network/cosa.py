"""The network of CoSA: one encoder, two CAM heads, one segmentation decoder (COSA section 1)."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, Self

import torch
from torch import nn

from hunique_training.network.cam_head import CamHead, ProjectedCamHead
from hunique_training.network.decoder import FineDecoder, LargeFieldOfView
from hunique_training.network.encoder import EncoderFeatures
from hunique_training.network.registry import build_encoder


class CosaOutput(NamedTuple):
    """Everything one forward pass gives; B pictures, C classes, grid h x w = H/s x W/s for an encoder of stride s."""

    class_logits: torch.Tensor
    """(B, C) from the final features."""
    auxiliary_class_logits: torch.Tensor
    """(B, C) from the earlier block."""
    cam: torch.Tensor
    """(B, C, h, w), unbounded, no ReLU."""
    auxiliary_cam: torch.Tensor
    """(B, C, h, w) from the earlier block: sharper, less led by what occurs together."""
    segmentation_logits: torch.Tensor
    """(B, C+1, H/stride, W/stride) at the decoder's stride; channel 0 is the background."""
    layer_logits: torch.Tensor | None = None
    """(B, layers, C) of every class by every hidden layer of the CAM head, in training, where
    it has several: all are taught, and each class is drawn by one."""
    hand_logits: torch.Tensor | None = None
    """(B, 1, h, w) of a hand at a place, where the network has a hand map."""

    @property
    def taught_logits(self) -> torch.Tensor:
        """(B, C), or (B, layers, C) where there are several layers to teach."""
        return self.class_logits if self.layer_logits is None else self.layer_logits


_OF_OTHERS = {
    "cam_mask_shares": 0.0,
    "cam_mask_smoothing": 0.0,
    "classes_in_overview": False,
    "mask_colour_weights": 0.0,
    "mask_pale_weights": 0.0,
    "local_top_shares": 0.3,
    "local_noise": 0.0,
}
"""What is set class by class, and its value for a class that nothing was chosen for: its
segmentation is served as it is drawn, and it is taken for something larger than a ring."""


@dataclass(frozen=True, kw_only=True)
class NetworkConfig:
    """What is needed to build the network again; written into every checkpoint."""

    encoder: str = "efficientnet_lite0"
    """Name in `hunique_training.network.registry`."""
    class_names: tuple[str, ...] = ("tattoo", "ring", "lunule", "polished_nail")
    """Classes in channel order, background not among them."""
    decoder: str = "fine"
    """`fine` (stride 4, for convolutional encoders) or `large_fov` (CoSA's, stride 16)."""
    cam_head: str = "local"
    """What the main CAM is drawn from: `final`, a linear head over the last block (CoSA), or
    `local`, a small network over middle blocks, which places small features better."""
    cam_mask_shares: tuple[float, ...] = ()
    """Share of the main CAM in the pixel probability that is served, by class. Some features
    are drawn better by the CAM than by the segmentation that learned from it. Empty: none."""
    cam_mask_smoothing: tuple[float, ...] = ()
    """Deviation of the Gaussian that smooths the CAM in what is served, in cells of its grid, by
    class: places that tell are few, and what lies between them belongs too. Empty: none."""
    classes_in_overview: tuple[bool, ...] = ()
    """By class, whether what is served also looks at the whole picture made smaller: for
    features that training shows smaller than they come to be seen. Empty: none."""
    mask_colour_weights: tuple[float, ...] = ()
    """How much the picture's colours move the borders of what is served, by class; see
    `hunique_models.colour_refinement`. Empty: borders are served as they are drawn."""
    mask_pale_weights: tuple[float, ...] = ()
    """How much paleness counts there, by class. Empty: not at all."""
    pooling_top_share: float = 0.05
    """Share of places whose mean is the class logit; 0 is CoSA's global maximum."""
    local_top_shares: tuple[float, ...] = ()
    """The same by class, for the CAM head `local`: a tattoo is large, a ring is not. Empty:
    `pooling_top_share` for all."""
    local_hidden: int = 64
    """Width of the hidden layer of the CAM head `local`."""
    local_dropout: float = 0.0
    """Share of the features that the CAM head `local` does without at a training step."""
    local_noise: tuple[float, ...] = ()
    """By class, noise on what the CAM head `local` sees at a training step, in deviations of
    the features. Empty: none."""
    hand_map: bool = False
    """Whether it says where hands are, from its last features. Taught by
    `hunique_training.hand_map` once everything else is."""

    def __post_init__(self) -> None:
        """Check the names."""
        if self.decoder not in ("fine", "large_fov"):
            raise ValueError(f"decoder is 'fine' or 'large_fov', found {self.decoder!r}")
        for name in _OF_OTHERS:
            count, values = len(self.class_names), getattr(self, name)
            if values and len(values) != count:
                raise ValueError(f"{name} needs {count} values, one a class; found {len(values)}")
        if self.cam_head not in ("final", "local"):
            raise ValueError(f"cam_head is 'final' or 'local', found {self.cam_head!r}")

    def serving_segmentation_alone(self) -> Self:
        """The same network, of which the segmentation is served as it is drawn, and nothing else."""
        return replace(
            self,
            cam_mask_shares=(),
            cam_mask_smoothing=(),
            classes_in_overview=(),
            mask_colour_weights=(),
            mask_pale_weights=(),
        )

    def for_classes(self, class_names: tuple[str, ...]) -> Self:
        """The same for other classes: those that are among these keep what was chosen for them."""
        values: dict[str, Any] = {
            name: for_classes(getattr(self, name), self.class_names, class_names, other)
            for name, other in _OF_OTHERS.items()
        }
        return replace(self, class_names=class_names, hand_map=False, **values)


def for_classes(
    values: tuple[Any, ...], names: Sequence[str], wanted: Sequence[str], other: Any
) -> tuple[Any, ...]:
    """Values by class for other classes; empty where there are none.

    Args:
        values: one for each of `names`, or none.
        names: classes that they are of.
        wanted: classes that they are to be of.
        other: of a class that is not among `names`.
    """
    if not values:
        return ()
    known = dict(zip(names, values, strict=True))
    return tuple(known.get(name, other) for name in wanted)


class CosaNetwork(nn.Module):
    """Classifies, activates and segments in one pass.

    Args:
        config: what to build.
        pretrained: weights of the encoder: "package" (the installed package's file), a
            path to a checkpoint file, or None for random ones.
    """

    def __init__(self, config: NetworkConfig, pretrained: str | None = None) -> None:
        super().__init__()
        self.config = config
        self.encoder = build_encoder(config.encoder, pretrained)
        count = len(config.class_names)
        share = config.pooling_top_share
        self.classifier = self._build_cam_head(count)
        self.auxiliary_classifier = CamHead(self.encoder.auxiliary_channels, count, top_share=share)
        self.decoder = self._build_decoder(count)
        self.hand_map = nn.Conv2d(self.encoder.final_channels, 1, 1) if config.hand_map else None

    def hand_map_head(self) -> nn.Conv2d:
        """What the hand map is drawn by.

        Raises:
            ValueError: the network has none.
        """
        if self.hand_map is None:
            raise ValueError("the network was built without a hand map")
        return self.hand_map

    def _build_cam_head(self, class_count: int) -> CamHead | ProjectedCamHead:
        share = self.config.pooling_top_share
        if self.config.cam_head == "final":
            return CamHead(self.encoder.final_channels, class_count, top_share=share)
        if not self.encoder.local_channels:
            raise ValueError(
                f"The CAM head 'local' needs features that {self.config.encoder} does not have: "
                "choose the CAM head 'final'."
            )
        shares = self.config.local_top_shares or (share,) * class_count
        return ProjectedCamHead(
            self.encoder.local_channels,
            top_shares=shares,
            hidden=self.config.local_hidden,
            dropout=self.config.local_dropout,
            noise=self.config.local_noise,
        )

    @torch.no_grad()
    def measure_features(self, parts: Iterable[torch.Tensor]) -> None:
        """Let a CAM head over several blocks learn their magnitudes from images (B, 3, H, W).

        Args:
            parts: as many pictures at once as are to be in memory.
        """
        if isinstance(self.classifier, ProjectedCamHead):
            seen = (self._seen_by_classifier(self.encoder(images)) for images in parts)
            self.classifier.measure(seen)

    def _seen_by_classifier(self, features: EncoderFeatures) -> torch.Tensor:
        if isinstance(self.classifier, CamHead) or features.local is None:
            return features.final
        return features.local

    def _build_decoder(self, class_count: int) -> FineDecoder | LargeFieldOfView:
        encoder = self.encoder
        if self.config.decoder == "large_fov":
            return LargeFieldOfView(
                encoder.final_channels, class_count, stride_px=encoder.stride_px
            )
        if not encoder.middle_channels or not encoder.fine_channels:
            raise ValueError(
                f"The decoder 'fine' needs features at stride 8 and 4; {self.config.encoder} "
                "has none: choose the decoder 'large_fov'."
            )
        widths = (encoder.final_channels, encoder.middle_channels, encoder.fine_channels)
        return FineDecoder(widths, class_count)

    def forward(self, images: torch.Tensor) -> CosaOutput:
        """Images (B, 3, H, W) float sRGB in [0, 1], sides divisible by the stride, to all."""
        features = self.encoder(images)
        logits, cam, by_layer = self._classify(self._seen_by_classifier(features))
        auxiliary_logits, auxiliary_cam = self.auxiliary_classifier(features.auxiliary)
        segmentation = self.decoder(features)
        hand = self.hand_map(features.final) if self.hand_map is not None else None
        return CosaOutput(
            logits, auxiliary_logits, cam, auxiliary_cam, segmentation, by_layer, hand
        )

    def _classify(
        self, features: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor | None]:
        head = self.classifier
        if self.training and isinstance(head, ProjectedCamHead) and len(head.levels) > 1:
            return head.lessons(features)
        return (*head(features), None)

    def head_parameters(self) -> list[nn.Parameter]:
        """Parameters that start from random numbers and learn faster."""
        heads = (self.classifier, self.auxiliary_classifier, self.decoder)
        return [parameter for head in heads for parameter in head.parameters()]
