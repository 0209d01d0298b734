"""The training loop: steps, schedule, checkpoints that resume exactly, metrics.

The run folder holds `config.json`, `metrics.csv` (one row per report), `panels/`,
`last.pt` (to resume) and, at the end, `model.pt` (to evaluate and export).
"""

import csv
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from tqdm import tqdm

from hunique_training.assignment import assignment_copy, follow, take_heads
from hunique_training.checkpoint import CheckpointError, read_state, save_atomically
from hunique_training.config import TrainConfig
from hunique_training.data.batch import Batch
from hunique_training.data.batches import BatchMaker
from hunique_training.network.cosa import CosaNetwork
from hunique_training.pseudo_labels.assigner import Assigner
from hunique_training.schedule import learning_rate_factor
from hunique_training.step import Losses, cosa_losses

REPORT_EVERY_STEPS = 20
CHECKPOINT_EVERY_STEPS = 200

Observer = Callable[[int, CosaNetwork], None]
"""Called with the steps done and the assignment network whenever a checkpoint is written."""


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
        _check_crop_size(config, network)
        self.online = network.to(self.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.online.train()
        self.online.encoder.freeze_stages(config.frozen_stages)
        self.assignment = assignment_copy(self.online)
        if config.assignment_own_heads:
            take_heads(self.assignment, CosaNetwork(config.network))
        self.assigner = Assigner(self.assignment, config)
        self.optimiser = _optimiser(self.online, config)
        self.steps_done = 0
        run_folder.mkdir(parents=True, exist_ok=True)

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
        if TrainConfig.from_dict(json.loads(state["config"])) != self.config:
            raise CheckpointError(
                f"{self.last_checkpoint} belongs to a run with another configuration. "
                "Choose another --out folder, or repeat the options of the first run."
            )
        self.online.load_state_dict(state["online"])
        self.assignment.load_state_dict(state["assignment"])
        self.assigner.memory.load_state_dict(state.get("assigner", {}))
        self.optimiser.load_state_dict(state["optimiser"])
        self.steps_done = state["steps_done"]
        return True

    def fit(self, batches: BatchMaker, observe: Observer | None = None) -> None:
        """Train up to the configured number of steps, from wherever the run stands."""
        total = self.config.total_steps
        (self.run_folder / "config.json").write_text(self.config.to_json(), encoding="utf-8")
        with tqdm(total=total, initial=self.steps_done, unit="step", smoothing=0.05) as progress:
            for batch in batches.batches(self.steps_done, total):
                started_s = time.monotonic()
                losses = self.train_step(batch)
                progress.update()
                if self.steps_done % REPORT_EVERY_STEPS == 0 or self.steps_done == total:
                    row = self._report(losses, time.monotonic() - started_s)
                    progress.set_postfix(loss=f"{row['total']:.3f}", refresh=False)
                if self.steps_done % CHECKPOINT_EVERY_STEPS == 0 or self.steps_done == total:
                    self.save()
                    if observe is not None:
                        observe(self.steps_done, self.assignment)

    def train_step(self, batch: Batch) -> Losses:
        """One optimiser step and one step of the assignment network after it."""
        factor = learning_rate_factor(
            self.steps_done,
            warm_up_steps=self.config.rate_warm_up_steps,
            total_steps=self.config.total_steps,
        )
        for group in self.optimiser.param_groups:
            group["lr"] = group["base_lr"] * factor
        batch = _to_device(batch, self.device)
        losses = cosa_losses(self.online, self.assigner, batch, self.config, self.steps_done)
        self.optimiser.zero_grad(set_to_none=True)
        losses.total.backward()  # type: ignore[no-untyped-call]
        self.optimiser.step()
        follow(self.assignment, self.online, self._momentum())
        self.steps_done += 1
        return losses

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
                "steps_done": self.steps_done,
            },
        )

    def _report(self, losses: Losses, step_s: float) -> dict[str, float]:
        row = {"step": self.steps_done, "step_s": round(step_s, 3)} | {
            name: round(float(value.detach()), 5)
            for name, value in zip(losses._fields, losses, strict=True)
        }
        path = self.run_folder / "metrics.csv"
        new = not path.exists()
        with path.open("a", newline="", encoding="utf-8") as stream:
            writer = csv.DictWriter(stream, fieldnames=list(row))
            if new:
                writer.writeheader()
            writer.writerow(row)
        return row


def _optimiser(network: CosaNetwork, config: TrainConfig) -> torch.optim.AdamW:
    heads = network.head_parameters()
    in_heads = {id(parameter) for parameter in heads}
    encoder = [p for p in network.parameters() if p.requires_grad and id(p) not in in_heads]
    groups: list[dict[str, Any]] = [
        {"params": encoder, "base_lr": config.learning_rate},
        {"params": heads, "base_lr": config.learning_rate * config.head_rate_factor},
    ]
    return torch.optim.AdamW(groups, lr=config.learning_rate, weight_decay=config.weight_decay)


def _to_device(batch: Batch, device: torch.device) -> Batch:
    return Batch(
        weak=batch.weak.to(device),
        strong=batch.strong.to(device),
        labels=batch.labels.to(device),
        known=batch.known.to(device),
        boxes=batch.boxes.to(device),
    )


def _check_crop_size(config: TrainConfig, network: CosaNetwork) -> None:
    for stride in (network.encoder.stride_px, config.label_stride_px):
        if config.views.size_px % stride:
            raise ValueError(
                f"views.size_px must divide by the stride {stride} of "
                f"{config.network.encoder} and of its labels, found {config.views.size_px}"
            )
