"""The loop: schedule, assignment network, and runs that go on exactly where they stopped."""

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import nn

from hunique_training.assignment import assignment_copy, follow
from hunique_training.checkpoint import CheckpointError, load_model
from hunique_training.config import TrainConfig
from hunique_training.data.batches import BatchMaker
from hunique_training.data.labels import read_labels
from hunique_training.data.picture_cache import PictureCache
from hunique_training.data.sampling import BalancedSampler
from hunique_training.data.views import ViewConfig
from hunique_training.fitting import FitRequest, fit
from hunique_training.network.cosa import NetworkConfig
from hunique_training.presets import PRESETS
from hunique_training.schedule import learning_rate_factor
from hunique_training.step import Losses
from hunique_training.trainer import Trainer

Vectors = Callable[[str], dict[str, torch.Tensor]]


# small, each with the CAM head of its preset
_NETWORKS = {
    "hunique": NetworkConfig(local_dropout=0.2, local_noise=(1.0, 1.0, 0.0, 1.0)),
    "release": NetworkConfig(cam_head="final", pooling_top_share=0.02),
    "paper": NetworkConfig(cam_head="final", pooling_top_share=0.02),
}


def _config(steps: int = 6, preset: str = "hunique") -> TrainConfig:
    """A preset with the small network and small crops."""
    return dataclasses.replace(
        PRESETS[preset](), network=_NETWORKS[preset], pretrained="package", views=ViewConfig(size_px=64),
        total_steps=steps, loss_warm_up_steps=2, rate_warm_up_steps=2, batch_size=2,
        cache_side_px=96, guidance_start_step=2, lost_feature_score=0.0,
    )  # fmt: skip


def _batches(config: TrainConfig, folder: Path) -> BatchMaker:
    pictures = [p for p in read_labels(folder / "labels.csv", config.network.class_names)
                if p.split == "train"]  # fmt: skip
    sampler = BalancedSampler(pictures, config.batch_size, config.seed)
    return BatchMaker(pictures, PictureCache(96), sampler, config.views, config.seed)


def _train(config: TrainConfig, run: Path, folder: Path, stop_after: int = 0) -> list[Losses]:
    """Losses of the steps that were run, from wherever the run stands."""
    trainer = Trainer(config, run)
    trainer.resume()
    end = stop_after or config.total_steps
    batches = _batches(config, folder).batches(trainer.steps_done, end)
    losses = [Losses(*(x.detach() for x in trainer.train_step(batch))) for batch in batches]
    trainer.save()
    return losses


@pytest.mark.parametrize("preset", sorted(_NETWORKS))
def test_a_stopped_run_goes_on_bit_for_bit(
    tmp_path: Path, labelled_folder: Path, preset: str
) -> None:
    """Stopped after warm-up and resumed, losses and all state equal those of a run in one go."""
    config = _config(preset=preset)
    whole = _train(config, tmp_path / "whole", labelled_folder)
    parts = _train(config, tmp_path / "parts", labelled_folder, stop_after=3)
    parts += _train(config, tmp_path / "parts", labelled_folder)
    assert parts == whole
    first, second = (
        torch.load(tmp_path / name / "last.pt", weights_only=True) for name in ("whole", "parts")
    )
    for part in ("online", "assignment", "assigner"):
        assert first[part].keys() == second[part].keys()
        for key, value in first[part].items():
            assert torch.equal(value, second[part][key]), key


@pytest.mark.parametrize("preset", sorted(_NETWORKS))
def test_twenty_steps_repeat_themselves(tmp_path: Path, labelled_folder: Path, preset: str) -> None:
    """The same seed gives the same losses to the last bit, all of them finite."""
    config = _config(20, preset)
    first, second = (_train(config, tmp_path / name, labelled_folder) for name in ("a", "b"))
    assert first == second
    assert len(first) == 20
    assert torch.tensor(first).isfinite().all()


def test_the_paper_uses_all_of_its_parts(tmp_path: Path, labelled_folder: Path) -> None:
    """After warm-up contrast is felt, thresholds move, and weights differ from 1."""
    steps = _train(_config(4, "paper"), tmp_path, labelled_folder)
    assert [bool(losses.contrastive_separation > 0) for losses in steps] == [False] * 2 + [True] * 2
    assert [float(losses.regulariser) for losses in steps] == [0.0] * 4
    assert float(steps[1].threshold) == 0.5
    assert float(steps[3].threshold) != 0.5
    assert 0 < float(steps[3].foreground_weight) != 1


def test_release_heads_are_the_assignment_networks_own(tmp_path: Path) -> None:
    """The encoder is a copy; heads and decoder start from other numbers; m holds from step 0."""
    trainer = Trainer(_config(preset="release"), tmp_path)
    online, assignment = trainer.online.state_dict(), trainer.assignment.state_dict()
    apart = {name for name in online if not torch.equal(online[name], assignment[name])}
    assert "classifier.weight" in apart
    assert "auxiliary_classifier.weight" in apart
    assert [name for name in apart if name.startswith("decoder.")]
    assert not [name for name in apart if name.startswith("encoder.")]


def test_an_older_configuration_reads_as_what_it_was(tmp_path: Path, labelled_folder: Path) -> None:
    """A run that began before a switch existed goes on with the switch's default."""
    config = _config()
    _train(config, tmp_path, labelled_folder, stop_after=1)
    state = torch.load(tmp_path / "last.pt", weights_only=True)
    values = json.loads(state["config"])
    for name in ("threshold", "weighting", "contrast", "energy", "assignment_own_heads"):
        del values[name]
    del values["weights"]["regulariser"], state["assigner"]
    torch.save(state | {"config": json.dumps(values)}, tmp_path / "last.pt")
    assert Trainer(config, tmp_path).resume()


def test_an_older_run_has_no_bounds_of_its_classes() -> None:
    """They came to the preset later, for four classes; a run of twenty must still be read."""
    values = dataclasses.asdict(TrainConfig())
    del values["largest_shares"]
    assert TrainConfig.from_dict(values).largest_shares == ()


def test_pseudo_labels_begin_after_warm_up(tmp_path: Path, labelled_folder: Path) -> None:
    """Classification alone first, then the swapped assignments take part."""
    config = _config(4)
    trainer = Trainer(config, tmp_path)
    steps = [trainer.train_step(b) for b in _batches(config, labelled_folder).batches(0, 4)]
    swapped = [bool(s.cam_to_segmentation > 0) and bool(s.segmentation_to_cam > 0) for s in steps]
    assert swapped == [False, False, True, True]
    assert all(losses.size_prior > 0 for losses in steps)
    for losses in steps[2:]:
        expected = (
            losses.classification + losses.auxiliary_classification
            + config.weights.cam_to_segmentation * losses.cam_to_segmentation
            + config.weights.segmentation_to_cam * losses.segmentation_to_cam
            + config.weights.size_prior * losses.size_prior
        )  # fmt: skip
        torch.testing.assert_close(losses.total, expected)


def test_frozen_stages_keep_their_weights(tmp_path: Path, labelled_folder: Path) -> None:
    """The stages said to be frozen are those that do not move."""
    config = dataclasses.replace(_config(2), frozen_stages=2)
    trainer = Trainer(config, tmp_path)
    before = {k: v.clone() for k, v in trainer.online.state_dict().items()}
    for batch in _batches(config, labelled_folder).batches(0, 2):
        trainer.train_step(batch)
    moved = {k for k, v in trainer.online.state_dict().items() if not torch.equal(v, before[k])}
    assert not [name for name in moved if name.startswith(("encoder.stem", "encoder.stages.0."))]
    assert [name for name in moved if name.startswith("encoder.stages.5.")]


def test_a_folder_of_another_run_is_refused(tmp_path: Path, labelled_folder: Path) -> None:
    """Resuming with other options is an error, not a mixture."""
    _train(_config(), tmp_path, labelled_folder, stop_after=1)
    with pytest.raises(CheckpointError, match="another configuration"):
        Trainer(dataclasses.replace(_config(), seed=5), tmp_path).resume()


def test_crops_must_fit_the_network(tmp_path: Path) -> None:
    """A crop that the encoder's stride does not divide is told before anything is loaded."""
    config = dataclasses.replace(_config(), views=ViewConfig(size_px=72))
    with pytest.raises(ValueError, match="stride 16"):
        Trainer(config, tmp_path)


def test_schedule_equals_the_release(vectors: Vectors) -> None:
    """Linear warm-up, then polynomial decay, at the released VOC figures."""
    z = vectors("optim_ema")
    for step, expected in zip(z["lr_steps"].tolist(), z["lr_voc32k"].tolist(), strict=True):
        factor = learning_rate_factor(step, warm_up_steps=1500, total_steps=32_000)
        assert 6e-5 * factor == pytest.approx(expected, rel=1e-6)


def test_assignment_network_is_a_moving_average(vectors: Vectors) -> None:
    """A <- m a + (1 - m) o, over every step of the reference."""
    z = vectors("optim_ema")

    class Pair(nn.Module):
        def __init__(self, a: torch.Tensor, b: torch.Tensor) -> None:
            super().__init__()
            self.a, self.b = nn.Parameter(a.clone()), nn.Parameter(b.clone())

    slow = Pair(z["an_a0"], z["an_b0"])
    for step in range(len(z["on_a"])):
        follow(slow, Pair(z["on_a"][step], z["on_b"][step]), float(z["momentum"]))
        torch.testing.assert_close(slow.a.detach(), z["an_a"][step], rtol=1e-4, atol=1e-6)
        torch.testing.assert_close(slow.b.detach(), z["an_b"][step], rtol=1e-4, atol=1e-6)


def test_assignment_network_is_a_copy_without_gradient() -> None:
    """It starts equal, shares no memory, and no optimiser can move it."""
    online = nn.Linear(3, 2)
    copy = assignment_copy(online)
    assert torch.equal(copy.weight, online.weight)
    assert not any(parameter.requires_grad for parameter in copy.parameters())
    assert not copy.training
    with torch.no_grad():
        online.weight.add_(1)
    assert not torch.equal(copy.weight, online.weight)


@pytest.mark.parametrize("name", sorted(PRESETS))
def test_configurations_survive_being_written(name: str) -> None:
    """What a run folder holds builds the same configuration again."""
    config = PRESETS[name]()
    assert TrainConfig.from_dict(json.loads(config.to_json())) == config


@pytest.mark.parametrize(
    ("name", "classes", "published"),
    [("voc", 20, (32_000, 6_000, 4, 0.7, 0.2)), ("coco", 80, (60_000, 10_000, 8, 0.65, 0.25))],
)
def test_presets_of_data_sets_are_the_release_at_their_published_settings(
    name: str, classes: int, published: tuple[float, ...]
) -> None:
    """COSA section 4, and everything else as in the release."""
    config, release = PRESETS[name](), PRESETS["release"]()
    assert len(set(config.network.class_names)) == classes
    thresholds = config.thresholds
    found = (config.total_steps, config.loss_warm_up_steps, config.batch_size)
    assert (*found, thresholds.high, thresholds.low) == published
    assert config.guidance_start_step == config.loss_warm_up_steps
    same = {"preset": "release", "network": release.network, "thresholds": release.thresholds}
    lengths = ("total_steps", "loss_warm_up_steps", "batch_size", "guidance_start_step")
    same |= {length: getattr(release, length) for length in lengths}
    assert dataclasses.replace(config, **same) == release  # type: ignore[arg-type]


def test_mixed_cam_needs_a_share_for_each_class() -> None:
    """A list of the wrong length is refused with both numbers."""
    with pytest.raises(ValueError, match="needs 4 values"):
        TrainConfig(mixed_cam_shares=(0.5,))


def test_fit_leaves_what_a_run_promises(tmp_path: Path, labelled_folder: Path) -> None:
    """Configuration, metrics, panels, summary, and a model with an operating point from val."""
    config = dataclasses.replace(_config(2), loss_warm_up_steps=1)
    request = FitRequest(
        config=config, data=(str(labelled_folder),), run_folder=tmp_path, input_size_px=64
    )
    model = load_model(fit(request))
    assert set(model.operating_point) == set(config.network.class_names)
    names = ("config.json", "request.json", "metrics.csv", "summary.json", "validation.json")
    for name in (*names, "last.pt"):
        assert (tmp_path / name).stat().st_size > 0
    assert list((tmp_path / "panels").glob("step-*.png"))
    summary = json.loads((tmp_path / "summary.json").read_text())
    assert summary["pictures"] == 6
    assert summary["pictures_by_source"] == {"camera A": 3, "camera B": 3}
    assert len(summary["label_file_sha256"]) == 1


def test_heads_learn_faster_than_the_encoder(tmp_path: Path) -> None:
    """Heads and decoder have the base rate times the factor; what is frozen has none."""
    config = dataclasses.replace(_config(), frozen_stages=2, head_rate_factor=7.0)
    trainer = Trainer(config, tmp_path)
    encoder, heads = trainer.optimiser.param_groups
    assert heads["base_lr"] == pytest.approx(7 * encoder["base_lr"])
    assert {id(p) for p in heads["params"]} == {id(p) for p in trainer.online.head_parameters()}
    assert all(p.requires_grad for p in encoder["params"])


def test_the_cam_head_learns_the_magnitudes_of_features_once(
    tmp_path: Path, labelled_folder: Path
) -> None:
    """Both networks start from the first batches' means, and a resumed run keeps them."""
    config = _config(1)
    trainer = Trainer(config, tmp_path)
    trainer.fit(_batches(config, labelled_folder))
    mean = trainer.online.state_dict()["classifier.mean"]
    assert mean.abs().max() > 0
    assert torch.equal(mean, trainer.assignment.state_dict()["classifier.mean"])
    again = Trainer(config, tmp_path)
    assert again.resume()
    assert torch.equal(mean, again.online.state_dict()["classifier.mean"])


def test_guidance_of_the_cam_waits_for_its_step(tmp_path: Path, labelled_folder: Path) -> None:
    """Pseudo-labels teach the segmentation after the warm-up; the CAM is guided only later."""
    config = dataclasses.replace(_config(4), loss_warm_up_steps=1, guidance_start_step=3)
    trainer = Trainer(config, tmp_path)
    steps = [trainer.train_step(b) for b in _batches(config, labelled_folder).batches(0, 4)]
    assert [bool(s.cam_to_segmentation > 0) for s in steps] == [False, True, True, True]
    assert [bool(s.segmentation_to_cam > 0) for s in steps] == [False, False, False, True]
