"""Looking at activation maps and segmentation as CoSA's authors evaluate them.

    picture -> shrunk to the input size -> 5 scales, mirrored or not -> maps -> picture's size

Unlike the authors, pictures keep their aspect (to a multiple of the stride), because that
is how they are trained on here, and the auxiliary CAM is summed over all scales.

`cam` and `auxiliary_cam` are the maps as the network gives them, as published. Where the run
made its pseudo-labels of a map that is mixed or raised to a power, that map is `label_cam`.
"""

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn.functional import interpolate
from tqdm import tqdm

from hunique_models.errors import InputError
from hunique_models.image import DecodeLimits, decode
from hunique_training.checkpoint import ModelCheckpoint
from hunique_training.evaluation.protocol import Protocol
from hunique_training.evaluation.truth import TruthPicture, read_truth
from hunique_training.pseudo_labels.mixed_cam import mixed_cam, raised
from hunique_training.pseudo_labels.multi_scale import AssignedMaps, multi_scale_maps
from hunique_training.pseudo_labels.segmentation_labels import forbid_absent

logger = logging.getLogger(__name__)

SCALES = (1.0, 0.5, 1.5, 0.75, 1.25)
"""Each plain and mirrored (COSA section 5)."""
LABEL_CAM = "label_cam"
"""Kind of the map that pseudo-labels are made of, where it is mixed or raised to a power."""


@dataclass(frozen=True, kw_only=True)
class PictureMaps:
    """What a network sees on one picture, at the picture's size."""

    activation: dict[str, NDArray[np.float32]]
    """Kind of map to (C, H, W) in [0, 1), 0 for classes not labelled present."""
    segmentation: dict[Protocol, NDArray[np.uint8]]
    """To (H, W): 0 background, 1 to C classes."""


Looking = Callable[
    [ModelCheckpoint, NDArray[np.uint8], tuple[bool | None, ...]],
    PictureMaps,
]
"""(model, picture (H, W, 3) uint8 sRGB, image labels) to what is seen on it."""


@torch.no_grad()
def look_at(
    model: ModelCheckpoint,
    pixels: NDArray[np.uint8],
    labels: tuple[bool | None, ...],
    scales: tuple[float, ...] = SCALES,
) -> PictureMaps:
    """Activation maps and segmentation over scales, five as published, plain and mirrored."""
    multiple_px = model.network.encoder.stride_px
    image = sized(pixels, model.input_size_px, multiple_px)
    size = (image.shape[2], image.shape[3])
    maps = multi_scale_maps(model.network, image, scales=scales, size=size, multiple_px=multiple_px)
    present = torch.tensor([[label is True for label in labels]])
    height, width = pixels.shape[:2]
    activation = {
        kind: enlarged(cam * present[:, :, None, None], height, width).numpy()
        for kind, cam in _activation(maps, model).items()
    }
    permitted = torch.tensor([[label is not False for label in labels]])
    logits = {
        Protocol.LABEL_FREE: maps.segmentation_logits,
        Protocol.LABEL_FILTERED: forbid_absent(maps.segmentation_logits, permitted),
    }
    segmentation = {
        protocol: enlarged(each, height, width).argmax(0).to(torch.uint8).numpy()
        for protocol, each in logits.items()
    }
    return PictureMaps(activation=activation, segmentation=segmentation)


def stream_maps(
    model: ModelCheckpoint, csv_path: Path, split: str, look: Looking = look_at
) -> Iterator[tuple[TruthPicture, PictureMaps]]:
    """Maps of every readable picture of a split that has a truth mask.

    Args:
        model: what looks.
        csv_path: label file with masks beside it.
        split: rows of it.
        look: how it looks.

    Raises:
        DataError: the label file cannot be used.
    """
    pictures = read_truth(csv_path, model.network.config.class_names, split)
    with_mask = [truth for truth in pictures if any(truth.masks)]
    for truth in tqdm(with_mask, unit="picture", desc="activation maps", smoothing=0.05):
        try:
            pixels = decode(truth.picture.path.read_bytes(), DecodeLimits()).pixels
        except (InputError, OSError) as error:
            logger.warning("left out %s: %s", truth.picture.path, error)
            continue
        yield truth, look(model, pixels, truth.picture.labels)


def _activation(maps: AssignedMaps, model: ModelCheckpoint) -> dict[str, torch.Tensor]:
    """Both CAMs, and what the run made pseudo-labels of, where that is neither."""
    kinds = {"cam": maps.cam, "auxiliary_cam": maps.auxiliary_cam}
    config = model.training.get("config", {})
    shares, exponents = config.get("mixed_cam_shares"), config.get("cam_exponents")
    if shares or exponents:
        mixed = mixed_cam(maps.cam, maps.auxiliary_cam, shares or ())
        kinds[LABEL_CAM] = raised(mixed, exponents or ())
    return kinds


def sized(pixels: NDArray[np.uint8], input_size_px: int, multiple_px: int) -> torch.Tensor:
    """(H, W, 3) uint8 to (1, 3, h, w) float in [0, 1], the longer side about the input size."""
    scale = input_size_px / max(pixels.shape[:2])
    height, width = (
        max(1, round(side * scale / multiple_px)) * multiple_px for side in pixels.shape[:2]
    )
    method = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    sized = np.asarray(cv2.resize(pixels, (width, height), interpolation=method), np.uint8)
    return torch.from_numpy(sized).permute(2, 0, 1)[None].float() / 255


def enlarged(maps: torch.Tensor, height: int, width: int) -> torch.Tensor:
    """(1, K, h, w) to (K, height, width)."""
    return interpolate(maps, size=(height, width), mode="bilinear", align_corners=False)[0]
