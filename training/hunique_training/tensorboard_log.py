"""Curves, panels and histograms of a run for TensorBoard, which is no dependency of this package.

Wraps what watches a run: everything is written as without it, and once more as events into
`<run folder>/tensorboard`. `tensorboard --logdir RUNS` shows them.
"""

import dataclasses
from pathlib import Path
from typing import Any

import cv2
import torch

from hunique_training.network.cosa import CosaNetwork
from hunique_training.pseudo_labels.cam_labeller import CamLabeller
from hunique_training.trainer import Trainer, Watch

FOLDER = "tensorboard"


class MissingTensorboardError(Exception):
    """TensorBoard is asked for and not installed; the message says how to install it."""


def log_to_tensorboard(trainer: Trainer, watch: Watch) -> Watch:
    """The same watch, which writes events too.

    Raises:
        MissingTensorboardError: the package is not installed.
    """
    log = _Log(trainer)

    def on_checkpoint(step: int, network: CosaNetwork) -> None:
        if watch.on_checkpoint is not None:
            watch.on_checkpoint(step, network)
        log.pictures(step)
        log.histograms(step)

    return dataclasses.replace(
        watch, on_checkpoint=on_checkpoint, on_report=log.losses, on_validation=log.validation
    )


def _writer(folder: Path, purge_step: int) -> Any:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise MissingTensorboardError(
            "--tensorboard needs a package that is not installed: pip install tensorboard"
        ) from error
    return SummaryWriter(str(folder), purge_step=purge_step)


class _Log:
    """Writes events; those after the step that a run goes on from are hidden."""

    def __init__(self, trainer: Trainer) -> None:
        self._trainer = trainer
        self._writer = _writer(trainer.run_folder / FOLDER, trainer.steps_done + 1)

    def losses(self, row: dict[str, float]) -> None:
        self._scalars("losses", row)

    def validation(self, row: dict[str, float]) -> None:
        self._scalars("validation", row)
        self._writer.flush()

    def _scalars(self, group: str, row: dict[str, float]) -> None:
        for name, value in row.items():
            if name != "step":
                self._writer.add_scalar(f"{group}/{name}", value, int(row["step"]))

    def pictures(self, step: int) -> None:
        panel = cv2.imread(str(self._trainer.run_folder / "panels" / f"step-{step:06d}.png"))
        if panel is not None:
            self._writer.add_image("panels", panel[..., ::-1].copy(), step, dataformats="HWC")

    def histograms(self, step: int) -> None:
        """CAM values that dynamic thresholds part, and the last step's weights of pixels."""
        assigner, pixels = self._trainer.assigner, self._trainer.pixels
        for name, labeller in (("cam", assigner.main), ("auxiliary_cam", assigner.auxiliary)):
            self._strengths(f"threshold/{name}", labeller, step)
        if pixels is not None and pixels.weights is not None:
            weights = pixels.weights[pixels.weights > 0]
            if len(weights):
                self._writer.add_histogram("weights/pixels", weights.cpu(), step)
        self._writer.flush()

    def _strengths(self, name: str, labeller: CamLabeller, step: int) -> None:
        """Of the steps that a dynamic threshold remembers; nothing where it is fixed."""
        if labeller.dynamic is None or not labeller.dynamic.histograms.any():
            return
        counts = labeller.dynamic.histograms.sum(0)
        edges = torch.arange(1, len(counts) + 1, dtype=torch.float64) / len(counts)
        middles = edges - 0.5 / len(counts)
        self._writer.add_histogram_raw(
            name, min=0.0, max=1.0, num=float(counts.sum()), sum=float((counts * middles).sum()),
            sum_squares=float((counts * middles.square()).sum()), bucket_limits=edges.tolist(),
            bucket_counts=counts.tolist(), global_step=step,
        )  # fmt: skip
