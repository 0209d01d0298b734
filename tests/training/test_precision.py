"""Mixed precision: networks in 16 bits, everything that is kept in 32."""

import dataclasses
from pathlib import Path

import pytest
import torch

from hunique_training.config import TrainConfig
from hunique_training.data.batches import BatchMaker
from hunique_training.data.labels import read_labels
from hunique_training.data.picture_cache import PictureCache
from hunique_training.data.sampling import BalancedSampler
from hunique_training.data.views import ViewConfig
from hunique_training.step import Losses
from hunique_training.trainer import Trainer


def _config(precision: str) -> TrainConfig:
    # noise would differ by more than the precision does
    network = dataclasses.replace(TrainConfig().network, local_noise=())
    return TrainConfig(
        network=network, views=ViewConfig(size_px=64), total_steps=6, loss_warm_up_steps=1, rate_warm_up_steps=1,
        batch_size=2, cache_side_px=96, guidance_start_step=1, lost_feature_score=0.0,
        precision=precision,
    )  # fmt: skip


def _train(config: TrainConfig, run: Path, folder: Path, end: int) -> list[Losses]:
    trainer = Trainer(config, run)
    trainer.resume()
    pictures = [p for p in read_labels(folder / "labels.csv", config.network.class_names)
                if p.split == "train"]  # fmt: skip
    sampler = BalancedSampler(pictures, config.step_pictures, config.seed)
    maker = BatchMaker(pictures, PictureCache(96), sampler, config.views, config.seed)
    losses = [trainer.train_step(b) for b in maker.batches(trainer.steps_done, end)]
    trainer.save()
    return losses


def test_bfloat16_learns_nearly_the_same(tmp_path: Path, labelled_folder: Path) -> None:
    """Losses after warm-up are within 5 % of those of float32, and not the same."""
    exact, mixed = (
        torch.tensor(_train(_config(name), tmp_path / name, labelled_folder, 3))
        for name in ("float32", "bfloat16")
    )
    assert not torch.equal(exact, mixed)
    torch.testing.assert_close(mixed, exact, rtol=0.05, atol=0.02)


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_networks_compute_in_16_bits_and_are_kept_in_32(
    tmp_path: Path, labelled_folder: Path, precision: str
) -> None:
    """Both networks' features are 16 bits wide; no tensor of the checkpoint is."""
    config = _config(precision)
    trainer = Trainer(config, tmp_path)
    seen = []
    for network in (trainer.online, trainer.assignment):
        network.encoder.stages[3].register_forward_hook(
            lambda _module, _given, output: seen.append(output.dtype)
        )
    pictures = read_labels(labelled_folder / "labels.csv", config.network.class_names)
    sampler = BalancedSampler(pictures, 2, 0)
    maker = BatchMaker(pictures, PictureCache(96), sampler, config.views, 0)
    for step in range(2):
        losses = trainer.train_step(maker.batch(step))
    assert set(seen) == {getattr(torch, precision)}
    assert len(seen) == 3
    assert {loss.dtype for loss in losses} == {torch.float32}
    trainer.save()
    state = torch.load(tmp_path / "last.pt", weights_only=True)
    for part in ("online", "assignment"):
        assert {value.dtype for value in state[part].values()} == {torch.float32}


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_a_stopped_run_goes_on_bit_for_bit(
    tmp_path: Path, labelled_folder: Path, precision: str
) -> None:
    """Losses, networks and the scale of losses are those of a run in one go."""
    config = _config(precision)
    whole = _train(config, tmp_path / "whole", labelled_folder, 4)
    parts = _train(config, tmp_path / "parts", labelled_folder, 2)
    parts += _train(config, tmp_path / "parts", labelled_folder, 4)
    assert parts == whole
    first, second = (
        torch.load(tmp_path / name / "last.pt", weights_only=True) for name in ("whole", "parts")
    )
    assert first["scaler"] == second["scaler"]
    assert bool(first["scaler"]) is (precision == "float16")
    for part in ("online", "assignment"):
        for key, value in first[part].items():
            assert torch.equal(value, second[part][key]), key


def test_a_step_that_overflows_is_left_out(tmp_path: Path, labelled_folder: Path) -> None:
    """float16: where gradients overflow no weight moves, and losses are scaled less from then."""
    config = _config("float16")
    trainer = Trainer(config, tmp_path)
    state = trainer.scaler.state_dict()
    trainer.scaler.load_state_dict(state | {"scale": 2.0**100})
    before = {name: value.clone() for name, value in trainer.online.state_dict().items()}
    pictures = read_labels(labelled_folder / "labels.csv", config.network.class_names)
    sampler = BalancedSampler(pictures, 2, 0)
    maker = BatchMaker(pictures, PictureCache(96), sampler, config.views, 0)
    trainer.train_step(maker.batch(0))
    assert all(torch.equal(v, before[n]) for n, v in trainer.online.state_dict().items())
    assert trainer.scaler.get_scale() == 2.0**99
    assert trainer.steps_done == 1


def test_an_unknown_precision_is_refused() -> None:
    """Told with those that there are."""
    with pytest.raises(ValueError, match="bfloat16"):
        dataclasses.replace(TrainConfig(), precision="int8")
