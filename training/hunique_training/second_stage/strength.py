"""How strongly a trained model claims each place for each class: the maps to label from.

`SOURCES` names them: its segmentation, its activation maps (CAM), or its SmoothGrad. The main
CAM, mixed or not, is raised to the power that the model was taught with (`cam_exponents`), for
which its thresholds were chosen; the auxiliary CAM and SmoothGrad have none.
"""

from collections.abc import Callable
from typing import NamedTuple

import torch

from hunique_training.checkpoint import ModelCheckpoint
from hunique_training.pseudo_labels.cam_labels import CamThresholds
from hunique_training.pseudo_labels.mixed_cam import mixed_cam, raised
from hunique_training.pseudo_labels.multi_scale import AssignedMaps, multi_scale_maps
from hunique_training.pseudo_labels.segmentation_labels import forbid_absent
from hunique_training.pseudo_labels.smooth_grad import smooth_grad
from hunique_training.second_stage.labelling_config import LabellingConfig


class Look(NamedTuple):
    """One picture as a model is shown it."""

    image: torch.Tensor
    """(1, 3, H, W) float in [0, 1]."""
    present: torch.Tensor
    """(1, C) float: 1 where labelled present."""
    permitted: torch.Tensor
    """(1, C) float: 0 where labelled absent."""
    grid: tuple[int, int]
    """(h, w) of the maps."""


def _maps(model: ModelCheckpoint, look: Look, config: LabellingConfig) -> AssignedMaps:
    stride = model.network.encoder.stride_px
    return multi_scale_maps(
        model.network, look.image, scales=config.scales, size=look.grid, multiple_px=stride
    )


def _segmentation(model: ModelCheckpoint, look: Look, config: LabellingConfig) -> torch.Tensor:
    looks = 2 * len(config.scales)  # logits come as a sum over scales, plain and mirrored
    logits = _maps(model, look, config).segmentation_logits / looks
    return forbid_absent(logits, look.permitted).softmax(dim=1)[:, 1:]


def _cam(model: ModelCheckpoint, look: Look, config: LabellingConfig) -> torch.Tensor:
    return _of_present(_raised(model, _maps(model, look, config).cam), look)


def _auxiliary_cam(model: ModelCheckpoint, look: Look, config: LabellingConfig) -> torch.Tensor:
    return _of_present(_maps(model, look, config).auxiliary_cam, look)


def _mixed_cam(model: ModelCheckpoint, look: Look, config: LabellingConfig) -> torch.Tensor:
    """Mixed as the model was taught from; the plain average where it mixed nothing."""
    maps = _maps(model, look, config)
    shares = model.training.get("config", {}).get("mixed_cam_shares") or [0.5] * maps.cam.shape[1]
    mixed = mixed_cam(maps.cam, maps.auxiliary_cam, shares)
    return _of_present(_raised(model, mixed), look)


def _smooth_grad(model: ModelCheckpoint, look: Look, _: LabellingConfig) -> torch.Tensor:
    present = look.present[0].nonzero().flatten().tolist()
    maps = smooth_grad(model.network, look.image, look.grid, classes=present)
    return _of_present(maps, look)


def _raised(model: ModelCheckpoint, cam: torch.Tensor) -> torch.Tensor:
    """(1, C, h, w) as it is when the model makes labels for itself while training."""
    return raised(cam, model.training.get("config", {}).get("cam_exponents") or ())


def _of_present(maps: torch.Tensor, look: Look) -> torch.Tensor:
    """An activation map reaches 1 on any picture, so only classes that are there keep theirs."""
    return maps * look.present[:, :, None, None]


SOURCES: dict[str, Callable[[ModelCheckpoint, Look, LabellingConfig], torch.Tensor]] = {
    "segmentation": _segmentation,
    "cam": _cam,
    "auxiliary_cam": _auxiliary_cam,
    "mixed_cam": _mixed_cam,
    "smoothgrad": _smooth_grad,
}
"""Name to strength (1, C, h, w) in [0, 1] of the classes that a picture may show."""


def thresholds_of(model: ModelCheckpoint, config: LabellingConfig) -> list[CamThresholds]:
    """Where each class becomes background and itself: as told, else as the model knows it.

    The segmentation's are the model's pixel thresholds with a band around them, 0.5 where none
    was chosen on the segmentation alone; those of activation maps are what the model was taught
    with.
    """
    names = model.network.config.class_names
    if config.source == "segmentation":
        defaults = [_banded(_pixel_threshold(model, c), config.band) for c in range(len(names))]
    else:
        key = "auxiliary_thresholds" if config.source == "auxiliary_cam" else "thresholds"
        taught = model.training.get("config", {}).get(key)
        defaults = [CamThresholds(**taught) if taught else CamThresholds()] * len(names)
    return [
        CamThresholds(
            high=each.high if config.high is None else config.high,
            low=each.low if config.low is None else config.low,
        )
        for each in defaults
    ]


def _pixel_threshold(model: ModelCheckpoint, class_index: int) -> float:
    """The one chosen on masks as they are served, unless these have some of the CAM in them."""
    network = model.network.config
    point = model.operating_point.get(network.class_names[class_index])
    has_cam = any(network.cam_mask_shares[class_index : class_index + 1])
    return 0.5 if point is None or has_cam else point.pixel_threshold


def _banded(threshold: float, band: float) -> CamThresholds:
    """A threshold with `band` of the way to 0 and to 1 left undecided."""
    return CamThresholds(
        high=min(threshold + band * (1 - threshold), 0.999),
        low=max(threshold * (1 - band), 0.001),
    )
