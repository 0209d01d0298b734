"""Scores of activation maps as a table, as JSON and as a drawn chart of curves."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hunique_training.evaluation.confusion import ConfusionScores
from hunique_training.evaluation.map_chart import write_chart
from hunique_training.evaluation.map_run import LABEL_CAM
from hunique_training.evaluation.map_scores import (
    CAM_THRESHOLD,
    CURVE_PERCENT,
    Curve,
    MapScores,
)
from hunique_training.evaluation.table import defined, number


def maps_as_text(scores: MapScores, class_names: Sequence[str]) -> str:
    """A table of mIoU, and where each curve of IoU has its best threshold."""
    names = ("background", *class_names)
    heading = (
        f"IoU over background and classes as published, {scores.pictures} pictures "
        f"(CAMs above {CAM_THRESHOLD}, label-filtered)"
    )
    if LABEL_CAM in scores.confusion:
        heading += (
            f"; cam and auxiliary_cam as the network gives them, {LABEL_CAM} mixed and raised to a "
            "power as the pseudo-labels were made of it"
        )
    columns = "".join(f"{name:15}" for name in names)
    lines = [heading, f"{'map':31}{columns}mIoU %"]
    for kind, one in scores.confusion.items():
        cells = "".join(f"{number(value):15}" for value in one.iou.tolist())
        lines.append(f"{kind:31}{cells}{one.reported_miou_percent:.2f}")
    lines += ["", "pseudo-labels by threshold, the best of each"]
    for kind, curves in scores.curves.items():
        lines += [_best(kind, name, c) for name, c in zip(class_names, curves, strict=True)]
    return "\n".join(lines)


def _best(kind: str, name: str, curve: Curve) -> str:
    """The threshold of the best IoU; the first is taken where none is defined."""
    values = [-1.0 if defined(value) is None else value for value in curve.iou]
    k = max(range(len(values)), key=values.__getitem__)
    return (
        f"  {kind:15}{name:15}at {CURVE_PERCENT[k] / 100:.2f}: IoU {number(curve.iou[k])}, "
        f"precision {number(curve.precision[k])}, recall {number(curve.recall[k])}"
    )


def write_map_report(folder: Path, scores: MapScores, class_names: Sequence[str]) -> None:
    """Write `maps.json` and `maps.png` into a folder, made where it is missing."""
    folder.mkdir(parents=True, exist_ok=True)
    values = _values(scores, class_names)
    text = json.dumps(values, indent=2, allow_nan=False) + "\n"
    (folder / "maps.json").write_text(text, encoding="utf-8")
    write_chart(folder / "maps.png", scores.curves, class_names)


def _values(scores: MapScores, class_names: Sequence[str]) -> dict[str, Any]:
    return {
        "pictures": scores.pictures,
        "cam_threshold": CAM_THRESHOLD,
        "activation_maps": "label-filtered",
        "scores": {kind: _confusion(one, class_names) for kind, one in scores.confusion.items()},
        "thresholds": [percent / 100 for percent in CURVE_PERCENT],
        "curves": {
            kind: {name: _curve(c) for name, c in zip(class_names, curves, strict=True)}
            for kind, curves in scores.curves.items()
        },
    }


def _confusion(one: ConfusionScores, class_names: Sequence[str]) -> dict[str, Any]:
    names = ("background", *class_names)
    return {
        "miou_percent": defined(one.reported_miou_percent),
        "mean_iou_of_true_labels": defined(one.mean_iou),
        "pixel_accuracy": defined(one.pixel_accuracy),
        "mean_accuracy": defined(one.mean_accuracy),
        "iou": {n: defined(v) for n, v in zip(names, one.iou.tolist(), strict=True)},
    }


def _curve(curve: Curve) -> dict[str, list[float | None]]:
    return {
        "precision": [defined(value) for value in curve.precision],
        "recall": [defined(value) for value in curve.recall],
        "iou": [defined(value) for value in curve.iou],
    }
