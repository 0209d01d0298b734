"""Streaks of mirrored light are drawn beside what may be taken for them, and labels stay."""

import numpy as np

from hunique_training.config import TrainConfig
from hunique_training.data.views import ViewConfig
from hunique_training.second_stage.config import second_stage
from hunique_training.second_stage.glare import with_glare
from hunique_training.second_stage.views import Appearance, labelled_crop

SIDE = 128
LUNULE = 2


def _nail(row: int = 20, column: int = 20) -> tuple[np.ndarray, np.ndarray]:
    pixels = np.full((SIDE, SIDE, 3), (190, 130, 120), np.uint8)
    labels = np.zeros((SIDE, SIDE), np.uint8)
    labels[row : row + 8, column : column + 16] = LUNULE
    return pixels, labels


def test_streaks_are_light_and_cover_a_small_part() -> None:
    """Nothing becomes darker, something becomes clearly lighter, most of the picture stays."""
    pixels, labels = _nail(60, 60)
    for seed in range(20):
        lit = with_glare(pixels, labels, LUNULE, np.random.default_rng(seed)).astype(int) - pixels
        assert lit.min() >= 0
        assert (lit.sum(-1) > 6).mean() < 0.25


def test_streaks_lie_near_the_class_where_it_is_and_anywhere_else_otherwise() -> None:
    """The mean place of many is that of the half-moon, or the middle of the picture."""
    near, anywhere = [], []
    for seed in range(60):
        for number, places in ((LUNULE, near), (1, anywhere)):
            pixels, labels = _nail()
            lit = with_glare(pixels, labels, number, np.random.default_rng(seed))
            rows, columns = np.nonzero(lit.astype(int).sum(-1) > pixels.astype(int).sum(-1) + 20)
            if rows.size:
                places.append((rows.mean(), columns.mean()))
    assert np.abs(np.mean(near, axis=0) - (24, 28)).max() < 12
    assert np.abs(np.mean(anywhere, axis=0) - SIDE / 2).max() < 14


def test_crops_with_glare_keep_their_labels() -> None:
    """Some crops are lit, others not, and the half-moon's pixels are as many in all of them."""
    pixels, labels = _nail(60, 60)
    plain = ViewConfig(size_px=SIDE, scale_low=1, scale_high=1, quarter_turn_probability=0,
                       blur_probability=0)  # fmt: skip
    look = Appearance(like_glare=(False, True))
    crops = [
        labelled_crop(pixels, labels, plain, np.random.default_rng(seed), look)
        for seed in range(100)
    ]
    lit = [bool((crop.weak != pixels[0, 0]).any()) for crop in crops]
    assert 25 <= sum(lit) <= 60
    assert {int((crop.labels == LUNULE).sum()) for crop in crops} == {8 * 16}


def test_reflections_are_taken_for_half_moons() -> None:
    """The preset of hands says so of the lunule alone."""
    config = second_stage("efficientnet_lite0", TrainConfig().network.class_names)
    flags = dict(zip(config.network.class_names, config.appearance.like_glare, strict=True))
    assert [name for name, alike in flags.items() if alike] == ["lunule"]
