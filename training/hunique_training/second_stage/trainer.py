"""The loop of the second stage: steps, schedule, checkpoints that resume exactly, metrics.

The run folder is that of the first stage: `config.json`, `metrics.csv`, `last.pt`, and at
the end `model.pt`. The model is a moving average of the weights.
"""

import json
import time
from pathlib import Path

import torch
from tqdm import tqdm

from hunique_training.assignment import assignment_copy, follow
from hunique_training.checkpoint import CheckpointError, read_state, save_atomically
from hunique_training.curves import append_row, forget_after
from hunique_training.network.cosa import CosaNetwork
from hunique_training.optimiser import adamw
from hunique_training.schedule import learning_rate_factor
from hunique_training.second_stage.batches import LabelledBatch, LabelledBatchMaker
from hunique_training.second_stage.config import SecondStageConfig
from hunique_training.second_stage.step import SecondStageLosses, second_stage_losses

REPORT_EVERY_STEPS = 20
CHECKPOINT_EVERY_STEPS = 200


class SecondStageTrainer:
    """Trains a network and keeps the moving average of its weights.

    Args:
        config: the run.
        run_folder: where everything of the run is written; made if missing.
        device: torch device name.

    Raises:
        ValueError: crops do not fit the network.
    """

    def __init__(self, config: SecondStageConfig, run_folder: Path, device: str = "cpu") -> None:
        self.config = config
        self.run_folder = run_folder
        self.device = torch.device(device)
        torch.manual_seed(config.seed)
        network = CosaNetwork(config.network, config.pretrained)
        config.views.check_strides(network.encoder.stride_px, config.label_stride_px)
        self.network = network.to(self.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.network.train()
        self.network.encoder.freeze_stages(config.frozen_stages)
        self.average = assignment_copy(self.network)
        self.optimiser = adamw(
            self.network,
            learning_rate=config.learning_rate,
            head_rate_factor=config.head_rate_factor,
            weight_decay=config.weight_decay,
        )
        self.trained_s = 0.0
        """Time spent in `fit` by all parts of the run."""
        self.steps_done = 0
        run_folder.mkdir(parents=True, exist_ok=True)

    def resume(self, taught_by: str) -> bool:
        """Go on from `last.pt` if there is one; say whether there was.

        Args:
            taught_by: what the labels are, as `save` was told.

        Raises:
            CheckpointError: it belongs to another configuration or other labels.
        """
        path = self.run_folder / "last.pt"
        if not path.exists():
            return False
        state = read_state(path)
        same = SecondStageConfig.from_dict(json.loads(state["config"])) == self.config
        if not same or state["taught_by"] != taught_by:
            raise CheckpointError(
                f"{path} belongs to a run with {'other labels' if same else 'other options'}. "
                "Choose another --out folder, or repeat the options of the first run."
            )
        self.network.load_state_dict(state["network"])
        self.average.load_state_dict(state["average"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.trained_s = state.get("trained_s", 0.0)
        self.steps_done = state["steps_done"]
        forget_after(self.run_folder / "metrics.csv", self.steps_done)
        return True

    def fit(self, batches: LabelledBatchMaker, taught_by: str) -> None:
        """Train up to the configured number of steps, from wherever the run stands."""
        total = self.config.total_steps
        (self.run_folder / "config.json").write_text(self.config.to_json(), encoding="utf-8")
        if self.steps_done >= total:
            return
        with tqdm(total=total, initial=self.steps_done, unit="step", smoothing=0.05) as progress:
            for batch in batches.batches(self.steps_done, total):
                started_s = time.monotonic()
                losses = self.train_step(batch)
                progress.update()
                if self.steps_done % REPORT_EVERY_STEPS == 0 or self.steps_done == total:
                    self._report(losses, time.monotonic() - started_s)
                self.trained_s += time.monotonic() - started_s
                if self.steps_done % CHECKPOINT_EVERY_STEPS == 0 or self.steps_done == total:
                    self.save(taught_by)

    def train_step(self, batch: LabelledBatch) -> SecondStageLosses:
        """One optimiser step, and one step of the average after it."""
        factor = learning_rate_factor(
            self.steps_done,
            warm_up_steps=self.config.rate_warm_up_steps,
            total_steps=self.config.total_steps,
        )
        for group in self.optimiser.param_groups:
            group["lr"] = group["base_lr"] * factor
        losses = second_stage_losses(self.network, batch.to(self.device), self.config)
        self.optimiser.zero_grad(set_to_none=True)
        losses.total.backward()  # type: ignore[no-untyped-call]
        self.optimiser.step()
        # small at first, so that the average does not remember the random start
        early = (self.steps_done + 1) / (self.steps_done + 10)
        follow(self.average, self.network, min(self.config.average_momentum, early))
        self.steps_done += 1
        return losses

    def save(self, taught_by: str) -> None:
        """Write `last.pt`; `taught_by` says which labels the run learns from."""
        save_atomically(
            self.run_folder / "last.pt",
            {
                "config": self.config.to_json(),
                "taught_by": taught_by,
                "network": self.network.state_dict(),
                "average": self.average.state_dict(),
                "optimiser": self.optimiser.state_dict(),
                "trained_s": self.trained_s,
                "steps_done": self.steps_done,
            },
        )

    def _report(self, losses: SecondStageLosses, step_s: float) -> None:
        row = {"step": self.steps_done, "step_s": round(step_s, 3)} | {
            name: round(float(value.detach()), 5) for name, value in losses._asdict().items()
        }
        append_row(self.run_folder / "metrics.csv", row)
