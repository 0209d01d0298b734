"""Panels: Aux CAM | CAM | Mixed CAM | Input | Segmentation, one row a picture, as in the talk.

The picture of a run that tells most: whether the maps sit on the feature, and whether the
segmentation has learned more than the CAM that taught it. Rows say their class and a number,
never the name of a file.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from hunique_training.data.batches import to_tensor
from hunique_training.data.labels import LabelledPicture
from hunique_training.data.picture_cache import PictureCache, shrink
from hunique_training.network.cosa import CosaNetwork
from hunique_training.pseudo_labels.mixed_cam import mixed_cam, raised
from hunique_training.pseudo_labels.multi_scale import multi_scale_maps

COLUMNS = ("Aux CAM", "CAM", "Mixed CAM", "Input", "Segmentation")
PANEL_PX = 256
CAPTION_PX = 24
CLASS_COLOURS = ((230, 60, 60), (60, 140, 255), (255, 210, 40), (60, 200, 90))
"""sRGB; classes beyond the fourth repeat them."""

Pixels = NDArray[np.uint8]


@dataclass(frozen=True, kw_only=True)
class PanelRequest:
    """What is drawn in every panel of a run."""

    pictures: Sequence[tuple[LabelledPicture, int]]
    """Pictures, each with the index of the class whose maps are drawn."""
    cache: PictureCache
    """Where their pixels are kept."""
    input_size_px: int
    """Side of the square that the network sees."""
    mixed_cam_shares: tuple[float, ...]
    """Share of the auxiliary CAM in the Mixed CAM by class; empty: none."""
    cam_exponents: tuple[float, ...] = ()
    """Power to which the Mixed CAM is raised by class, as for pseudo-labels; empty: none."""


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


def write_panels(path: Path, network: CosaNetwork, request: PanelRequest) -> bool:
    """Draw one row for each picture and its class and write them as one PNG.

    Returns:
        Whether there was anything to draw.
    """
    rows, numbers = [], Counter[int]()
    for picture, class_index in request.pictures:
        numbers[class_index] += 1
        name = network.config.class_names[class_index].replace("_", " ")
        rows.append(_caption([f"{name} {numbers[class_index]}"]))
        rows.append(_row(network, request.cache.pixels(picture.path), class_index, request))
    if not rows:
        return False
    path.parent.mkdir(parents=True, exist_ok=True)
    panel = np.vstack([_caption(COLUMNS), *rows])
    cv2.imwrite(str(path), cv2.cvtColor(panel, cv2.COLOR_RGB2BGR))
    return True


def _caption(texts: Sequence[str]) -> Pixels:
    """A white strip as wide as a row, a text at the left of each column."""
    strip = np.full((CAPTION_PX, PANEL_PX * len(COLUMNS), 3), 255, np.uint8)
    for column, text in enumerate(texts):
        origin = (column * PANEL_PX + 6, CAPTION_PX - 7)
        cv2.putText(strip, text, origin, cv2.FONT_HERSHEY_SIMPLEX, 0.5, (0, 0, 0), 1, cv2.LINE_AA)
    return strip


def _row(network: CosaNetwork, pixels: Pixels, class_index: int, request: PanelRequest) -> Pixels:
    square = _letterbox(shrink(pixels, request.input_size_px), request.input_size_px)
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
    mixed = raised(
        mixed_cam(maps.cam, maps.auxiliary_cam, request.mixed_cam_shares), request.cam_exponents
    )
    heats = (maps.auxiliary_cam, maps.cam, mixed)
    drawn = [_heat(small, heat[0, class_index].cpu()) for heat in heats]
    return np.hstack([*drawn, small.astype(np.uint8), _coloured(small, label)])


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
