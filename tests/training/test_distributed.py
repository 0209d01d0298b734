"""Several processes: what two learn together is what one learns alone, and one speaks."""

import csv
import dataclasses
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from hunique_training.checkpoint import load_model
from hunique_training.config import TrainConfig
from hunique_training.data.batches import BatchMaker
from hunique_training.data.labels import read_labels
from hunique_training.data.picture_cache import PictureCache
from hunique_training.data.sampling import BalancedSampler
from hunique_training.data.views import ViewConfig
from hunique_training.joint_batch import own_places
from hunique_training.network.cosa import NetworkConfig
from hunique_training.presets import PRESETS
from hunique_training.trainer import Trainer

LONGEST_S = 240
"""Two processes that import torch on a busy machine are slow to start."""
FIT = ["-m", "hunique_training", "--threads", "1", "fit", "--pretrained", "none", "--steps", "3",
       "--batch-size", "2", "--crop-size-px", "64", "--input-size-px", "64"]  # fmt: skip

STEPS = """
import json, sys
from pathlib import Path
import torch
from hunique_training.config import TrainConfig
from hunique_training.data.batches import BatchMaker
from hunique_training.data.labels import read_labels
from hunique_training.data.picture_cache import PictureCache
from hunique_training.data.sampling import BalancedSampler
from hunique_training.joint_batch import own_places
from hunique_training.ranks import joined_ranks, rank
from hunique_training.trainer import Trainer

folder, out = Path(sys.argv[1]), Path(sys.argv[2])
torch.set_num_threads(1)
with joined_ranks("cpu"):
    for path in sorted(out.glob("*.json")):
        config = TrainConfig.from_dict(json.loads(path.read_text()))
        names = config.network.class_names
        pictures = [p for p in read_labels(folder / "labels.csv", names) if p.split == "train"]
        sampler = BalancedSampler(pictures, config.step_pictures, config.seed)
        maker = BatchMaker(pictures, PictureCache(96), sampler, config.views, config.seed)
        trainer = Trainer(config, out)
        losses = trainer.train_step(maker.batch(0, own_places(config)))
        first = {n: p.grad for n, p in trainer.online.named_parameters() if p.grad is not None}
        trainer.train_step(maker.batch(1, own_places(config)))
        state = {"losses": torch.stack(losses), "gradients": first,
                 "online": trainer.online.state_dict(),
                 "assignment": trainer.assignment.state_dict(),
                 "assigner": trainer.assigner.memory.state_dict()}
        torch.save(state, out / f"{path.stem}-{rank()}.pt")
"""
FAILS = """
import sys
from hunique_training.cli import main
from hunique_training.ranks import rank
from hunique_training.trainer import Trainer

train_step = Trainer.train_step

def fragile(trainer, batch):
    if trainer.steps_done == 1 and rank() == 1:
        raise RuntimeError("the second process gives up")
    return train_step(trainer, batch)

Trainer.train_step = fragile
main(sys.argv[1:])
"""


def _torchrun(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Two processes on this machine alone."""
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--local-addr",
               "127.0.0.1", "--nproc-per-node", "2", *arguments]  # fmt: skip
    return subprocess.run(
        command, env=os.environ | {"OMP_NUM_THREADS": "1"}, capture_output=True, text=True,
        timeout=LONGEST_S, check=False,
    )  # fmt: skip


METHODS = ("hunique", "release", "paper")
"""Presets whose steps differ in more than class names and lengths."""


def _config(preset: str) -> TrainConfig:
    return dataclasses.replace(
        PRESETS[preset](), network=NetworkConfig(), cache_side_px=96, views=ViewConfig(size_px=64),
        total_steps=6, loss_warm_up_steps=0, rate_warm_up_steps=1, batch_size=2, accumulate=2,
        guidance_start_step=0, lost_feature_score=0.0, pretrained="package",
    )  # fmt: skip


def _alone(config: TrainConfig, folder: Path, run: Path) -> dict[str, dict[str, torch.Tensor]]:
    names = config.network.class_names
    pictures = [p for p in read_labels(folder / "labels.csv", names) if p.split == "train"]
    sampler = BalancedSampler(pictures, config.step_pictures, config.seed)
    maker = BatchMaker(pictures, PictureCache(96), sampler, config.views, config.seed)
    trainer = Trainer(config, run)
    losses = trainer.train_step(maker.batch(0))
    first = {n: p.grad for n, p in trainer.online.named_parameters() if p.grad is not None}
    return {"losses": {"all": torch.stack(losses)}, "gradients": first,
            "assigner": trainer.assigner.memory.state_dict()}  # fmt: skip


def test_two_processes_learn_what_one_does(tmp_path: Path, labelled_folder: Path) -> None:
    """Losses and gradients of a step are those of one process; both networks agree on both.

    Without noise on features: with it every pass draws its own, in one process too.
    """
    for preset in METHODS:
        (tmp_path / f"{preset}.json").write_text(_config(preset).to_json())
    script = tmp_path / "steps.py"
    script.write_text(STEPS)
    done = _torchrun(str(script), str(labelled_folder), str(tmp_path))
    assert done.returncode == 0, done.stderr
    for preset in METHODS:
        first, second = (torch.load(tmp_path / f"{preset}-{n}.pt") for n in range(2))
        for part in ("gradients", "online", "assignment", "assigner"):
            for name, value in first[part].items():
                assert torch.equal(value, second[part][name]), (preset, name)
        one = dataclasses.replace(_config(preset), batch_size=4, accumulate=1)
        alone = _alone(one, labelled_folder, tmp_path / "alone")
        torch.testing.assert_close(first["losses"], alone["losses"]["all"], rtol=1e-4, atol=1e-6)
        assert first["gradients"].keys() == alone["gradients"].keys()
        for name, gradient in alone["gradients"].items():
            apart = float((first["gradients"][name] - gradient).norm())
            assert apart <= 1e-3 * float(gradient.norm()) + 1e-7, (preset, name)


def _rows(path: Path) -> list[dict[str, float]]:
    with path.open(newline="", encoding="utf-8") as stream:
        return [{k: float(v) for k, v in row.items() if k != "step_s"}
                for row in csv.DictReader(stream)]  # fmt: skip


def test_fit_runs_under_torchrun(tmp_path: Path, labelled_folder: Path) -> None:
    """One run folder, written once: a path, a row a report, the same figures as one process."""
    both, alone = tmp_path / "both", tmp_path / "alone"
    # classes without noise on features, of which each process would draw its own
    data = ["--data", str(labelled_folder), "--class", "lunule", "--class", "band",
            "--alias", "ring=band", "--validate-every-steps", "2"]  # fmt: skip
    done = _torchrun(*FIT, *data, "--out", str(both))
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == [str(both / "model.pt")]
    single = subprocess.run(
        [sys.executable, *FIT, *data, "--out", str(alone)], env=os.environ, timeout=LONGEST_S,
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert single.returncode == 0, single.stderr
    assert sorted(p.name for p in both.iterdir()) == sorted(p.name for p in alone.iterdir())
    found, expected = _rows(both / "metrics.csv"), _rows(alone / "metrics.csv")
    assert [row["step"] for row in found] == [3]
    for name, value in expected[0].items():
        assert found[0][name] == pytest.approx(value, rel=1e-2, abs=1e-3), name
    assert [row["step"] for row in _rows(both / "validation.csv")] == [2, 3]
    assert load_model(both / "model.pt").operating_point
    assert json.loads((both / "summary.json").read_text())["processes"] == 2


def test_a_failure_of_one_process_ends_all(tmp_path: Path, labelled_folder: Path) -> None:
    """The other does not wait for it: the command fails soon, and says what happened."""
    script = tmp_path / "fails.py"
    script.write_text(FAILS)
    started_s = time.monotonic()
    command = [*FIT[2:], "--data", str(labelled_folder), "--out", str(tmp_path / "run")]
    done = _torchrun(str(script), *command)
    assert done.returncode != 0
    assert "the second process gives up" in done.stderr
    assert time.monotonic() - started_s < LONGEST_S / 2
    assert not (tmp_path / "run" / "model.pt").exists()


def test_a_fault_of_the_data_is_told_once(tmp_path: Path) -> None:
    """Only the first process reads sources, and all end with it."""
    done = _torchrun(*FIT, "--data", str(tmp_path / "nowhere.csv"), "--out", str(tmp_path / "run"))
    assert done.returncode != 0
    assert done.stderr.count("Expected a label file") == 1


def test_each_process_draws_noise_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From the first step on and after going on; networks start alike, one process as ever."""
    drawn, weights = [], []
    for place in (0, 1, 2):
        monkeypatch.setattr("hunique_training.trainer.rank", lambda place=place: place)
        trainer = Trainer(_config("hunique"), tmp_path)
        drawn.append(torch.rand(4))
        if place == 0:
            trainer.steps_done = 3
            trainer.save()
            expected = torch.rand(4)
        assert trainer.resume()
        drawn.append(torch.rand(4))
        weights.append(trainer.online.classifier.hidden.weight)
    assert torch.equal(drawn[1], expected)
    assert len({tuple(numbers.tolist()) for numbers in drawn}) == len(drawn)
    assert all(torch.equal(weights[0], other) for other in weights[1:])


def _ranks(monkeypatch: pytest.MonkeyPatch, place: int, count: int) -> None:
    monkeypatch.setattr("hunique_training.joint_batch.rank", lambda: place)
    monkeypatch.setattr("hunique_training.joint_batch.rank_count", lambda: count)


def test_processes_share_every_part_of_a_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    """Their places are disjoint, equally many, and all of the joint batch together."""
    config = dataclasses.replace(TrainConfig(), batch_size=6, accumulate=2)
    shares = []
    for place in range(3):
        _ranks(monkeypatch, place, 3)
        shares.append(list(own_places(config)))
    assert shares == [[0, 1, 6, 7], [2, 3, 8, 9], [4, 5, 10, 11]]


def test_a_batch_that_cannot_be_shared_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Told with both numbers, rather than trained on fewer pictures."""
    _ranks(monkeypatch, 0, 4)
    with pytest.raises(ValueError, match="4 processes, found 6"):
        own_places(dataclasses.replace(TrainConfig(), batch_size=6))
