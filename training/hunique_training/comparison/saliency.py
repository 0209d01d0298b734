"""The figures of SmoothGrad: how well gradients of a classifier's scores show where classes are.

Its maps are taken at one scale on a grid of 4 px of the input, of classes labelled present, and
counted as CAMs are: mIoU over background and classes, above 0.5.
"""

import time
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from hunique_training.checkpoint import ModelCheckpoint, load_model
from hunique_training.comparison.figures import TIMED_PASSES
from hunique_training.evaluation.map_run import PictureMaps, enlarged, sized, stream_maps
from hunique_training.evaluation.map_scores import score_maps
from hunique_training.pseudo_labels.smooth_grad import smooth_grad

GRID_STRIDE_PX = 4
"""Side of the cells over which gradients are averaged, as when labels are made of them."""
KIND = "smooth_grad"


def saliency_figures(model_path: Path, label_file: Path) -> dict[str, float]:
    """`cam`, which is SmoothGrad's mIoU on `val`, and `picture_s`, of one class.

    Raises:
        CheckpointError: the model cannot be read.
    """
    model = load_model(model_path)
    count = len(model.network.config.class_names)
    scores = score_maps(stream_maps(model, label_file, "val", saliency_maps), count)
    return {
        "cam": scores.confusion[KIND].mean_iou,
        "picture_s": _seconds_a_picture(model),
        "threads": float(torch.get_num_threads()),
    }


def saliency_maps(
    model: ModelCheckpoint, pixels: NDArray[np.uint8], labels: tuple[bool | None, ...]
) -> PictureMaps:
    """SmoothGrad of the classes labelled present on a picture (H, W, 3) uint8 sRGB."""
    image = sized(pixels, model.input_size_px, model.network.encoder.stride_px)
    grid = (image.shape[2] // GRID_STRIDE_PX, image.shape[3] // GRID_STRIDE_PX)
    present = [c for c, label in enumerate(labels) if label is True]
    maps = smooth_grad(model.network, image, grid, classes=present)
    strength = enlarged(maps, pixels.shape[0], pixels.shape[1])
    return PictureMaps(activation={KIND: strength.numpy()}, segmentation={})


def _seconds_a_picture(model: ModelCheckpoint) -> float:
    side = model.input_size_px
    picture = torch.rand(1, 3, side, side, generator=torch.Generator().manual_seed(0))
    grid = (side // GRID_STRIDE_PX, side // GRID_STRIDE_PX)
    took_s = []
    for _ in range(TIMED_PASSES + 1):
        started_s = time.perf_counter()
        smooth_grad(model.network.eval(), picture, grid, classes=(0,))
        took_s.append(time.perf_counter() - started_s)
    return min(took_s[1:])
