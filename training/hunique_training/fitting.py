"""`hunique-train fit`: from label files to a run folder with a finished model.

label files -> readable pictures -> trainer -> model.pt -> operating point on `val`
"""

import dataclasses
import hashlib
import json
import logging
import platform
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from hunique_models.geometry import Detail
from hunique_training.checkpoint import ModelCheckpoint, load_model, save_model
from hunique_training.config import TrainConfig
from hunique_training.data.batches import BatchMaker
from hunique_training.data.drawn import write_drawn_pictures
from hunique_training.data.duplicates import content_digests, refuse_duplicates
from hunique_training.data.labels import (
    DataError,
    LabelledPicture,
    read_labels,
    refuse_leaks,
    refuse_unlabelled_classes,
)
from hunique_training.data.picture_cache import PictureCache
from hunique_training.data.reading import ReadingOptions
from hunique_training.data.sampling import BalancedSampler
from hunique_training.data.source_summary import label_warnings
from hunique_training.data.sources import (
    Source,
    describe_unmatched,
    read_source,
    split_sources,
    write_label_file,
)
from hunique_training.data.splitting import SplitRule
from hunique_training.evaluation.operating_point import choose_operating_point
from hunique_training.evaluation.run import evidence_of_split
from hunique_training.evaluation.table import as_json, as_text, score_classes
from hunique_training.evaluation.torch_engine import TorchEngine
from hunique_training.manifest import manifest_of
from hunique_training.network.cosa import CosaNetwork
from hunique_training.panels import choose_panel_pictures, write_panels
from hunique_training.trainer import Trainer

logger = logging.getLogger(__name__)

PANELS_PER_CLASS = 4


@dataclass(frozen=True, kw_only=True)
class FitRequest:
    """What `fit` is asked to do."""

    config: TrainConfig
    """The run."""
    data: tuple[str, ...]
    """Sources (see `hunique_training.data.formats`), or `drawn:N`."""
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


def fit(request: FitRequest) -> Path:
    """Train (or go on training) and choose the operating point; returns `model.pt`.

    Raises:
        DataError: the data cannot be used.
        CheckpointError: the run folder belongs to another run.
    """
    pictures, label_files = read_sources(request)
    cache = PictureCache(request.config.cache_side_px)
    training = cache.keep_readable([p for p in pictures if p.split == "train"])
    validation = cache.keep_readable(_panel_candidates(pictures, request.config))
    config = request.config
    trainer = Trainer(config, request.run_folder, request.device)
    if trainer.resume():
        logger.info("going on from step %d", trainer.steps_done)
    sampler = BalancedSampler(training, config.batch_size, config.seed)
    batches = BatchMaker(training, cache, sampler, config.views, config.seed)
    started_s = time.monotonic()

    def observe(step: int, assignment: CosaNetwork) -> None:
        path = request.run_folder / "panels" / f"step-{step:06d}.png"
        panels = choose_panel_pictures(validation, len(config.network.class_names), 4)
        write_panels(path, assignment, panels, cache, request.input_size_px)

    trainer.fit(batches, observe)
    facts = run_facts(config, training, label_files, cache, time.monotonic() - started_s)
    (request.run_folder / "summary.json").write_text(json.dumps(facts, indent=2) + "\n")
    model = ModelCheckpoint(
        network=trainer.assignment.cpu(), input_size_px=request.input_size_px, training=facts
    )
    path = request.run_folder / "model.pt"
    save_model(path, model)
    for csv_path in label_files:
        if any(p.split == "val" for p in read_labels(csv_path, config.network.class_names)):
            calibrate(path, csv_path)
            break
    return path


def read_sources(request: FitRequest) -> tuple[list[LabelledPicture], list[Path]]:
    """All pictures of all sources, and a label file of each: its own or one written for it.

    Raises:
        DataError: a source is missing or at fault, leaks groups or pictures between splits,
            or has one picture under contradicting labels.
    """
    names = request.config.network.class_names
    sources = [_read_source(text, request) for text in request.data]
    unmatched = sum((source.unmatched for source in sources), Counter[str]())
    if unmatched:
        logger.warning(describe_unmatched(unmatched, names))
    digests = content_digests(p.path for source in sources for p in source.pictures)
    sources = split_sources(sources, request.split, request.config.seed, digests)
    pictures = [picture for source in sources for picture in source.pictures]
    refuse_leaks(pictures)
    refuse_duplicates(pictures, digests)
    refuse_unlabelled_classes(pictures, names)
    for warning in label_warnings(pictures, names):
        logger.warning(warning)
    folder = request.run_folder / "sources"
    label_files = [
        source.label_file or write_label_file(folder / f"{n}.csv", source.pictures, names)
        for n, source in enumerate(sources)
    ]
    return pictures, label_files


def _read_source(text: str, request: FitRequest) -> Source:
    names = request.config.network.class_names
    if not text.startswith("drawn:"):
        return read_source(Path(text), names, request.reading)
    count = text.removeprefix("drawn:")
    if not count.isdigit() or int(count) < 1:
        raise DataError(f"expected drawn:N with N pictures to draw, found {text!r}")
    logger.info("drawing %s hands (kept for the next time)", count)
    folder = request.run_folder / "drawn"
    file = write_drawn_pictures(folder, int(count), seed=request.config.seed)
    return dataclasses.replace(read_source(file, names, request.reading), drawn=True)


def _panel_candidates(
    pictures: Sequence[LabelledPicture], config: TrainConfig
) -> list[LabelledPicture]:
    """Pictures for panels: of `val`, or of `train` where there is no `val`."""
    side = [p for p in pictures if p.split == "val"] or list(pictures)
    chosen = choose_panel_pictures(side, len(config.network.class_names), PANELS_PER_CLASS)
    return list(dict.fromkeys(picture for picture, _ in chosen))


def run_facts(
    config: TrainConfig,
    training: Sequence[LabelledPicture],
    label_files: Sequence[Path],
    cache: PictureCache,
    duration_s: float,
) -> dict[str, Any]:
    """What another person needs to repeat the run."""
    return {
        "config": dataclasses.asdict(config),
        "pictures": len(training),
        "pictures_by_source": dict(sorted(Counter(p.source for p in training).items())),
        "unreadable_pictures": len(cache.unreadable),
        "label_file_sha256": [hashlib.sha256(p.read_bytes()).hexdigest() for p in label_files],
        "duration_of_last_part_s": round(duration_s),
        "threads": torch.get_num_threads(),
        "versions": {
            "python": platform.python_version(),
            "torch": str(torch.__version__),
            "numpy": np.__version__,
        },
    }


def calibrate(model_path: Path, csv_path: Path, detail: Detail = Detail.STANDARD) -> None:
    """Choose the operating point of a model on the `val` split and write it into the model."""
    model = load_model(model_path)
    evidence = evidence_of_split(
        manifest_of(model), TorchEngine(model.network), csv_path, split="val", detail=detail
    )
    names = model.network.config.class_names
    points = {name: choose_operating_point(evidence, c) for c, name in enumerate(names)}
    chosen = dataclasses.replace(model, operating_point=points)
    save_model(model_path, chosen)
    scores = score_classes(evidence, manifest_of(chosen))
    (model_path.parent / "validation.json").write_text(as_json(scores), encoding="utf-8")
    logger.info("on val, label-free, thresholds chosen on it:\n%s", as_text(scores))
