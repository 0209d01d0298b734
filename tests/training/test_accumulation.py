"""Several batches to a step: the same step as one batch of all their pictures."""

import dataclasses
from pathlib import Path

import pytest
import torch

from hunique_training.checkpoint import CheckpointError
from hunique_training.config import TrainConfig
from hunique_training.data.batches import BatchMaker
from hunique_training.data.labels import read_labels
from hunique_training.data.picture_cache import PictureCache
from hunique_training.data.sampling import BalancedSampler
from hunique_training.data.views import ViewConfig
from hunique_training.network.cosa import NetworkConfig
from hunique_training.presets import PRESETS
from hunique_training.step import Losses
from hunique_training.trainer import Trainer


def _config(preset: str, batch_size: int, accumulate: int) -> TrainConfig:
    """Pseudo-labels from the first step on, as a run is once it is under way."""
    return dataclasses.replace(
        PRESETS[preset](), network=NetworkConfig(), pretrained="package", cache_side_px=96,
        views=ViewConfig(size_px=64), total_steps=6, loss_warm_up_steps=0, rate_warm_up_steps=1,
        batch_size=batch_size, accumulate=accumulate, guidance_start_step=0,
        lost_feature_score=0.0,
    )  # fmt: skip


def _batches(config: TrainConfig, folder: Path) -> BatchMaker:
    pictures = [p for p in read_labels(folder / "labels.csv", config.network.class_names)
                if p.split == "train"]  # fmt: skip
    sampler = BalancedSampler(pictures, config.step_pictures, config.seed)
    return BatchMaker(pictures, PictureCache(96), sampler, config.views, config.seed)


def _first_step(config: TrainConfig, run: Path, folder: Path) -> tuple[Trainer, Losses]:
    trainer = Trainer(config, run)
    return trainer, trainer.train_step(_batches(config, folder).batch(0))


def _gradients(trainer: Trainer) -> dict[str, torch.Tensor]:
    return {n: p.grad for n, p in trainer.online.named_parameters() if p.grad is not None}


@pytest.mark.parametrize("preset", ["hunique", "paper", "release"])
@pytest.mark.parametrize("parts", [2, 4])
def test_parts_learn_what_the_joint_batch_would(
    tmp_path: Path, labelled_folder: Path, preset: str, parts: int
) -> None:
    """Losses, thresholds and every gradient equal those of one batch of four, up to rounding.

    Without noise on features, of which every pass draws its own.
    """
    whole, expected = _first_step(_config(preset, 4, 1), tmp_path / "whole", labelled_folder)
    config = _config(preset, 4 // parts, parts)
    split, found = _first_step(config, tmp_path / "split", labelled_folder)
    torch.testing.assert_close(torch.stack(found), torch.stack(expected), rtol=1e-4, atol=1e-6)
    one, many = _gradients(whole), _gradients(split)
    assert one.keys() == many.keys()
    for name, gradient in one.items():
        assert float((many[name] - gradient).norm()) <= 1e-3 * float(gradient.norm()) + 1e-7, name


def test_parts_pass_the_networks_one_after_another(tmp_path: Path, labelled_folder: Path) -> None:
    """No more pictures than the batch size are in either network at a time, mirrors aside."""
    trainer = Trainer(_config("hunique", 2, 3), tmp_path)
    seen: list[tuple[str, int]] = []
    for name, network in (("online", trainer.online), ("assignment", trainer.assignment)):
        network.register_forward_hook(
            lambda _module, given, _output, name=name: seen.append((name, len(given[0])))
        )
    trainer.train_step(_batches(trainer.config, labelled_folder).batch(0))
    assert seen == [("assignment", 4)] * 3 + [("online", 2)] * 3


def test_features_are_measured_in_parts_too(tmp_path: Path, labelled_folder: Path) -> None:
    """No more pictures at once than the batch size, and the magnitudes are those of all."""
    buffers = []
    for name, batch_size, accumulate in (("whole", 4, 1), ("parts", 1, 4)):
        trainer = Trainer(_config("hunique", batch_size, accumulate), tmp_path / name)
        seen: list[int] = []
        for network in (trainer.online, trainer.assignment):
            network.encoder.register_forward_hook(
                lambda _module, given, _output, seen=seen: seen.append(len(given[0]))
            )
        trainer._measure_features(_batches(trainer.config, labelled_folder))
        assert set(seen) == {batch_size}
        assert sum(seen) == 2 * 4 * 4
        buffers.append(dict(trainer.assignment.classifier.named_buffers()))
    for name, whole in buffers[0].items():
        torch.testing.assert_close(buffers[1][name], whole, rtol=1e-4, atol=1e-5)


def test_a_run_goes_on_in_smaller_parts(tmp_path: Path, labelled_folder: Path) -> None:
    """Half the batch size and twice the parts is the same run; fewer pictures are not."""
    trainer, _ = _first_step(_config("hunique", 4, 1), tmp_path, labelled_folder)
    trainer.save()
    halved = Trainer(_config("hunique", 2, 2), tmp_path)
    assert halved.resume()
    assert halved.steps_done == 1
    with pytest.raises(CheckpointError, match="another configuration"):
        Trainer(_config("hunique", 2, 1), tmp_path).resume()
