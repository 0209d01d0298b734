"""Making one row: training what is not trained yet, and scoring the model.

A row that goes on from another one trains that one first, in its folder, where it has no model.
"""

import dataclasses
import json
import time
from pathlib import Path

from hunique_training.comparison.figures import figures_of, with_masks
from hunique_training.comparison.request import CompareRequest, Scoring
from hunique_training.comparison.rows import Saliency, Supervised, Taught, Trained
from hunique_training.comparison.saliency import saliency_figures
from hunique_training.config import TrainConfig
from hunique_training.data.labels import DataError
from hunique_training.fitting import FitRequest, fit, read_sources
from hunique_training.second_stage.fitting import LabelOpener, SecondStageRequest, fit_second_stage
from hunique_training.second_stage.generation import LabellingRequest, write_pseudo_labels
from hunique_training.second_stage.label_folder import PseudoLabelFolder, read_manifest

FINISHED = "validation.json"
"""Last file that a training writes; without thresholds to choose it is the model."""
SEGMENTING = "cosa"
"""The method that has masks to serve, as second stages have; classifiers have none."""
LABELLING_TIME = "labelling.json"


def make_row(request: CompareRequest, row: str, seed: int) -> dict[str, float]:
    """The figures of a row, which is trained, or trained further, if it has to be.

    Beside those of `figures_of`, times and steps with what the row goes on from:

    * `trained_s`: time in training steps of all its stages, and in labelling.
    * `steps`: of its last training. `teacher_steps`: of the one before, NaN without.
    """
    plan, model = request.plans[row], trained(request, row, seed)
    truth = masked_file(request, seed)
    if isinstance(plan, Saliency):
        scores = saliency_figures(model, truth)
    else:
        scores = figures_of(model, truth, request.scales)
    figures = scores | spent(model.parent)
    if isinstance(plan, Taught):
        teacher = spent(request.folder(plan.by, seed))
        figures["trained_s"] += teacher["trained_s"] + labelling_s(model.parent)
        figures["teacher_steps"] = teacher["steps"]
    return figures


def trained(request: CompareRequest, row: str, seed: int) -> Path:
    """The `model.pt` of a row, trained or trained further if it is not finished."""
    plan, folder = request.plans[row], request.folder(row, seed)
    if isinstance(plan, Saliency):
        return trained(request, plan.of, seed)
    model = folder / "model.pt"
    method = plan.config.method if isinstance(plan, Trained) else SEGMENTING
    last = folder / FINISHED if _served_too(request, method) else model
    if model.is_file() and last.is_file():
        return model
    if isinstance(plan, Trained):
        return fit(first_stage_request(request, plan.config, folder, seed))
    return fit_second_stage(_second_stage_request(request, plan, folder, seed))


def _served_too(request: CompareRequest, method: str) -> bool:
    """Whether masks are scored as they would be served, for which thresholds are chosen."""
    return request.scoring is Scoring.PUBLISHED and method == SEGMENTING


def first_stage_request(
    request: CompareRequest, config: TrainConfig, folder: Path, seed: int
) -> FitRequest:
    """What `fit` is asked for a row that learns from image labels."""
    return FitRequest(
        config=dataclasses.replace(config, seed=seed),
        data=request.data,
        run_folder=folder,
        input_size_px=request.input_size_px,
        device=request.device,
        reading=request.reading,
        split=request.split,
        choose_thresholds=_served_too(request, config.method),
    )


def masked_file(request: CompareRequest, seed: int) -> Path:
    """The first label file of the sources that has truth masks on `val`.

    Raises:
        DataError: none has.
    """
    asked = first_stage_request(request, request.base, request.out / "data", seed)
    _, files = read_sources(asked)
    return with_masks(files, request.base.network.class_names)


def spent(folder: Path) -> dict[str, float]:
    """`trained_s` and `steps` of a finished run folder."""
    summary = json.loads((folder / "summary.json").read_text(encoding="utf-8"))
    return {"trained_s": float(summary["duration_s"]), "steps": float(summary["steps_done"])}


def _second_stage_request(
    request: CompareRequest, plan: Taught | Supervised, folder: Path, seed: int
) -> SecondStageRequest:
    if isinstance(plan, Taught):
        open_labels = _labels_of(request, plan, folder, seed)
    else:
        open_labels = _truth_of(request)
    return SecondStageRequest(
        config=dataclasses.replace(plan.config, seed=seed),
        data=request.data,
        open_labels=open_labels,
        run_folder=folder,
        input_size_px=request.input_size_px,
        device=request.device,
        reading=request.reading,
        split=request.split,
        choose_thresholds=_served_too(request, SEGMENTING),
    )


def _truth_of(request: CompareRequest) -> LabelOpener:
    open_truth, names = request.open_truth, request.base.network.class_names
    if open_truth is None:
        raise DataError("expected truth masks of train to be handed over, found none")
    return lambda files: open_truth(files, names)


def _labels_of(request: CompareRequest, plan: Taught, folder: Path, seed: int) -> LabelOpener:
    """Labels that the model of another row makes, or has made."""
    asked = LabellingRequest(
        model=trained(request, plan.by, seed),
        data=request.data,
        folder=folder / "labels",
        labelling=plan.labelling,
        device=request.device,
        reading=request.reading,
        split=request.split,
    )
    complete = read_manifest(asked.folder).get("complete", False)
    started_s = time.monotonic()
    try:
        write_pseudo_labels(asked)
    finally:
        if not complete:
            _add_labelling_time(folder, time.monotonic() - started_s)
    labels = PseudoLabelFolder(asked.folder)
    return lambda _: labels


def _add_labelling_time(folder: Path, took_s: float) -> None:
    """Keep the time of all parts of a labelling."""
    total_s = labelling_s(folder) + took_s
    folder.mkdir(parents=True, exist_ok=True)
    (folder / LABELLING_TIME).write_text(json.dumps({"labelling_s": total_s}), encoding="utf-8")


def labelling_s(folder: Path) -> float:
    """How long the pseudo-labels of a run folder took; 0 without any."""
    path = folder / LABELLING_TIME
    if not path.is_file():
        return 0.0
    return float(json.loads(path.read_text(encoding="utf-8"))["labelling_s"])
