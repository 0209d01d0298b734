"""Panels: input | auxiliary CAM | CAM | segmentation, one row a picture.

The picture of a run that tells most: whether the maps sit on the feature, and whether the
segmentation has learned more than the CAM that taught it.
"""

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from hunique_training.data.batches import to_tensor
from hunique_training.data.labels import LabelledPicture
from hunique_training.data.picture_cache import PictureCache, shrink
from hunique_training.network.cosa import CosaNetwork
from hunique_training.pseudo_labels.multi_scale import multi_scale_maps

PANEL_PX = 256
CLASS_COLOURS = ((230, 60, 60), (60, 140, 255), (255, 210, 40), (60, 200, 90))
"""sRGB; classes beyond the fourth repeat them."""

Pixels = NDArray[np.uint8]


def choose_panel_pictures(
    pictures: Sequence[LabelledPicture], class_count: int, per_class: int
) -> list[tuple[LabelledPicture, int]]:
    """The first pictures of different groups that show each class, with the class index."""
    chosen = []
    for class_index in range(class_count):
        groups: set[str] = set()
        for picture in pictures:
            if len(groups) < per_class and picture.labels[class_index] is True:
                group = picture.group or str(picture.path)
                if group not in groups:
                    groups.add(group)
                    chosen.append((picture, class_index))
    return chosen


def write_panels(
    path: Path,
    network: CosaNetwork,
    pictures: Sequence[tuple[LabelledPicture, int]],
    cache: PictureCache,
    input_px: int,
) -> None:
    """Draw one row for each picture and its class and write them as one PNG."""
    rows = [_row(network, cache.pixels(p.path), c, input_px) for p, c in pictures]
    if rows:
        path.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(path), cv2.cvtColor(np.vstack(rows), cv2.COLOR_RGB2BGR))


def _row(network: CosaNetwork, pixels: Pixels, class_index: int, input_px: int) -> Pixels:
    square = _letterbox(shrink(pixels, input_px), input_px)
    device = next(network.parameters()).device
    maps = multi_scale_maps(
        network,
        to_tensor([square]).to(device),
        scales=(1.0,),
        size=(PANEL_PX, PANEL_PX),
        multiple_px=network.encoder.stride_px,
    )
    small = cv2.resize(square, (PANEL_PX, PANEL_PX), interpolation=cv2.INTER_AREA)
    label = maps.segmentation_logits[0].argmax(0).cpu().numpy()
    heats = (maps.auxiliary_cam[0, class_index], maps.cam[0, class_index])
    drawn = [_heat(small, heat.cpu()) for heat in heats]
    return np.hstack([small.astype(np.uint8), *drawn, _coloured(small, label)])


def _letterbox(pixels: Pixels, side_px: int) -> Pixels:
    square = np.full((side_px, side_px, 3), (124, 116, 104), np.uint8)
    square[: pixels.shape[0], : pixels.shape[1]] = pixels
    return square


def _heat(pixels: NDArray[np.generic], heat: torch.Tensor) -> Pixels:
    levels = (heat.clamp(0, 1) * 255).to(torch.uint8).numpy()
    colours = cv2.cvtColor(cv2.applyColorMap(levels, cv2.COLORMAP_JET), cv2.COLOR_BGR2RGB)
    return cv2.addWeighted(np.asarray(pixels, np.uint8), 0.45, colours, 0.55, 0).astype(np.uint8)


def _coloured(pixels: NDArray[np.generic], label: NDArray[np.int64]) -> Pixels:
    out = np.asarray(pixels, np.uint8).copy()
    for value in np.unique(label[label > 0]):
        colour = np.array(CLASS_COLOURS[(int(value) - 1) % len(CLASS_COLOURS)])
        out[label == value] = (0.4 * out[label == value] + 0.6 * colour).astype(np.uint8)
    return out
