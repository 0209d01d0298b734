"""`hunique-train pseudo-labels`: a trained model labels every training picture.

The folder's manifest names the model and the settings before the first picture is
labelled; a run that stopped goes on with the pictures that have no labels yet.
"""

import dataclasses
import hashlib
import json
import logging
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tqdm import tqdm

from hunique_models.errors import InputError
from hunique_models.image import DecodeLimits, decode
from hunique_training.checkpoint import ModelCheckpoint, load_model
from hunique_training.data.labels import DataError, LabelledPicture
from hunique_training.data.reading import ReadingOptions
from hunique_training.data.splitting import SplitRule
from hunique_training.fitting import FitRequest, read_sources
from hunique_training.losses.cam_to_segmentation import IGNORE
from hunique_training.second_stage.config import config_to_read_with
from hunique_training.second_stage.label_folder import (
    label_path,
    read_index_png,
    read_manifest,
    write_index_png,
    write_manifest,
)
from hunique_training.second_stage.labelling import Labeller
from hunique_training.second_stage.labelling_config import SERVED, LabellingConfig
from hunique_training.second_stage.served_labelling import ServedLabeller

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class LabellingRequest:
    """What `pseudo-labels` is asked to do."""

    model: Path
    """A `model.pt`."""
    data: tuple[str, ...]
    """Sources, as for `fit`."""
    folder: Path
    """Where the labels are written."""
    labelling: LabellingConfig = field(default_factory=LabellingConfig)
    """Which map, thresholds, refinement."""
    device: str = "cpu"
    """torch device."""
    reading: ReadingOptions = field(default_factory=ReadingOptions)
    """What sources do not say themselves."""
    split: SplitRule = field(default_factory=SplitRule)
    """How sources without a split are split."""


def write_pseudo_labels(request: LabellingRequest) -> Path:
    """Label every readable training picture (or the rest of them); returns the manifest.

    Raises:
        DataError: the data cannot be used, or the folder holds labels of another kind.
        CheckpointError: the model cannot be read.
    """
    model = load_model(request.model)
    labeller = _labeller(_on_device(model, request.device), request.labelling)
    pictures, label_files = read_sources(_sources_of(model, request))
    identity = _identity(model, request, label_files)
    _begin(request.folder, identity)
    training = [picture for picture in pictures if picture.split == "train"]
    labelled = _label_all(labeller, training, request)
    counts = count_labels(labelled, model.network.config.class_names)
    unreadable = {"unreadable_pictures": len(training) - len(labelled)}
    write_manifest(request.folder, identity | counts | unreadable | {"complete": True})
    return request.folder / "manifest.json"


def _labeller(model: ModelCheckpoint, config: LabellingConfig) -> Labeller | ServedLabeller:
    return ServedLabeller(model) if config.source == SERVED else Labeller(model, config)


def _label_all(
    labeller: Labeller | ServedLabeller,
    training: Sequence[LabelledPicture],
    request: LabellingRequest,
) -> list[Path]:
    """The labels of all readable pictures, several at once on a CPU.

    A thread for each picture is faster than all threads for one: half of the work is not torch's.
    """
    threads = torch.get_num_threads()
    at_once = threads if torch.device(request.device).type == "cpu" else 1
    label = partial(_label_readable, labeller, folder=request.folder)
    try:
        with ThreadPoolExecutor(at_once, initializer=_use_own_thread) as executor:
            paths = executor.map(label, training)
            shown = tqdm(paths, total=len(training), unit="picture", desc="pseudo-labels",
                         smoothing=0.05)  # fmt: skip
            return [path for path in shown if path is not None]
    finally:
        torch.set_num_threads(threads)


def _use_own_thread() -> None:
    torch.set_num_threads(1)


def _label_readable(
    labeller: Labeller | ServedLabeller, picture: LabelledPicture, folder: Path
) -> Path | None:
    try:
        return _label(labeller, picture, folder)
    except (InputError, OSError) as error:
        logger.warning("left out %s: %s", picture.path, error)
        return None


def _label(labeller: Labeller | ServedLabeller, picture: LabelledPicture, folder: Path) -> Path:
    path = label_path(folder, picture.path)
    if not path.exists():
        pixels = decode(picture.path.read_bytes(), DecodeLimits()).pixels
        write_index_png(path, labeller.label(pixels, picture.labels))
    return path


def _on_device(model: ModelCheckpoint, device: str) -> ModelCheckpoint:
    return dataclasses.replace(model, network=model.network.to(device).requires_grad_(False))


def _sources_of(model: ModelCheckpoint, request: LabellingRequest) -> FitRequest:
    """The sources as the first stage read them: same classes, same seed of splits and drawing."""
    seed = model.training.get("config", {}).get("seed", 0)
    config = config_to_read_with(model.network.config, seed)
    return FitRequest(
        config=config,
        data=request.data,
        run_folder=request.folder,
        reading=request.reading,
        split=request.split,
    )


def _identity(
    model: ModelCheckpoint, request: LabellingRequest, label_files: Sequence[Path]
) -> dict[str, Any]:
    """What must be the same for a run to go on."""
    settings = json.loads(json.dumps(request.labelling.settings()))
    return {
        "model_sha256": hashlib.sha256(request.model.read_bytes()).hexdigest(),
        "supervision": model.supervision,
        "class_names": list(model.network.config.class_names),
        "settings": settings,
        "label_file_sha256": [hashlib.sha256(p.read_bytes()).hexdigest() for p in label_files],
        "torch": str(torch.__version__),
    }


def _begin(folder: Path, identity: dict[str, Any]) -> None:
    found = read_manifest(folder)
    different = [name for name, value in identity.items() if found and found.get(name) != value]
    if different:
        raise DataError(
            f"{folder} holds pseudo-labels of another {', '.join(different)}. Choose another --out "
            "folder, or repeat the options of the first run."
        )
    if not found:
        write_manifest(folder, identity | {"complete": False})


def count_labels(paths: Sequence[Path], class_names: Sequence[str]) -> dict[str, Any]:
    """Pictures and pixels of each class, of the background and ignored, over index PNGs."""
    names = {0: "background", **dict(enumerate(class_names, 1)), IGNORE: "ignored"}
    pixels: Counter[str] = Counter(dict.fromkeys(names.values(), 0))
    pictures: Counter[str] = Counter(dict.fromkeys(names.values(), 0))
    for path in paths:
        values, sizes = np.unique(read_index_png(path), return_counts=True)
        found = {names[int(v)]: int(n) for v, n in zip(values, sizes, strict=True)}
        pixels.update(found)
        pictures.update(found.keys())
    return {"pictures": len(paths), "pixels_of": dict(pixels), "pictures_with": dict(pictures)}
