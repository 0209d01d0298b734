"""`hunique-train fit`: from label files to a run folder with a finished model.

label files -> readable pictures -> trainer -> model.pt -> operating point on `val`
"""

import dataclasses
import hashlib
import json
import logging
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from hunique_training.calibrating import calibrate_on_val
from hunique_training.checkpoint import ModelCheckpoint, load_model, save_model
from hunique_training.config import TrainConfig
from hunique_training.data.batches import BatchMaker
from hunique_training.data.duplicates import content_digests, refuse_duplicates
from hunique_training.data.labels import (
    LabelledPicture,
    refuse_leaks,
    refuse_unlabelled_classes,
)
from hunique_training.data.marks import describe_marks
from hunique_training.data.picture_cache import PictureCache
from hunique_training.data.reading import ReadingOptions
from hunique_training.data.sampling import BalancedSampler
from hunique_training.data.source_summary import label_warnings
from hunique_training.data.sources import (
    describe_unmatched,
    keep_label_file,
    split_sources,
    take_source,
)
from hunique_training.data.splitting import SplitRule
from hunique_training.data.views import check_side
from hunique_training.data.vocabulary import ClassVocabulary
from hunique_training.memory_advice import memory_advice
from hunique_training.ranks import is_first, on_first_rank
from hunique_training.run_record import RunData, data_digests, environment, keep_record
from hunique_training.tensorboard_log import log_to_tensorboard
from hunique_training.trainer import Trainer
from hunique_training.watching import BEST, watch_run

logger = logging.getLogger(__name__)


class MarkSimulation(Protocol):
    """Marks that nobody made; see `hunique_training.simulated_marks`."""

    @property
    def facts(self) -> dict[str, Any]:
        """What another person needs to know of it."""

    def mark(
        self,
        pictures: Sequence[LabelledPicture],
        label_files: Sequence[Path],
        class_names: Sequence[str],
    ) -> list[LabelledPicture]:
        """The pictures with more marks."""


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
    command: tuple[str, ...] = ()
    """The command line, for the record."""
    repeats: Path | None = None
    """Folder of the run that this one repeats."""
    tensorboard: bool = False
    """Whether events for TensorBoard are written too."""
    simulation: MarkSimulation | None = None
    """Draws marks from truth, for an experiment."""
    choose_thresholds: bool = True
    """Whether the model's thresholds are chosen on `val` when it is trained."""


def fit(request: FitRequest) -> Path:
    """Train (or go on training) and choose the operating point; returns `model.pt`.

    Of several processes all call it; the first one writes.

    Raises:
        DataError: the data cannot be used.
        CheckpointError: the run folder belongs to another run, or to one with other data.
        ValueError: crops or the input do not fit the network.
        MemoryAdvice: memory ran out; the message says what needs less.
        MissingTensorboardError: TensorBoard is wanted and not installed.
    """
    config = request.config
    data = on_first_rank(lambda: read_data(request))
    cache = PictureCache(config.cache_side_px)
    training = cache.keep_readable([p for p in data.pictures if p.split == "train"])
    trainer = Trainer(config, request.run_folder, request.device)
    check_side("--input-size-px", request.input_size_px, trainer.online.encoder.stride_px)
    if trainer.resume():
        logger.info("going on from step %d", trainer.steps_done)
    earlier = request.run_folder if trainer.steps_done else request.repeats
    on_first_rank(lambda: keep_record(request.run_folder, _record(request, data), earlier))
    sampler = BalancedSampler(training, config.step_pictures, config.seed)
    batches = BatchMaker(training, cache, sampler, config.views, config.seed,
                         mark_stride_px=config.label_stride_px)  # fmt: skip
    watch = watch_run(request.run_folder, config, request.input_size_px, data, cache)
    if request.tensorboard and is_first():
        watch = log_to_tensorboard(trainer, watch)
    started_s = time.monotonic()
    with memory_advice(config):
        trainer.fit(batches, watch)
    duration_s = time.monotonic() - started_s
    if is_first():
        facts = run_facts(config, training, data.label_files, cache, duration_s)
        _finish(request, trainer, facts | _facts_of(trainer, request, data), data.label_files)
    return request.run_folder / "model.pt"


def read_data(request: FitRequest) -> RunData:
    """What the sources of a run hold, with digests.

    Raises:
        DataError: see `read_sources`.
    """
    pictures, label_files, contents = _read_all(request)
    if request.simulation is not None:
        names = request.config.network.class_names
        pictures = request.simulation.mark(pictures, label_files, names)
    marks = [mark for p in pictures for mark in p.marks if p.split == "train"]
    if marks:
        logger.info("marks on training pictures: %s", describe_marks(marks))
    digests = data_digests(pictures, label_files, contents, request.config.pretrained)
    return RunData(pictures=pictures, label_files=label_files, digests=digests)


def _record(request: FitRequest, data: RunData) -> dict[str, Any]:
    """What another person needs to repeat the run, beside its configuration."""
    return {
        "command": list(request.command),
        "data": [t if t.startswith("drawn:") else str(Path(t).resolve()) for t in request.data],
        "reading": dataclasses.asdict(request.reading),
        "split": dataclasses.asdict(request.split),
        "input_size_px": request.input_size_px,
        "device": request.device,
        **({} if request.simulation is None else {"simulation": request.simulation.facts}),
        "digests": data.digests,
        "environment": environment(request.device),
    }


def _facts_of(trainer: Trainer, request: FitRequest, data: RunData) -> dict[str, Any]:
    """What is known of a run when it ends, beside `run_facts`."""
    kept_best = request.config.validation.keeps_best and trainer.best.mean_iou is not None
    marks = [mark for p in data.pictures for mark in p.marks if p.split == "train"]
    simulated = request.simulation is not None
    taught = {"supervision": "simulated_marks" if simulated else "marks"}
    return (
        (taught | {"marks": describe_marks(marks)} if marks else {})
        | {
            "steps_done": trainer.steps_done,
            "model_step": trainer.best.step if kept_best else trainer.steps_done,
            "stopped_early": trainer.best.exhausted,
            "duration_s": round(trainer.trained_s),
            "labels_sha256": data.digests["labels_sha256"],
            "pictures_sha256": data.digests["pictures_sha256"],
        }
        | environment(request.device)
    )


def _finish(
    request: FitRequest, trainer: Trainer, facts: dict[str, Any], label_files: Sequence[Path]
) -> None:
    """Write summary and model, and choose the model's thresholds on `val` if they are wanted."""
    text = json.dumps(facts, indent=2) + "\n"
    (request.run_folder / "summary.json").write_text(text, encoding="utf-8")
    kept_best = facts["model_step"] != facts["steps_done"]
    network = load_model(request.run_folder / BEST).network if kept_best else trainer.assignment
    path = request.run_folder / "model.pt"
    model = ModelCheckpoint(
        network=network.cpu(), input_size_px=request.input_size_px, training=facts
    )
    save_model(path, model)
    if request.choose_thresholds:
        calibrate_on_val(path, label_files)


def read_sources(request: FitRequest) -> tuple[list[LabelledPicture], list[Path]]:
    """All pictures of all sources, and a label file of each: its own or one written for it.

    Raises:
        DataError: a source is missing or at fault, leaks groups or pictures between splits,
            or has one picture under contradicting labels.
    """
    pictures, label_files, _ = _read_all(request)
    return pictures, label_files


def _read_all(
    request: FitRequest,
) -> tuple[list[LabelledPicture], list[Path], dict[Path, str]]:
    """Pictures, label files, and the digest of each picture's content."""
    names = request.config.network.class_names
    seed, drawn = request.config.seed, request.run_folder / "drawn"
    sources = [
        take_source(text, names, request.reading, drawn=drawn, seed=seed) for text in request.data
    ]
    unmatched = sum((source.unmatched for source in sources), Counter[str]())
    if unmatched:
        logger.warning(describe_unmatched(unmatched, names))
    digests = content_digests(p.path for source in sources for p in source.pictures)
    sources = split_sources(sources, request.split, seed, digests)
    pictures = [picture for source in sources for picture in source.pictures]
    refuse_leaks(pictures)
    refuse_duplicates(pictures, digests)
    refuse_unlabelled_classes(pictures, names)
    for warning in label_warnings(pictures, names):
        logger.warning(warning)
    folder = request.run_folder / "sources"
    vocabulary = ClassVocabulary(names, request.reading.aliases)
    label_files = [
        keep_label_file(source, folder / f"{n}.csv", vocabulary) for n, source in enumerate(sources)
    ]
    return pictures, label_files, digests


def run_facts(
    config: TrainConfig,
    training: Sequence[LabelledPicture],
    label_files: Sequence[Path],
    cache: PictureCache,
    duration_s: float,
) -> dict[str, Any]:
    """What a trained model says of its run: configuration, counts, label files, surroundings."""
    return {
        "config": dataclasses.asdict(config),
        "pictures": len(training),
        "pictures_by_source": dict(sorted(Counter(p.source for p in training).items())),
        "unreadable_pictures": len(cache.unreadable),
        "label_file_sha256": [hashlib.sha256(p.read_bytes()).hexdigest() for p in label_files],
        "duration_of_last_part_s": round(duration_s),
    } | environment("cpu")
