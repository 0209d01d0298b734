"""The loop of the second stage: runs go on exactly, on the labels that they began with."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from hunique_training.checkpoint import CheckpointError
from hunique_training.data.labels import LabelledPicture, read_labels
from hunique_training.data.picture_cache import PictureCache
from hunique_training.data.views import ViewConfig
from hunique_training.network.cosa import NetworkConfig
from hunique_training.second_stage.batches import LabelledBatchMaker, cropped_away
from hunique_training.second_stage.config import SecondStageConfig
from hunique_training.second_stage.label_source import PixelLabel
from hunique_training.second_stage.step import SecondStageLosses
from hunique_training.second_stage.trainer import SecondStageTrainer

CONFIG = SecondStageConfig(
    network=NetworkConfig(cam_head="final"), pretrained=None, views=ViewConfig(size_px=64), total_steps=4,
    rate_warm_up_steps=1, batch_size=2, cache_side_px=96,
)  # fmt: skip


class LeftHalf:
    """Labels that say that the left half of a picture is its first present class."""

    supervision = "image"

    @property
    def facts(self) -> dict[str, Any]:
        """Nothing."""
        return {}

    def require(self, pictures: Sequence[LabelledPicture]) -> None:
        """All are well."""

    def pixel_label(self, picture: LabelledPicture, size: tuple[int, int]) -> PixelLabel:
        """The left half."""
        labels = np.zeros(size, np.uint8)
        labels[:, : size[1] // 2] = picture.labels.index(True) + 1
        found = np.unique(labels)
        return PixelLabel(
            labels=labels,
            open_classes=tuple(
                p is True and c not in found for c, p in enumerate(picture.labels, 1)
            ),
        )


def _batches(folder: Path, config: SecondStageConfig = CONFIG) -> LabelledBatchMaker:
    pictures = read_labels(folder / "labels.csv", config.network.class_names)
    training = [picture for picture in pictures if picture.split == "train"]
    return LabelledBatchMaker(training, PictureCache(96), LeftHalf(), config)


def _train(run: Path, folder: Path, stop_after: int) -> list[SecondStageLosses]:
    trainer = SecondStageTrainer(CONFIG, run)
    trainer.resume("left half")
    batches = _batches(folder).batches(trainer.steps_done, stop_after)
    steps = [trainer.train_step(batch) for batch in batches]
    trainer.save("left half")
    return [SecondStageLosses(*(value.detach() for value in step)) for step in steps]


def test_a_stopped_run_goes_on_bit_for_bit(tmp_path: Path, labelled_folder: Path) -> None:
    """Stopped and resumed, losses and all weights equal those of a run in one go."""
    whole = _train(tmp_path / "whole", labelled_folder, 4)
    parts = _train(tmp_path / "parts", labelled_folder, 2)
    parts += _train(tmp_path / "parts", labelled_folder, 4)
    assert parts == whole
    assert torch.tensor(whole).isfinite().all()
    first, second = (
        torch.load(tmp_path / name / "last.pt", weights_only=True) for name in ("whole", "parts")
    )
    for part in ("network", "average"):
        for key, value in first[part].items():
            assert torch.equal(value, second[part][key]), key


def test_the_time_of_all_parts_is_kept(tmp_path: Path, labelled_folder: Path) -> None:
    """What was trained before a stop counts in what is told at the end."""
    trainer = SecondStageTrainer(CONFIG, tmp_path)
    trainer.fit(_batches(labelled_folder), "left half")
    assert trainer.trained_s > 0
    again = SecondStageTrainer(CONFIG, tmp_path)
    assert again.resume("left half")
    assert again.trained_s == trainer.trained_s


def test_other_labels_or_options_are_another_run(tmp_path: Path, labelled_folder: Path) -> None:
    """A folder is not gone on with under other labels, nor under other options."""
    _train(tmp_path, labelled_folder, 1)
    with pytest.raises(CheckpointError, match="other labels"):
        SecondStageTrainer(CONFIG, tmp_path).resume("right half")
    with pytest.raises(CheckpointError, match="other options"):
        SecondStageTrainer(dataclasses.replace(CONFIG, seed=3), tmp_path).resume("left half")
    assert not SecondStageTrainer(CONFIG, tmp_path / "new").resume("left half")


def test_a_batch_follows_from_seed_and_step(labelled_folder: Path) -> None:
    """The same again from another maker; another seed gives another; labels are there."""
    first, again = (_batches(labelled_folder).batch(3) for _ in range(2))
    other = _batches(labelled_folder, dataclasses.replace(CONFIG, seed=1)).batch(3)
    assert torch.equal(first.strong, again.strong)
    assert torch.equal(first.pixel_labels, again.pixel_labels)
    assert not torch.equal(first.pixel_labels, other.pixel_labels)
    assert first.pixel_labels.shape == (2, 64, 64)
    assert first.open_classes.sum(dim=1).tolist() == [1, 1]
    shown = [
        int(labels[(labels > 0) & (labels < 255)].unique().numel()) for labels in first.pixel_labels
    ]
    assert max(shown) == 1
    part = _batches(labelled_folder).batch(3, [1])
    assert torch.equal(part.pixel_labels[0], first.pixel_labels[1])


def test_pictures_without_people_are_in_batches(labelled_folder: Path) -> None:
    """They get a place of their own, unless a configuration wants none."""
    pictures = read_labels(labelled_folder / "labels.csv", CONFIG.network.class_names)
    shown = [p for p in pictures if p.split == "train" and True in p.labels]
    empty = dataclasses.replace(shown[0], labels=(False,) * 4, kind="background")
    seen = []
    for background_slot in (True, False):
        config = dataclasses.replace(CONFIG, background_slot=background_slot, batch_size=20)
        source = _NothingOnBackgrounds()
        maker = LabelledBatchMaker([*shown, empty], PictureCache(96), source, config)
        maker.batch(0)
        seen.append(source.backgrounds)
    assert seen[0] > seen[1]


class _NothingOnBackgrounds(LeftHalf):
    """Counts how often a picture without people is asked for."""

    backgrounds = 0

    def pixel_label(self, picture: LabelledPicture, size: tuple[int, int]) -> PixelLabel:
        """Background throughout, where nobody is."""
        if not picture.is_background:
            return super().pixel_label(picture, size)
        self.backgrounds += 1
        return PixelLabel(labels=np.zeros(size, np.uint8), open_classes=(False,) * 4)


def test_what_a_crop_lost_is_unknown(labelled_folder: Path) -> None:
    """A class whose pixels the crop leaves out is neither present nor absent on it."""
    close = dataclasses.replace(CONFIG, views=ViewConfig(size_px=32, scale_low=3, scale_high=4))
    batches = [_batches(labelled_folder, close).batch(step) for step in range(20)]
    known = torch.cat([batch.known for batch in batches])
    assert 0 < int((~known).sum()) < 40
    for batch in batches:
        assert not cropped_away(batch).any()
        assert not batch.labels[~batch.known].any()


def test_the_run_learns_and_writes_what_it_promises(tmp_path: Path, labelled_folder: Path) -> None:
    """The loss on one batch falls; frozen stages stay; configuration and metrics are written."""
    config = dataclasses.replace(
        CONFIG, total_steps=12, learning_rate=1e-3, classification_weight=0
    )
    trainer = SecondStageTrainer(config, tmp_path)
    before = {k: v.clone() for k, v in trainer.network.state_dict().items()}
    batch = _batches(labelled_folder).batch(0)
    losses = [float(trainer.train_step(batch).segmentation.detach()) for _ in range(11)]
    assert losses[-1] < losses[0]
    trainer.fit(_batches(labelled_folder, config), "left half")
    moved = {k for k, v in trainer.network.state_dict().items() if not torch.equal(v, before[k])}
    assert not [name for name in moved if name.startswith("encoder.stages.1.")]
    assert "decoder.logits.weight" in moved
    assert (tmp_path / "config.json").read_text() == config.to_json()
    heading, row = (tmp_path / "metrics.csv").read_text().splitlines()
    assert heading.split(",") == ["step", "step_s", *SecondStageLosses._fields]
    assert row.startswith("12,")


def test_crops_must_fit_the_network(tmp_path: Path) -> None:
    """A crop that the stride does not divide is told before anything is trained."""
    with pytest.raises(ValueError, match="stride 16"):
        SecondStageTrainer(dataclasses.replace(CONFIG, views=ViewConfig(size_px=72)), tmp_path)
