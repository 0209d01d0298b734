"""The training loop: steps, schedule, checkpoints that resume exactly, metrics.

The run folder holds `config.json`, `metrics.csv` (one row per report), `panels/`,
`last.pt` (to resume) and, at the end, `model.pt` (to evaluate and export). Of several
processes all train and the first writes.
"""

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import numpy as np
import torch
from tqdm import tqdm

from hunique_training.assignment import assignment_copy, follow, take_heads
from hunique_training.checkpoint import CheckpointError, read_state, save_atomically
from hunique_training.config import TrainConfig
from hunique_training.curves import append_row, forget_after
from hunique_training.data.batch import Batch
from hunique_training.data.batches import BatchMaker
from hunique_training.early_stop import BestSoFar
from hunique_training.joint_batch import JointCounts, Part, joint_batch, own_places
from hunique_training.methods.registry import LOSSES
from hunique_training.network.cosa import CosaNetwork
from hunique_training.optimiser import adamw
from hunique_training.precision import gradient_scaler, in_precision
from hunique_training.pseudo_labels.assigner import Assigner
from hunique_training.pseudo_labels.cam_labeller import PixelLabels
from hunique_training.ranks import is_first, on_first_rank, rank, sum_gradients
from hunique_training.schedule import learning_rate_factor
from hunique_training.step import Losses, PartLosses, joint_losses

REPORT_EVERY_STEPS = 20
CHECKPOINT_EVERY_STEPS = 200
MEASURED_BATCHES = 4

METRICS = "metrics.csv"
VALIDATION = "validation.csv"


@dataclass(frozen=True, kw_only=True)
class Watch:
    """What is called while training, on the first process alone."""

    on_checkpoint: Callable[[int, CosaNetwork], None] | None = None
    """With the steps done and the assignment network, every 200 steps and at the end."""
    on_report: Callable[[dict[str, float]], None] | None = None
    """With each row of `metrics.csv`."""
    validate: Callable[[CosaNetwork], dict[str, float]] | None = None
    """Gives figures on `val`, `mean_iou` among them, when a validation is due."""
    on_validation: Callable[[dict[str, float]], None] | None = None
    """With each row of `validation.csv`."""
    on_best: Callable[[int, CosaNetwork], None] | None = None
    """With the steps done and the assignment network when a validation is the best so far."""


class Trainer:
    """Trains an online network and its assignment network.

    Args:
        config: the run.
        run_folder: where everything of the run is written; made if missing.
        device: torch device name.
    """

    def __init__(self, config: TrainConfig, run_folder: Path, device: str = "cpu") -> None:
        self.config = config
        self.run_folder = run_folder
        self.device = torch.device(device)
        torch.manual_seed(config.seed)
        network = CosaNetwork(config.network, config.pretrained)
        config.views.check_strides(network.encoder.stride_px, config.label_stride_px)
        self.online = network.to(self.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.online.train()
        self.online.encoder.freeze_stages(config.frozen_stages)
        self.assignment = assignment_copy(self.online)
        if config.assignment_own_heads:
            take_heads(self.assignment, CosaNetwork(config.network))
        self.assigner = Assigner(self.assignment, config)
        self.optimiser = adamw(
            self.online,
            learning_rate=config.learning_rate,
            head_rate_factor=config.head_rate_factor,
            weight_decay=config.weight_decay,
        )
        self.scaler = gradient_scaler(self.device, config.precision)
        self.best = BestSoFar(config.validation.patience)
        self.pixels: PixelLabels | None = None
        """Labels and weights of pixels of the last step, to look at; None before there are any."""
        self.trained_s = 0.0
        """Time spent in `fit` by all parts of the run."""
        self.steps_done = 0
        run_folder.mkdir(parents=True, exist_ok=True)
        self._draw_apart()

    @property
    def last_checkpoint(self) -> Path:
        """Where the state to resume from is kept."""
        return self.run_folder / "last.pt"

    def resume(self) -> bool:
        """Go on from `last.pt` if there is one; say whether there was.

        Raises:
            CheckpointError: it belongs to a run of another configuration.
        """
        if not self.last_checkpoint.exists():
            return False
        state = read_state(self.last_checkpoint)
        if not self.config.same_run(TrainConfig.from_dict(json.loads(state["config"]))):
            raise CheckpointError(
                f"{self.last_checkpoint} belongs to a run with another configuration. "
                "Choose another --out folder, or repeat the options of the first run."
            )
        self.online.load_state_dict(state["online"])
        self.assignment.load_state_dict(state["assignment"])
        self.assigner.memory.load_state_dict(state.get("assigner", {}))
        self.optimiser.load_state_dict(state["optimiser"])
        self.scaler.load_state_dict(state.get("scaler", {}))
        self.best.restore(state.get("best", {}))
        self.trained_s = state.get("trained_s", 0.0)
        self.steps_done = state["steps_done"]
        if "random" in state:
            self._take_random_state(state["random"])
        self._draw_apart()
        return True

    def fit(self, batches: BatchMaker, watch: Watch | None = None) -> None:
        """Train up to the configured number of steps, from wherever the run stands."""
        total, watch = self.config.total_steps, watch or Watch()
        if is_first():
            (self.run_folder / "config.json").write_text(self.config.to_json(), encoding="utf-8")
            for name in (METRICS, VALIDATION):
                forget_after(self.run_folder / name, self.steps_done)
        if self.best.exhausted or self.steps_done >= total:
            return
        if self.steps_done == 0:
            self._measure_features(batches)
        with tqdm(
            total=total, initial=self.steps_done, unit="step", smoothing=0.05,
            disable=not is_first(),
        ) as progress:  # fmt: skip
            for batch in batches.batches(self.steps_done, total, own_places(self.config)):
                started_s = time.monotonic()
                losses = self.train_step(batch)
                progress.update()
                if self._is_due(REPORT_EVERY_STEPS):
                    self._report(losses, time.monotonic() - started_s, watch, progress)
                self._validate(watch)
                self.trained_s += time.monotonic() - started_s
                self._keep(watch)
                if self.best.exhausted:
                    break

    def _measure_features(self, batches: BatchMaker) -> None:
        """Let both networks learn the magnitudes of features from the first batches."""
        for network in (self.online, self.assignment):
            network.measure_features(self._weak_parts(batches))

    def _weak_parts(self, batches: BatchMaker) -> Iterator[torch.Tensor]:
        """Weak views of the first joint batches, as many at once as pass the network."""
        for step in range(MEASURED_BATCHES):
            weak = batches.batch(step).weak.to(self.device)
            yield from torch.split(weak, self.config.batch_size)

    def _is_due(self, every_steps: int) -> bool:
        done = self.steps_done
        return every_steps > 0 and (done % every_steps == 0 or done == self.config.total_steps)

    def train_step(self, batch: Batch) -> Losses:
        """One optimiser step and one step of the assignment network after it.

        Args:
            batch: this process's share of the joint batch.
        """
        factor = learning_rate_factor(
            self.steps_done,
            warm_up_steps=self.config.rate_warm_up_steps,
            total_steps=self.config.total_steps,
        )
        for group in self.optimiser.param_groups:
            group["lr"] = group["base_lr"] * factor
        joint = joint_batch(self.assigner, batch.to(self.device), self.config, self.steps_done)
        self.optimiser.zero_grad(set_to_none=True)
        parts = [self._learn(part, joint.counts) for part in joint.parts]
        sum_gradients(self.online.parameters())
        self.scaler.step(self.optimiser)
        self.scaler.update()
        follow(self.assignment, self.online, self._momentum())
        self.pixels = joint.main
        self.steps_done += 1
        return joint_losses(parts, joint, self.assigner)

    def _learn(self, part: Part, counts: JointCounts) -> PartLosses:
        """Add the gradients of a part; nothing of its graph is left afterwards."""
        online = in_precision(self.online, self.config.precision)
        losses_of = LOSSES[self.config.method]
        losses = losses_of(online, part, counts, self.config, self.steps_done)
        self.scaler.scale(losses.total).backward()  # type: ignore[no-untyped-call]
        return PartLosses(*(loss.detach() for loss in losses))

    def _momentum(self) -> float:
        """m, where asked for smaller in the first steps, so as not to lag behind a fast start."""
        if not self.config.assignment_catches_up:
            return self.config.assignment_momentum
        return min(self.config.assignment_momentum, (self.steps_done + 1) / (self.steps_done + 10))

    def save(self) -> None:
        """Write `last.pt`."""
        save_atomically(
            self.last_checkpoint,
            {
                "config": self.config.to_json(),
                "online": self.online.state_dict(),
                "assignment": self.assignment.state_dict(),
                "assigner": self.assigner.memory.state_dict(),
                "optimiser": self.optimiser.state_dict(),
                "scaler": self.scaler.state_dict(),
                "best": self.best.state(),
                "trained_s": self.trained_s,
                "steps_done": self.steps_done,
                "random": self._random_state(),
            },
        )

    def _random_state(self) -> dict[str, torch.Tensor]:
        """Where the random numbers of noise and dropout stand."""
        state = {"cpu": torch.get_rng_state()}
        if self.device.type == "cuda":
            state["cuda"] = torch.cuda.get_rng_state(self.device)
        return state

    def _take_random_state(self, state: dict[str, torch.Tensor]) -> None:
        torch.set_rng_state(state["cpu"].cpu())
        if self.device.type == "cuda" and "cuda" in state:
            torch.cuda.set_rng_state(state["cuda"].cpu(), self.device)

    def _draw_apart(self) -> None:
        """Let every further process draw noise of its own; a single one draws on as it did."""
        if rank():
            rng = np.random.default_rng((self.config.seed, self.steps_done, rank()))
            torch.manual_seed(int(rng.integers(2**63)))

    def _keep(self, watch: Watch) -> None:
        """Write a checkpoint when it is time, and after every validation."""
        due = self._is_due(CHECKPOINT_EVERY_STEPS) or self.best.exhausted
        if not is_first() or not (due or self._is_due(self.config.validation.every_steps)):
            return
        self.save()
        if due and watch.on_checkpoint is not None:
            watch.on_checkpoint(self.steps_done, self.assignment)

    def _validate(self, watch: Watch) -> None:
        """Let the first process score the assignment network when it is time; all learn how."""
        validate = watch.validate
        if validate is None or not self._is_due(self.config.validation.every_steps):
            return
        figures = on_first_rank(lambda: validate(self.assignment))
        # before the warm-up ends nothing teaches the segmentation, and chance would choose
        taught = self.steps_done > self.config.loss_warm_up_steps
        better = taught and self.best.take(self.steps_done, figures["mean_iou"])
        if not is_first():
            return
        if better and watch.on_best is not None:
            watch.on_best(self.steps_done, self.assignment)
        row = {"step": self.steps_done} | figures
        append_row(self.run_folder / VALIDATION, row)
        if watch.on_validation is not None:
            watch.on_validation(row)

    def _report(
        self, losses: Losses, step_s: float, watch: Watch, progress: "tqdm[NoReturn]"
    ) -> None:
        if not is_first():
            return
        row = {"step": self.steps_done, "step_s": round(step_s, 3)} | {
            name: round(float(value.detach()), 5)
            for name, value in zip(losses._fields, losses, strict=True)
        }
        append_row(self.run_folder / METRICS, row)
        progress.set_postfix(loss=f"{row['total']:.3f}", refresh=False)
        if watch.on_report is not None:
            watch.on_report(row)
