"""Where hands are, learned from pictures with hands and pictures without."""

import csv
import dataclasses
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from click.testing import CliRunner
from numpy.typing import NDArray

from hunique_training.checkpoint import (
    ClassOperatingPoint,
    ModelCheckpoint,
    load_model,
    save_model,
)
from hunique_training.cli import main
from hunique_training.evaluation.torch_engine import TorchEngine
from hunique_training.hand_map.composing import Composed, compose
from hunique_training.hand_map.fitting import MIN_OTHERS, take_up
from hunique_training.hand_map.loss import cells_of, hand_map_loss
from hunique_training.manifest import manifest_of
from hunique_training.network.cosa import CosaNetwork, NetworkConfig

HAND = np.full((40, 30, 3), (250, 10, 10), np.uint8)
OTHER = np.full((50, 50, 3), (10, 200, 10), np.uint8)
Pixels = NDArray[np.uint8]


def _composed(count: int = 60) -> list[Composed]:
    return [compose([[HAND]], [OTHER], 64, np.random.default_rng(seed)) for seed in range(count)]


def test_hands_are_put_where_the_box_says() -> None:
    """Half of the squares have one, of any size, and nothing of it lies beside its box."""
    squares = _composed()
    assert 18 <= sum(one.has_hand for one in squares) <= 42
    for one in squares:
        left, upper, right, lower = one.box
        assert 0 <= left < right <= 64
        assert 0 <= upper < lower <= 64
        inside = np.zeros((64, 64), bool)
        inside[upper:lower, left:right] = True
        greenish = (np.abs(one.pixels.astype(int) - OTHER[0, 0]) <= 1).all(axis=-1)
        if not greenish[~inside].any():
            continue  # before a plain colour
        assert greenish[~inside].all()
        assert greenish[inside].all() != one.has_hand
    sides = [max(one.box[2] - one.box[0], one.box[3] - one.box[1]) for one in squares]
    assert min(sides) < 16
    assert max(sides) > 48


def test_kinds_are_as_likely_as_each_other() -> None:
    """One arm counts as much as a hundred nails."""
    arm, nail = np.full((40, 30, 3), 250, np.uint8), np.full((40, 30, 3), 5, np.uint8)
    squares = [
        compose([[nail] * 100, [arm]], [OTHER], 64, np.random.default_rng(seed))
        for seed in range(80)
    ]
    middles = [
        int(one.pixels[sum(one.box[1::2]) // 2, sum(one.box[::2]) // 2, 0])
        for one in squares
        if one.has_hand
    ]
    arms = sum(value > 200 for value in middles)
    assert 0.3 < arms / len(middles) < 0.7


def test_a_square_follows_from_its_generator() -> None:
    """The same numbers give the same square, so runs can be repeated."""
    first, again = (compose([[HAND]], [OTHER], 64, np.random.default_rng(5)) for _ in range(2))
    np.testing.assert_array_equal(first.pixels, again.pixels)
    assert first.box == again.box


def test_cells_are_those_that_a_box_touches() -> None:
    """Cells of 16 px: a box of 10 to 20 touches two, one that ends at 16 does not touch the next."""
    touched = cells_of((10, 16, 20, 32), 64, 4)
    assert touched.nonzero().tolist() == [[1, 0], [1, 1]]


def _square(has_hand: bool) -> Composed:
    return Composed(pixels=np.zeros((64, 64, 3), np.uint8), has_hand=has_hand, box=(0, 0, 32, 32))


@pytest.mark.parametrize("has_hand", [True, False])
def test_loss_falls_where_hands_are_and_others_are_not(has_hand: bool) -> None:
    """Gradients raise the surest places of a picture of a hand and lower all that are none."""
    logits = torch.linspace(-0.5, 0.5, 16).reshape(1, 4, 4).requires_grad_()
    hand_map_loss(logits, [_square(has_hand)]).backward()  # type: ignore[no-untyped-call]
    assert logits.grad is not None
    inside = logits.grad[0, :2, :2].flatten()
    assert (logits.grad[0, 2:] > 0).all()
    if has_hand:
        assert (inside[2:] < 0).all()  # the surest two of four
        assert (inside[:2] == 0).all()
    else:
        assert (inside > 0).all()


def test_loss_is_the_mean_of_squares() -> None:
    """Each counts alike, whatever else is in the batch."""
    logits = torch.randn(2, 4, 4, generator=torch.Generator().manual_seed(0))
    squares = [_square(True), _square(False)]
    single = [hand_map_loss(logits[i : i + 1], squares[i : i + 1]) for i in (0, 1)]
    assert torch.isclose(hand_map_loss(logits, squares), torch.stack(single).mean())


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A model of two classes that knows the shapes of the world and nothing of hands."""
    torch.manual_seed(0)
    config = NetworkConfig(class_names=("tattoo", "ring"), cam_head="final")
    network = CosaNetwork(config, "package").eval()
    path = tmp_path / "before" / "model.pt"
    path.parent.mkdir()
    point = ClassOperatingPoint(presence_threshold=0.3, pixel_threshold=0.2)
    points = dict.fromkeys(config.class_names, point)
    save_model(path, ModelCheckpoint(network=network, operating_point=points, input_size_px=128))
    return path


def _write_data(folder: Path, others: int) -> None:
    """Red disks pass for hands, among pictures of green squares."""
    rng = np.random.default_rng(0)
    rows = []
    for number in range(12 + others):
        is_other = number >= 12
        pixels = rng.integers(90, 130, (64, 64, 3)).astype(np.uint8)
        if is_other:
            cv2.rectangle(pixels, (16, 16), (48, 48), (20, 220, 20), -1)
        else:
            cv2.circle(pixels, (32, 32), 26, (20, 20, 240), -1)  # BGR
        cv2.imwrite(str(folder / f"{number}.png"), pixels)
        rows.append({"file": f"{number}.png", "tattoo": 0, "ring": 0, "split": "train",
                     "kind": "background" if is_other else "hand", "group": number})  # fmt: skip
    with (folder / "labels.csv").open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def _fit(model: Path, data: Path, out: Path, *more: str) -> str:
    words = ["fit-hand-map", str(model), "--data", str(data), "--out", str(out), *more]
    ended = CliRunner().invoke(main, words)
    return ended.output if ended.exit_code else ""


def test_a_model_learns_where_hands_are(tmp_path: Path, model: Path) -> None:
    """Afterwards its last plane shows a hand where there is one; the rest answers as before."""
    data = tmp_path / "data"
    data.mkdir()
    _write_data(data, MIN_OTHERS)
    before = model.read_bytes()
    assert _fit(model, data, tmp_path / "after", "--steps", "150") == ""
    assert model.read_bytes() == before
    first, taught = load_model(model), load_model(tmp_path / "after" / "model.pt")
    assert (manifest_of(first).geometry.hand_plane, manifest_of(taught).geometry.hand_plane) == (
        False,
        True,
    )
    assert taught.operating_point == first.operating_point
    facts = taught.training["hand_map"]
    assert (facts["pictures_with_hands"], facts["pictures_without"]) == (12, MIN_OTHERS)
    look = np.full((128, 128, 3), 110, np.uint8)
    cv2.circle(look, (28, 28), 24, (240, 20, 20), -1)
    cv2.rectangle(look, (84, 84), (124, 124), (20, 220, 20), -1)
    answers = [TorchEngine(one.network).run(look[None]) for one in (first, taught)]
    np.testing.assert_array_equal(answers[0].score, answers[1].score)
    np.testing.assert_array_equal(answers[0].probability, answers[1].probability[:, :-1])
    hand = answers[1].probability[0, -1].astype(int)
    assert hand[4:10, 4:10].mean() > hand[22:30, 22:30].mean() + 60


def test_the_map_is_drawn_as_it_was_taught() -> None:
    """What a head says of features in units of their deviation it says of them as they are."""
    head = torch.nn.Conv2d(3, 1, 1)
    features, deviation = (
        torch.randn(2, 3, 4, 4),
        torch.tensor([0.2, 1.5, 7.0])[None, :, None, None],
    )
    with torch.no_grad():
        taught = head(features / deviation)
        take_up(head, deviation)
        assert torch.allclose(head(features), taught, atol=1e-5)


def test_the_same_again_is_the_same(tmp_path: Path, model: Path) -> None:
    """Everything random follows from the seed."""
    data = tmp_path / "data"
    data.mkdir()
    _write_data(data, MIN_OTHERS)
    weights = []
    for name in ("a", "b"):
        _fit(model, data, tmp_path / name, "--steps", "3")
        weights.append(load_model(tmp_path / name / "model.pt").network.hand_map_head().weight)
    assert torch.equal(*weights)


def test_too_few_pictures_without_hands(tmp_path: Path, model: Path) -> None:
    """It is said with numbers, and nothing is written; or the model is kept as it is."""
    data = tmp_path / "data"
    data.mkdir()
    _write_data(data, MIN_OTHERS - 1)
    said = _fit(model, data, tmp_path / "after", "--steps", "3")
    assert f"at least {MIN_OTHERS} without" in said
    assert f"found 12 and {MIN_OTHERS - 1}" in said
    assert not (tmp_path / "after" / "model.pt").exists()
    assert _fit(model, data, tmp_path / "after", "--steps", "3", "--if-possible") == ""
    kept = load_model(tmp_path / "after" / "model.pt")
    assert not kept.network.config.hand_map


def test_the_model_is_not_written_over(tmp_path: Path, model: Path) -> None:
    """Its own folder is refused, by whatever name."""
    before = model.read_bytes()
    said = _fit(model, tmp_path, tmp_path / "x" / ".." / model.parent.name)
    assert "expected another --out folder" in said
    assert model.read_bytes() == before


def test_other_classes_begin_without_a_hand_map() -> None:
    """It belongs to trained features, and a new training begins with others."""
    config = dataclasses.replace(NetworkConfig(), hand_map=True)
    assert not config.for_classes(("cat",)).hand_map
