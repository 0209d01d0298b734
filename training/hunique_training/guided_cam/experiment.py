"""The experiment: three arms one after another, then one table and one plot.

OUT/experiment.json   configuration and data
OUT/<arm>/            curve and state of each arm
OUT/guided-cam.csv    arm, step, CAM mIoU ...
OUT/guided-cam.png    CAM mIoU against steps
"""

import csv
import json
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from hunique_training.config import TrainConfig
from hunique_training.curves import read_curve
from hunique_training.data.labels import DataError
from hunique_training.data.picture_cache import PictureCache
from hunique_training.data.reading import ReadingOptions
from hunique_training.data.splitting import SplitRule
from hunique_training.evaluation.truth import TruthPicture, first_with_masks, read_truth
from hunique_training.fitting import FitRequest, read_sources
from hunique_training.guided_cam.arm import CURVE, GuidedArm
from hunique_training.guided_cam.chart import write_curves
from hunique_training.guided_cam.config import ARMS, GuidedCamConfig
from hunique_training.guided_cam.scoring import CamScorer
from hunique_training.request_file import keep_request
from hunique_training.second_stage.batches import LabelledBatchMaker
from hunique_training.second_stage.label_source import LabelSource
from hunique_training.validating import balanced_part

logger = logging.getLogger(__name__)

TABLE, PLOT = "guided-cam.csv", "guided-cam.png"


@dataclass(frozen=True, kw_only=True)
class GuidedCamRequest:
    """What `guided-cam` is asked to do."""

    config: GuidedCamConfig
    """The experiment."""
    data: tuple[str, ...]
    """Sources, as for `fit`; `train` and `val` need truth masks."""
    open_labels: Callable[[Sequence[Path]], LabelSource]
    """Opens the masks of training pictures, given the label files of the sources."""
    out: Path
    """Folder of the experiment."""
    device: str = "cpu"
    """torch device."""
    reading: ReadingOptions = field(default_factory=ReadingOptions)
    """What sources do not say themselves."""
    split: SplitRule = field(default_factory=SplitRule)
    """How sources without a split are split."""


def run_guided_cam(request: GuidedCamRequest) -> Path:
    """Run or go on with all arms; returns the plot. A finished arm is not run again.

    Raises:
        DataError: the data cannot be used, or have no masks.
        CheckpointError: the folder holds another experiment.
    """
    config = request.config
    _begin(request)
    pictures, label_files = read_sources(_sources_of(request))
    cache = PictureCache(config.training.cache_side_px)
    training = cache.keep_readable([p for p in pictures if p.split == "train"])
    masks = request.open_labels(label_files)
    masks.require(training)
    score = CamScorer(_scored(label_files, config), config.input_size_px)
    batches = LabelledBatchMaker(training, cache, masks, config.training)
    for name in ARMS:
        arm = GuidedArm(name, config, request.out / name, request.device)
        arm.resume()
        arm.run(batches, score)
        write_results(request.out)
    return request.out / PLOT


def write_results(out: Path) -> None:
    """Write table and plot of whatever arms there are."""
    curves = {arm: read_curve(out / arm / CURVE) for arm in ARMS}
    columns = list(next(rows for rows in curves.values() if rows)[0])
    with (out / TABLE).open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(["arm", *columns])
        for arm, rows in curves.items():
            writer.writerows(
                [arm, int(row["step"]), *(row[name] for name in columns[1:])] for row in rows
            )
    lines = {
        f"{arm} {100 * rows[-1]['cam_miou']:.1f} %": [
            (row["step"], 100 * row["cam_miou"]) for row in rows
        ]
        for arm, rows in curves.items()
        if rows
    }
    write_curves(out / PLOT, lines, "CAM mIoU on val (%), guided by truth, nothing or noise")


def _begin(request: GuidedCamRequest) -> None:
    """Keep what the experiment is, or check that it is the same again."""
    path = request.out / "experiment.json"
    words = {"data": list(request.data), "config": json.loads(request.config.to_json())}
    keep_request(path, words, what="another experiment", way_out="repeat its options")


def _sources_of(request: GuidedCamRequest) -> FitRequest:
    """The same pictures, and the same split, as a first stage with this seed."""
    training = request.config.training
    config = TrainConfig(
        network=training.network,
        mixed_cam_shares=(),
        cam_exponents=(),
        largest_shares=(),
        seed=training.seed,
    )
    return FitRequest(
        config=config,
        data=request.data,
        run_folder=request.out,
        reading=request.reading,
        split=request.split,
    )


def _scored(label_files: Sequence[Path], config: GuidedCamConfig) -> list[TruthPicture]:
    """Pictures of `val` with masks: of the first label file that has any, a fixed part."""
    names = config.training.network.class_names
    file = first_with_masks(label_files, names)
    if file is not None:
        masked = [truth for truth in read_truth(file, names, "val") if any(truth.masks)]
        return balanced_part(masked, config.pictures)
    raise DataError(
        "expected pictures of the split val with truth masks to score CAMs on, found none. Give "
        "--data a label file with a column truth."
    )
