"""Checkpoints: state and configuration, never code.

Two kinds of file, both read with `weights_only=True`:

* `last.pt`: everything needed to go on exactly: both networks, optimiser, step.
* `model.pt`: what export and evaluation need: the assignment network, the configuration,
  what it learned from, and, once chosen on validation pictures, its operating point.
"""

import dataclasses
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from hunique_training.network.cosa import CosaNetwork, NetworkConfig

FORMAT = "hunique-model-1"


class CheckpointError(Exception):
    """The file is no checkpoint that this version can read; the message says why."""


@dataclass(frozen=True, kw_only=True)
class ClassOperatingPoint:
    """Where one class counts as present, and which pixels are its."""

    presence_threshold: float
    """Calibrated score from which the class is on the picture, 0 to 1."""
    pixel_threshold: float
    """Pixel probability from which a pixel belongs to the mask, 0 to 1."""
    calibration_scale: float = 1.0
    """score = sigmoid(scale * logit(raw) + offset)."""
    calibration_offset: float = 0.0
    """See `calibration_scale`."""


@dataclass(frozen=True, kw_only=True)
class ModelCheckpoint:
    """A trained network and what must be said about it."""

    network: CosaNetwork
    """In eval mode."""
    operating_point: dict[str, ClassOperatingPoint] = field(default_factory=dict)
    """By class name; empty until chosen."""
    input_size_px: int = 448
    """Side of the square input that the model is served with."""
    training: dict[str, Any] = field(default_factory=dict)
    """The run: resolved configuration, data digests, versions; plain values."""

    @property
    def supervision(self) -> str:
        """What taught it where features are.

        `image` labels alone, `marks` beside them, `simulated_marks` drawn from truth, or truth
        masks, `pixel`.
        """
        return str(self.training.get("supervision", "image"))

    @property
    def method(self) -> str:
        """How it was trained, see `TrainConfig.method`; all but "cosa" train no segmentation."""
        return str(self.training.get("config", {}).get("method", "cosa"))


def save_model(path: Path, model: ModelCheckpoint) -> None:
    """Write `model.pt`, whole or not at all."""
    save_atomically(
        path,
        {
            "format": FORMAT,
            "network_config": dataclasses.asdict(model.network.config),
            "network": model.network.state_dict(),
            "operating_point": {
                name: dataclasses.asdict(point) for name, point in model.operating_point.items()
            },
            "input_size_px": model.input_size_px,
            "training": model.training,
        },
    )


def load_model(path: Path) -> ModelCheckpoint:
    """Read `model.pt` on the CPU.

    Raises:
        CheckpointError: missing, unreadable, or of another format.
    """
    state = read_state(path)
    if state.get("format") != FORMAT:
        raise CheckpointError(
            f"{path}: expected a model checkpoint of format {FORMAT}, found "
            f"{state.get('format')!r}. Give the model.pt of a run folder."
        )
    values = {**state["network_config"]}
    values["class_names"] = tuple(values["class_names"])
    network = CosaNetwork(NetworkConfig(**values))
    network.load_state_dict(state["network"])
    return ModelCheckpoint(
        network=network.eval(),
        operating_point={
            name: ClassOperatingPoint(**point) for name, point in state["operating_point"].items()
        },
        input_size_px=state["input_size_px"],
        training=state["training"],
    )


def read_state(path: Path) -> dict[str, Any]:
    """Read any checkpoint file as plain tensors and values.

    Raises:
        CheckpointError: missing or unreadable.
    """
    if not path.is_file():
        raise CheckpointError(f"Expected a checkpoint file at {path}, found none")
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        raise CheckpointError(f"{path}: not a checkpoint that can be read ({error})") from error
    if not isinstance(state, dict):
        raise CheckpointError(f"{path}: expected a dictionary, found {type(state).__name__}")
    return state


def save_atomically(path: Path, state: dict[str, Any]) -> None:
    """Write beside `path` first, then rename: a crash leaves the old file whole."""
    partial = path.with_suffix(path.suffix + ".partial")
    torch.save(state, partial)
    partial.replace(path)
