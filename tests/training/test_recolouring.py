"""Features that come in any colour get another one, and nothing else does."""

import json

import numpy as np
import pytest

from hunique_training.config import TrainConfig
from hunique_training.data.views import ViewConfig
from hunique_training.second_stage.config import SecondStageConfig, second_stage
from hunique_training.second_stage.recolouring import recoloured
from hunique_training.second_stage.views import labelled_crop

SIDE = 128
SKIN, POLISH, GOLD = (200, 160, 140), (150, 30, 40), (190, 150, 60)


def _hand() -> tuple[np.ndarray, np.ndarray]:
    """Skin with a striped polished nail (2), an ignored edge around it, and a ring (1)."""
    pixels = np.full((SIDE, SIDE, 3), SKIN, np.uint8)
    labels = np.zeros((SIDE, SIDE), np.uint8)
    labels[39:71, 39:71] = 255
    labels[41:69, 41:69] = 2
    pixels[39:71, 39:71] = POLISH
    pixels[50:54, 41:69] = np.add(POLISH, 60)  # a highlight
    labels[90:100, 20:60] = 1
    pixels[90:100, 20:60] = GOLD
    return pixels, labels


def test_polish_alone_changes_its_colour() -> None:
    """Nail and its ignored edge become another colour; skin and ring stay."""
    pixels, labels = _hand()
    seen = recoloured(pixels, labels, (False, True), np.random.default_rng(0))
    far = np.ones((SIDE, SIDE), bool)
    far[35:75, 35:75] = False
    assert np.abs(seen[far].astype(int) - pixels[far]).max() <= 1  # what the way through Lab loses
    moved = np.abs(seen.astype(int) - pixels).sum(-1)
    assert moved[60, 60] > 30
    assert abs(int(moved[60, 40]) - int(moved[60, 60])) < 10  # the ignored edge as well


def test_highlights_stay() -> None:
    """What was lighter than the polish is lighter than the new one."""
    pixels, labels = _hand()
    for seed in range(8):
        seen = recoloured(pixels, labels, (False, True), np.random.default_rng(seed)).astype(int)
        assert seen[52, 55].sum() > seen[62, 55].sum()


def test_colours_are_drawn_anew() -> None:
    """Over a few draws each of red, green and blue leads."""
    pixels, labels = _hand()
    rng = np.random.default_rng(0)
    draws = [recoloured(pixels, labels, (False, True), rng)[60, 60] for _ in range(20)]
    assert {int(np.argmax(colour)) for colour in draws} == {0, 1, 2}


@pytest.mark.parametrize("any_colour", [(), (False, False)])
def test_nothing_changes_unless_told(any_colour: tuple[bool, ...]) -> None:
    """Without a class in any colour crops keep their colours."""
    pixels, labels = _hand()
    plain = ViewConfig(size_px=SIDE, scale_low=1, scale_high=1, quarter_turn_probability=0,
                       blur_probability=0)  # fmt: skip
    for seed in range(4):
        crop = labelled_crop(pixels, labels, plain, np.random.default_rng(seed), any_colour)
        mirrored = pixels[:, ::-1]
        assert np.array_equal(crop.weak, pixels) or np.array_equal(crop.weak, mirrored)


def test_crops_are_sometimes_recoloured() -> None:
    """About half of the crops with polish show another one, at the same labels."""
    pixels, labels = _hand()
    plain = ViewConfig(size_px=SIDE, scale_low=1, scale_high=1, quarter_turn_probability=0,
                       blur_probability=0)  # fmt: skip
    other = 0
    for seed in range(20):
        crop = labelled_crop(pixels, labels, plain, np.random.default_rng(seed), (False, True))
        nail = crop.weak[crop.labels == 2]
        other += bool(np.abs(nail.mean(axis=0) - pixels[labels == 2].mean(axis=0)).max() > 8)
    assert 5 <= other <= 15


def test_polish_of_hands_comes_in_any_colour_and_is_kept_in_the_configuration() -> None:
    """The preset of hands says so of polish; a configuration read back is the same."""
    config = second_stage("efficientnet_lite0", TrainConfig().network.class_names)
    flags = dict(zip(config.network.class_names, config.any_colour_classes, strict=True))
    assert [name for name, is_any in flags.items() if is_any] == ["polished_nail"]
    assert SecondStageConfig.from_dict(json.loads(config.to_json())) == config
