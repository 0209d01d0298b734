"""The figures of one model: what it reaches on `val`, and how long it takes.

* `cam`, `auxiliary_cam`, `segmentation_label_free`, `segmentation_label_filtered`: mIoU over
  background and classes, counted as published (COSA section 5; mirrored, argmax), over five
  scales or fewer.
* `label_cam`: the same of the CAM as pseudo-labels are made of it, mixed and raised to a power
  by class; `cam` itself where a run does neither.
* `served_label_free`, `served_label_filtered`: mean over classes of the IoU of the masks that
  would be served, at thresholds chosen on `val` by `fit`.
* `picture_s`: time of the fastest of some passes of the network at its input size, without
  decoding, on `threads` threads; other programs at work make it longer.

From 0 to 1; NaN where there is no such figure: a classifier has no segmentation, and the class
head of a second stage tells presence, not place.
"""

import functools
import json
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from hunique_training.checkpoint import ModelCheckpoint, load_model
from hunique_training.data.labels import DataError
from hunique_training.evaluation.map_run import LABEL_CAM, SCALES, look_at, stream_maps
from hunique_training.evaluation.map_scores import MapScores, score_maps
from hunique_training.evaluation.protocol import Protocol
from hunique_training.evaluation.truth import first_with_masks

TIMED_PASSES = 7
"""After one that is not counted."""
UNDEFINED = float("nan")
CAMS = ("cam", "auxiliary_cam", LABEL_CAM)


def figures_of(
    model_path: Path, label_file: Path, scales: tuple[float, ...] = SCALES
) -> dict[str, float]:
    """Score a model on `val` of a label file with masks.

    Args:
        model_path: `model.pt`, thresholds in `validation.json` beside it if it has any.
        label_file: pictures and masks.
        scales: those at which the model looks, each plain and mirrored.

    Raises:
        CheckpointError: the model cannot be read.
    """
    model = load_model(model_path)
    look = functools.partial(look_at, scales=scales)
    scores = score_maps(
        stream_maps(model, label_file, "val", look), len(model.network.config.class_names)
    )
    return (
        _published(model, scores)
        | _served(model, model_path.parent / "validation.json")
        | {"picture_s": seconds_a_picture(model), "threads": float(torch.get_num_threads())}
    )


def with_masks(label_files: Sequence[Path], class_names: Sequence[str]) -> Path:
    """The label file whose `val` rows are scored on, see `first_with_masks`.

    Raises:
        DataError: none has masks there.
    """
    file = first_with_masks(label_files, class_names)
    if file is not None:
        return file
    raise DataError(
        "expected pictures of the split val with truth masks to compare by, found none. Give "
        "--data a label file with a column truth."
    )


def _published(model: ModelCheckpoint, scores: MapScores) -> dict[str, float]:
    def mean_iou(kind: str) -> float:
        return scores.confusion[kind].mean_iou if kind in scores.confusion else UNDEFINED

    cams = {kind: mean_iou(kind) for kind in CAMS}
    if LABEL_CAM not in scores.confusion:
        cams[LABEL_CAM] = cams["cam"]
    if model.training.get("stage") == 2:
        cams = dict.fromkeys(CAMS, UNDEFINED)
    segments = model.method == "cosa"
    return cams | {
        f"segmentation_{_column(protocol)}": (
            mean_iou(f"segmentation, {protocol}") if segments else UNDEFINED
        )
        for protocol in Protocol
    }


def _served(model: ModelCheckpoint, validation: Path) -> dict[str, float]:
    """From what `fit` found when it chose thresholds."""
    scores = json.loads(validation.read_text(encoding="utf-8")) if validation.is_file() else []
    if model.method != "cosa":
        scores = []
    return {
        f"served_{_column(protocol)}": _mean(
            [one[protocol.value]["iou"] for one in scores if one["masks"]]
        )
        for protocol in Protocol
    }


def _column(protocol: Protocol) -> str:
    return protocol.value.replace("-", "_")


def _mean(values: Sequence[float | None]) -> float:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else UNDEFINED


@torch.no_grad()
def seconds_a_picture(model: ModelCheckpoint) -> float:
    """Time of the fastest pass over one square picture, on this machine and its threads now."""
    network = model.network.eval()
    picture = torch.zeros(1, 3, model.input_size_px, model.input_size_px)
    took_s = []
    for _ in range(TIMED_PASSES + 1):
        started_s = time.perf_counter()
        network(picture)
        took_s.append(time.perf_counter() - started_s)
    return min(took_s[1:])
