"""One arm of the experiment: a classifier, and what guides its CAM.

Its folder holds `curve.csv`, a row each time the CAM is scored, and `last.pt` to go on from
there; both are written together, so that a stopped arm goes on exactly.
"""

import zlib
from collections.abc import Callable
from pathlib import Path

import torch
from tqdm import tqdm

from hunique_training.checkpoint import read_state, save_atomically
from hunique_training.curves import append_row, forget_after
from hunique_training.guided_cam.config import GuidedCamConfig
from hunique_training.guided_cam.guidance import cam_target
from hunique_training.losses.classification import classification_loss
from hunique_training.losses.segmentation_to_cam import segmentation_to_cam_loss
from hunique_training.network.cosa import CosaNetwork, CosaOutput
from hunique_training.optimiser import adamw
from hunique_training.schedule import learning_rate_factor
from hunique_training.second_stage.batches import LabelledBatch, LabelledBatchMaker

CURVE = "curve.csv"
MEASURED_BATCHES = 4
"""Batches from which a CAM head over several blocks learns their magnitudes."""

Score = Callable[[CosaNetwork], dict[str, float]]
"""Figures of a network."""


class GuidedArm:
    """Trains one arm.

    Args:
        arm: one of `ARMS`.
        config: the experiment.
        folder: of the arm; made if missing.
        device: torch device name.
    """

    def __init__(self, arm: str, config: GuidedCamConfig, folder: Path, device: str) -> None:
        self.arm, self.config, self.folder = arm, config, folder
        training = config.training
        torch.manual_seed(training.seed)
        network = CosaNetwork(training.network, training.pretrained)
        training.views.check_strides(network.encoder.stride_px)
        self.device = torch.device(device)
        self.network = network.to(self.device)
        self.network.train()
        self.network.encoder.freeze_stages(training.frozen_stages)
        self.optimiser = adamw(
            self.network,
            learning_rate=training.learning_rate,
            head_rate_factor=training.head_rate_factor,
            weight_decay=training.weight_decay,
        )
        self.steps_done = 0
        folder.mkdir(parents=True, exist_ok=True)

    @property
    def finished(self) -> bool:
        """Whether all steps are done."""
        return self.steps_done >= self.config.training.total_steps

    def resume(self) -> None:
        """Go on from `last.pt`, if there is one."""
        if (self.folder / "last.pt").exists():
            state = read_state(self.folder / "last.pt")
            self.network.load_state_dict(state["network"])
            self.optimiser.load_state_dict(state["optimiser"])
            self.steps_done = state["steps_done"]
            forget_after(self.folder / CURVE, self.steps_done)
        else:
            (self.folder / CURVE).unlink(missing_ok=True)

    def run(self, batches: LabelledBatchMaker, score: Score) -> None:
        """Train to the end, from wherever the arm stands."""
        total = self.config.training.total_steps
        if self.finished:
            return
        if self.steps_done == 0:
            first = (batches.batch(step).weak for step in range(MEASURED_BATCHES))
            self.network.measure_features(images.to(self.device) for images in first)
            self._keep(score)
        with tqdm(total=total, initial=self.steps_done, unit="step", desc=self.arm) as progress:
            for batch in batches.batches(self.steps_done, total):
                self._train_step(batch.to(self.device))
                progress.update()
                if self.finished or self.steps_done % self.config.every_steps == 0:
                    self._keep(score)

    def _train_step(self, batch: LabelledBatch) -> None:
        training = self.config.training
        factor = learning_rate_factor(
            self.steps_done,
            warm_up_steps=training.rate_warm_up_steps,
            total_steps=training.total_steps,
        )
        for group in self.optimiser.param_groups:
            group["lr"] = group["base_lr"] * factor
        loss = self._loss(self.network(batch.strong), batch)
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        self.optimiser.step()
        self.steps_done += 1

    def _loss(self, output: CosaOutput, batch: LabelledBatch) -> torch.Tensor:
        """Both classification losses, and the guidance of the main CAM."""
        plain, auxiliary = (
            classification_loss(logits, batch.labels, batch.known)
            for logits in (output.taught_logits, output.auxiliary_class_logits)
        )
        stride_px = batch.strong.shape[-1] // output.cam.shape[-1]
        seed = zlib.crc32(f"{self.config.training.seed} {self.steps_done}".encode())
        target = cam_target(self.arm, batch, stride_px, seed)
        if target is None:
            return plain + auxiliary
        guidance = segmentation_to_cam_loss(
            output.cam, target.places, rectify=False, known=target.known
        )
        return plain + auxiliary + self.config.guidance_weight * guidance

    def _keep(self, score: Score) -> None:
        """Score the CAM, and write figures and state."""
        row: dict[str, float] = {"step": self.steps_done}
        append_row(self.folder / CURVE, row | score(self.network))
        save_atomically(
            self.folder / "last.pt",
            {
                "network": self.network.state_dict(),
                "optimiser": self.optimiser.state_dict(),
                "steps_done": self.steps_done,
            },
        )
