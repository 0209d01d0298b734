"""Drawn hands are repeatable, and their masks say exactly what can be seen."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from hunique_models.drawn import CLASS_NAMES, VIEWS, draw_hand
from hunique_models.drawn.__main__ import main
from hunique_models.feature_classes import FEATURE_CLASSES

SIZE_PX = (120, 160)


def test_classes_are_those_of_the_default_model() -> None:
    """What is drawn has the names and the order of the model's channels."""
    assert tuple(known.name for known in FEATURE_CLASSES) == CLASS_NAMES


@pytest.mark.parametrize("seed", range(4))
def test_same_seed_same_bytes(seed: int) -> None:
    """A drawn hand can be drawn again, to the byte; another seed gives another."""
    first, second = draw_hand(seed, size_px=SIZE_PX), draw_hand(seed, size_px=SIZE_PX)
    assert first.pixels.tobytes() == second.pixels.tobytes()
    assert first.view == second.view
    for name in CLASS_NAMES:
        np.testing.assert_array_equal(first.masks[name], second.masks[name])
    assert draw_hand(seed + 1, size_px=SIZE_PX).pixels.tobytes() != first.pixels.tobytes()


@pytest.mark.parametrize("seed", range(12))
def test_masks_agree_with_labels(seed: int) -> None:
    """A class is on the picture if and only if its mask has pixels, and masks have its size."""
    hand = draw_hand(seed, size_px=SIZE_PX)
    assert (hand.pixels.shape, hand.pixels.dtype) == ((*SIZE_PX, 3), np.uint8)
    assert tuple(hand.masks) == CLASS_NAMES
    for name, mask in hand.masks.items():
        assert (mask.shape, mask.dtype) == (SIZE_PX, np.bool_)
        assert hand.labels[name] == mask.any()
    assert hand.view in VIEWS


@pytest.mark.parametrize("feature", CLASS_NAMES)
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_what_is_asked_for_is_drawn_and_no_more(feature: str, seed: int) -> None:
    """One feature asked for is on the hand, the others are not."""
    hand = draw_hand(seed, size_px=(240, 320), features={feature}, view="hand")
    assert hand.labels == {name: name == feature for name in CLASS_NAMES}


@pytest.mark.parametrize("feature", ["tattoo", "ring", "polished_nail"])
def test_feature_changes_the_picture_where_its_mask_is(feature: str) -> None:
    """With and without a feature, the pictures differ under the mask and hardly elsewhere."""
    bare = draw_hand(2, size_px=(240, 320), features=set(), view="hand").pixels.astype(int)
    hand = draw_hand(2, size_px=(240, 320), features={feature}, view="hand")
    difference = np.abs(hand.pixels - bare).mean(axis=2)
    mask = hand.masks[feature]
    assert difference[mask].mean() > 10 * difference[~mask].mean()


def test_polish_covers_the_lunule() -> None:
    """A nail that is polished shows no lunule, even if both are asked for."""
    hand = draw_hand(3, size_px=SIZE_PX, features={"lunule", "polished_nail"})
    assert hand.labels["polished_nail"]
    assert not hand.labels["lunule"]


def test_close_up_shows_no_ring() -> None:
    """In a close-up of a nail no ring or tattoo is in sight, whatever was asked for."""
    hand = draw_hand(3, size_px=SIZE_PX, features=set(CLASS_NAMES), view="close-up")
    assert hand.view == "close-up"
    assert not hand.labels["ring"]
    assert not hand.labels["tattoo"]


@pytest.mark.parametrize(
    ("wish", "words"),
    [
        ({"features": {"scar"}}, "scar"),
        ({"view": "palm"}, "palm"),
        ({"size_px": (16, 200)}, "32"),
    ],
)
def test_impossible_wishes_are_refused(wish: dict[str, object], words: str) -> None:
    """An unknown feature or view and a picture too small are refused by name."""
    with pytest.raises(ValueError, match=words):
        draw_hand(1, **wish)  # type: ignore[arg-type]


def test_command_writes_a_picture(tmp_path: Path) -> None:
    """`python -m hunique_models.drawn` writes the hand of its seed and says what is on it."""
    path = tmp_path / "new" / "hand.png"
    arguments = ["--seed", "3", "--feature", "ring", "--view", "hand", "--out", str(path)]
    done = subprocess.run(
        [sys.executable, "-m", "hunique_models.drawn", *arguments],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert "ring" in done.stdout
    with Image.open(path) as image:
        expected = draw_hand(3, features={"ring"}, view="hand").pixels
        np.testing.assert_array_equal(np.asarray(image), expected)


def test_command_explains_unwritable_formats(tmp_path: Path) -> None:
    """An ending that is no picture's gives a sentence and no traceback."""
    ran = CliRunner().invoke(main, ["--out", str(tmp_path / "hand.xyz")])
    assert ran.exit_code == 1
    assert "cannot write" in ran.output
