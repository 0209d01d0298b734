"""Classifiers to compare with: what each hides, erases or moves, and what then is learned."""

import dataclasses
import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from hunique_training.config import METHODS, TrainConfig
from hunique_training.data.batch import Batch
from hunique_training.data.views import ViewConfig
from hunique_training.joint_batch import JointCounts, Part, joint_counts
from hunique_training.losses.size_prior import size_prior_loss
from hunique_training.methods.adversarial_erasing import adversarial_erasing_losses, erase
from hunique_training.methods.classification import cam_losses
from hunique_training.methods.equivariant_cam import equivariant_cam_losses, move, present_maps
from hunique_training.methods.hide_and_seek import (
    CELL_SIDES_PX,
    hidden_places,
    hide_and_seek_losses,
)
from hunique_training.methods.registry import LOSSES
from hunique_training.network.cosa import CosaOutput
from hunique_training.trainer import Trainer

CONFIG = TrainConfig(
    views=ViewConfig(size_px=32, pad_value=(255, 0, 51)), loss_warm_up_steps=0, largest_shares=()
)


class Averaging:
    """A network whose maps are the colours of 4 x 4 cells; it keeps what it was shown."""

    def __init__(self) -> None:
        self.shown: list[torch.Tensor] = []

    def __call__(self, images: torch.Tensor) -> CosaOutput:
        """Maps, their maxima as logits, and no segmentation."""
        self.shown.append(images)
        cam = torch.nn.functional.avg_pool2d(images, 4)
        cam = torch.cat([cam, cam[:, :1] - 0.5], dim=1)
        logits = cam.amax(dim=(2, 3))
        return CosaOutput(logits, logits / 2, cam, cam.flip(1), torch.zeros(len(images), 5, 8, 8))


def _part(seed: int = 0) -> tuple[Part, JointCounts]:
    images = torch.rand(3, 3, 32, 32, generator=torch.Generator().manual_seed(seed))
    labels = torch.tensor([[1.0, 0, 1, 0], [0, 1, 0, 0], [0, 0, 0, 0]])
    known = torch.tensor([[True] * 4, [True, True, False, True], [True] * 4])
    batch = Batch(
        weak=images, strong=images, labels=labels, known=known, boxes=torch.zeros(3, 4).long()
    )
    return Part(batch, None), joint_counts(batch, None)


def _soft_margin(logits: torch.Tensor, batch: Batch) -> float:
    """The classification loss by hand: a mean over labels that are known."""
    total, count = 0.0, 0
    for picture in range(logits.shape[0]):
        for c in range(logits.shape[1]):
            if batch.known[picture, c]:
                sign = 1 if batch.labels[picture, c] else -1
                total += math.log1p(math.exp(-sign * float(logits[picture, c])))
                count += 1
    return total / count


def test_every_method_has_losses() -> None:
    """What the configuration takes is what can be run."""
    assert tuple(LOSSES) == METHODS
    with pytest.raises(ValueError, match=r"method is one of cosa, cam.*found 'cms'"):
        TrainConfig(method="cms")


def test_cam_is_classification_alone() -> None:
    """Both heads by hand, nothing of pseudo-labels."""
    part, counts = _part()
    losses = cam_losses(Averaging(), part, counts, CONFIG, 7)
    logits = Averaging()(part.batch.strong).class_logits
    assert float(losses.classification) == pytest.approx(_soft_margin(logits, part.batch))
    assert float(losses.auxiliary_classification) == pytest.approx(
        _soft_margin(logits / 2, part.batch)
    )
    assert float(losses.total) == pytest.approx(float(losses[1] + losses[2]))
    assert [float(value) for value in losses[3:]] == [0.0] * 8


@pytest.mark.parametrize("method", METHODS[1:])
def test_every_classifier_is_held_down_by_the_size_prior(method: str) -> None:
    """That of the main map, weighed as the run says, as a part of the step's joint batch.

    Without one nothing is added.
    """
    part, counts = _part()
    counts = counts._replace(known=2 * counts.known)
    weights = dataclasses.replace(CONFIG.weights, size_prior=0.3)
    config = dataclasses.replace(CONFIG, largest_shares=(0.5, 0.1, 0.0, 0.25), weights=weights)
    network = Averaging()
    losses = LOSSES[method](network, part, counts, config, 3)
    cam, batch = Averaging()(network.shown[0]).cam, part.batch
    prior = size_prior_loss(cam, batch.labels, batch.known, config.largest_shares) / 2
    assert float(losses.size_prior) == pytest.approx(float(prior)) != 0
    others = float(losses.total) - float(losses[1] + losses[2] + losses.regulariser)
    assert others == pytest.approx(0.3 * float(prior), rel=1e-4)
    for bare in (
        dataclasses.replace(config, largest_shares=()),
        dataclasses.replace(config, weights=dataclasses.replace(weights, size_prior=0.0)),
    ):
        losses = LOSSES[method](Averaging(), part, counts, bare, 3)
        assert float(losses.size_prior) == 0
        expected = float(losses[1] + losses[2] + losses.regulariser)
        assert float(losses.total) == pytest.approx(expected)


def _cells(side_px: int, seed: int) -> Iterator[tuple[int, torch.Tensor]]:
    """Side of a picture's cells and what is hidden of it, for 40 pictures."""
    hidden = hidden_places(40, side_px, np.random.default_rng(seed))
    rng = np.random.default_rng(seed)
    for picture in hidden[:, 0]:
        cell = round(int(rng.choice(CELL_SIDES_PX)) * side_px / 224)
        if cell:
            rng.random((math.ceil(side_px / cell),) * 2)
        yield cell, picture


def test_whole_cells_are_hidden_half_of_the_time() -> None:
    """Each cell is hidden or shown as a whole; pictures differ in their grids."""
    shares, sides = [], set()
    for cell, picture in _cells(112, seed=3):
        sides.add(cell)
        if cell == 0:
            assert not picture.any()
            continue
        for y in range(0, 112, cell):
            for x in range(0, 112, cell):
                assert len(picture[y : y + cell, x : x + cell].unique()) == 1
        shares.append(float(picture.float().mean()))
    assert sides == {0, 8, 16, 22, 28}
    assert np.mean(shares) == pytest.approx(0.5, abs=0.05)


def test_hidden_places_show_the_mean_colour() -> None:
    """What is hidden has the padding's colour, what is not is the picture; steps differ."""
    part, counts = _part()
    network = Averaging()
    for step in (0, 0, 1):
        hide_and_seek_losses(network, part, counts, CONFIG, step)
    colour = torch.tensor([1.0, 0.0, 0.2])[:, None, None].expand(3, 32, 32)
    hidden = (network.shown[2] == colour).all(dim=1, keepdim=True).expand(3, 3, 32, 32)
    assert hidden.any()
    assert torch.equal(network.shown[2][~hidden], part.batch.strong[~hidden])
    assert torch.equal(network.shown[0], network.shown[1])
    assert not torch.equal(network.shown[0], network.shown[2])


def test_erasing_takes_what_is_strong_of_what_is_there() -> None:
    """From 0.6 of a present map's range on, by hand; absent maps erase nothing."""
    images = torch.rand(2, 3, 4, 4)
    cams = torch.zeros(2, 2, 4, 4)
    cams[0, 0] = torch.linspace(-1, 2.03, 16).reshape(4, 4)
    cams[:, 1, 0, 0] = 5.0
    labels = torch.tensor([[1.0, 0], [0, 0]])
    colour = torch.tensor([0.1, 0.2, 0.3])[:, None, None]
    erased = erase(images, cams, labels, colour)
    for y in range(4):
        for x in range(4):
            strong = max(float(cams[0, 0, y, x]), 0) / 2.03 >= 0.6
            expected = colour[:, 0, 0] if strong else images[0, :, y, x]
            assert torch.equal(erased[0, :, y, x], expected)
    assert torch.equal(erased[1], images[1])


def test_the_second_pass_sees_what_was_not_erased() -> None:
    """After warm-up pictures that show a class pass again, and their loss is added."""
    part, counts = _part()
    network = Averaging()
    losses = adversarial_erasing_losses(network, part, counts, CONFIG, 0)
    again = network.shown[1]
    assert len(again) == 2
    changed = (again != part.batch.strong[:2]).any(dim=1)
    assert 0 < changed.float().mean() < 1
    logits = Averaging()(again).class_logits
    shown = dataclasses.replace(
        part.batch, labels=part.batch.labels[:2], known=part.batch.known[:2]
    )
    expected = _soft_margin(logits, shown) * 7 / 11  # 7 of the batch's 11 known labels
    assert float(losses.regulariser) == pytest.approx(expected, rel=1e-5)
    assert float(losses.total) == pytest.approx(float(losses[1] + losses[2]) + expected, rel=1e-5)
    waiting = dataclasses.replace(CONFIG, loss_warm_up_steps=1)
    before = adversarial_erasing_losses(network, part, counts, waiting, 0)
    assert float(before.regulariser) == 0


def test_maps_that_move_with_the_picture_cost_nothing() -> None:
    """A network that looks at single pixels of one colour a picture is equivariant."""
    part, counts = _part()
    flat = part.batch.strong.mean(dim=(2, 3), keepdim=True).expand_as(part.batch.strong)
    losses = equivariant_cam_losses(
        Averaging(), Part(dataclasses.replace(part.batch, strong=flat), None), counts, CONFIG, 0
    )
    assert float(losses.regulariser) == pytest.approx(0, abs=1e-5)


@pytest.mark.parametrize("step", range(4))
def test_the_regulariser_is_the_mean_absolute_difference(step: int) -> None:
    """By scalar loops over pictures, classes and places; scale and mirror follow the step."""
    part, counts = _part()
    network = Averaging()
    losses = equivariant_cam_losses(network, part, counts, CONFIG, step)
    side = network.shown[1].shape[-1] // 4
    assert 0.4 * 8 - 0.5 <= side <= 0.9 * 8 + 0.5
    mirrored = torch.equal(network.shown[1], move(part.batch.strong, side * 4, mirrored=True))
    assert mirrored or torch.equal(
        network.shown[1], move(part.batch.strong, side * 4, mirrored=False)
    )
    first = present_maps(Averaging()(network.shown[1]).cam, part.batch.labels)
    second = move(
        present_maps(Averaging()(part.batch.strong).cam, part.batch.labels), side, mirrored
    )
    total = 0.0
    for place in np.ndindex(*first.shape):
        total += abs(float(first[place]) - float(second[place]))
    assert float(losses.regulariser) == pytest.approx(total / first.numel(), rel=1e-4)
    added = float(losses.total - losses[1] - losses[2])
    assert added == pytest.approx(float(losses.regulariser), rel=1e-4)


def test_moving_mirrors_left_and_right() -> None:
    """At its own size a map is only mirrored; at half of it neighbours are averaged."""
    maps = torch.arange(4.0).expand(1, 1, 4, 4)
    assert move(maps, 4, mirrored=True)[0, 0, 0].tolist() == [3, 2, 1, 0]
    assert move(maps, 2, mirrored=True)[0, 0, 0].tolist() == [2.5, 0.5]
    assert move(maps, 2, mirrored=False)[0, 0, 0].tolist() == [0.5, 2.5]


def test_maps_of_absent_classes_are_left_out() -> None:
    """F is rectified, has a maximum of 1 where a class is there, and is 0 elsewhere."""
    cams = torch.tensor([[[[-2.0, 4.0]], [[3.0, 1.0]]]])
    found = present_maps(cams, torch.tensor([[1.0, 0.0]]))
    torch.testing.assert_close(found, torch.tensor([[[[0.0, 1.0]], [[0.0, 0.0]]]]))


@pytest.mark.parametrize("method", METHODS[1:])
def test_classifiers_learn_and_leave_the_decoder(
    tmp_path: Path, method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two steps move encoder and classifiers, not the decoder, and ask for no pseudo-labels."""
    config = TrainConfig(
        method=method, pretrained=None, views=ViewConfig(size_px=64), total_steps=2, batch_size=2,
        loss_warm_up_steps=0, rate_warm_up_steps=0,
    )  # fmt: skip
    trainer = Trainer(config, tmp_path)
    monkeypatch.delattr("hunique_training.pseudo_labels.assigner.Assigner.assign")
    before = {k: v.clone() for k, v in trainer.online.state_dict().items()}
    images = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(4))
    batch = Batch(
        weak=images, strong=images, labels=torch.tensor([[1.0, 0, 0, 1], [0, 0, 0, 0]]),
        known=torch.ones(2, 4).bool(), boxes=torch.tensor([[0, 64, 0, 64]] * 2),
    )  # fmt: skip
    steps = [trainer.train_step(batch) for _ in range(2)]
    assert torch.tensor(steps).isfinite().all()
    assert all(float(s.cam_to_segmentation) == 0 for s in steps)
    moved = {k for k, v in trainer.online.state_dict().items() if not torch.equal(v, before[k])}
    assert [name for name in moved if name.startswith("classifier.")]
    assert not [name for name in moved if name.startswith("decoder.")]
