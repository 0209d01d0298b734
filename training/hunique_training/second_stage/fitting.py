"""`hunique-train fit-second-stage`: from labels of pixels to a run folder with a finished model.

sources + labels of pixels -> trainer -> model.pt -> operating point on `val`, as `fit` does
"""

import dataclasses
import hashlib
import json
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hunique_training.calibrating import calibrate_on_val
from hunique_training.checkpoint import ModelCheckpoint, save_model
from hunique_training.data.picture_cache import PictureCache
from hunique_training.data.reading import ReadingOptions
from hunique_training.data.splitting import SplitRule
from hunique_training.data.views import check_side
from hunique_training.fitting import FitRequest, read_data, run_facts
from hunique_training.request_file import keep_request
from hunique_training.run_record import DATA_DIGESTS, RunData, environment
from hunique_training.second_stage.batches import LabelledBatchMaker
from hunique_training.second_stage.config import SecondStageConfig, config_to_read_with
from hunique_training.second_stage.label_source import LabelSource
from hunique_training.second_stage.trainer import SecondStageTrainer

logger = logging.getLogger(__name__)

LabelOpener = Callable[[Sequence[Path]], LabelSource]
"""Opens the labels of pixels, given the label files of the sources."""


@dataclass(frozen=True, kw_only=True)
class SecondStageRequest:
    """What `fit-second-stage` is asked to do."""

    config: SecondStageConfig
    """The run."""
    data: tuple[str, ...]
    """Sources, as for `fit`: pictures and their image-level labels."""
    open_labels: LabelOpener
    """The labels of pixels."""
    run_folder: Path
    """Where the run is written."""
    input_size_px: int = 448
    """Side of the square input that the model will be served with."""
    device: str = "cpu"
    """torch device."""
    reading: ReadingOptions = field(default_factory=ReadingOptions)
    """What sources do not say themselves."""
    split: SplitRule = field(default_factory=SplitRule)
    """How sources without a split are split."""
    choose_thresholds: bool = True
    """Whether the model's thresholds are chosen on `val` when it is trained."""


def fit_second_stage(request: SecondStageRequest) -> Path:
    """Train (or go on training) and choose the operating point; returns `model.pt`.

    Raises:
        DataError: the pictures or their labels cannot be used.
        CheckpointError: the run folder belongs to another run.
        ValueError: crops or the input do not fit the network.
    """
    config = request.config
    sources = _sources_of(request)
    data = read_data(sources)
    cache = PictureCache(config.cache_side_px)
    training = cache.keep_readable([p for p in data.pictures if p.split == "train"])
    labels = request.open_labels(data.label_files)
    labels.require(training)
    taught_by = _digest(labels)
    trainer = SecondStageTrainer(config, request.run_folder, request.device)
    check_side("--input-size-px", request.input_size_px, trainer.network.encoder.stride_px)
    resumed = trainer.resume(taught_by)
    if resumed:
        logger.info("going on from step %d", trainer.steps_done)
    _keep_data(request.run_folder, data, resumed=resumed)
    started_s = time.monotonic()
    trainer.fit(LabelledBatchMaker(training, cache, labels, config), taught_by)
    duration_s = time.monotonic() - started_s
    facts = run_facts(sources.config, training, data.label_files, cache, duration_s)
    facts |= environment(request.device) | {
        "config": dataclasses.asdict(config),
        "stage": 2,
        "steps_done": trainer.steps_done,
        "duration_s": round(trainer.trained_s),
        "supervision": labels.supervision,
        "pixel_labels": labels.facts,
    }
    return _finish(request, trainer, facts, data.label_files)


def _keep_data(run_folder: Path, data: RunData, *, resumed: bool) -> None:
    """Write down what a run learns from, or check that it goes on with the same."""
    path = run_folder / "digests.json"
    if not resumed:
        path.unlink(missing_ok=True)
    keep_request(
        path,
        {name: data.digests[name] for name in DATA_DIGESTS.values()},
        what="a run on other labels or pictures, or another split of them",
        way_out="restore them and repeat the options of the first run",
    )


def _finish(
    request: SecondStageRequest,
    trainer: SecondStageTrainer,
    facts: dict[str, Any],
    label_files: Sequence[Path],
) -> Path:
    text = json.dumps(facts, indent=2) + "\n"
    (request.run_folder / "summary.json").write_text(text, encoding="utf-8")
    path = request.run_folder / "model.pt"
    model = ModelCheckpoint(
        network=trainer.average.cpu(), input_size_px=request.input_size_px, training=facts
    )
    save_model(path, model)
    if request.choose_thresholds:
        calibrate_on_val(path, label_files)
    return path


def _sources_of(request: SecondStageRequest) -> FitRequest:
    """The same pictures, and the same split, as a first stage with this seed."""
    config = config_to_read_with(request.config.network, request.config.seed)
    return FitRequest(
        config=config,
        data=request.data,
        run_folder=request.run_folder,
        reading=request.reading,
        split=request.split,
    )


def _digest(labels: LabelSource) -> str:
    """Which labels a run learns from: it goes on with the same ones only."""
    text = json.dumps([labels.supervision, labels.facts], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()
