"""Answers of looks come together without seams, in place, and level by level as said."""

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from hunique_models.geometry import (
    OVERVIEW_LEVEL,
    Detail,
    Geometry,
    LevelMean,
    Look,
    plan_looks,
)
from hunique_models.merging import MAX_CANVAS_SIDE_PX, canvas_size, merge_looks

GEOMETRY = Geometry(input_size_px=64, output_stride_px=4)
FARTHER = Geometry(
    input_size_px=64,
    output_stride_px=4,
    overview_zoom=0.75,
    max_tile_zoom=2.0,
    level_mean=LevelMean.LOG_ODDS,
)
CELLS = 16
DETAILS = list(Detail)


def _counts(looks: Sequence[Look], seen_from_afar: Sequence[bool]) -> NDArray[np.bool_]:
    """Every look counts, the overview's for some classes alone."""
    return np.array([[s or look.level != OVERVIEW_LEVEL for s in seen_from_afar] for look in looks])


def _ramp(look: Look, length_px: int, axis: int) -> NDArray[np.uint8]:
    """A look's answer (1, 16, 16) where the truth rises from 0 to 255 along the picture."""
    start_px = look.x_px if axis == 1 else look.y_px
    centres_px = round(start_px) + (np.arange(CELLS) + 0.5) * 4 / look.scale
    values = np.clip(centres_px / length_px * 255, 0, 255)
    line = values[None, :] if axis == 1 else values[:, None]
    return np.rint(np.broadcast_to(line, (1, CELLS, CELLS))).astype(np.uint8)


@pytest.mark.parametrize("geometry", [GEOMETRY, FARTHER])
@pytest.mark.parametrize("detail", DETAILS)
@pytest.mark.parametrize("size_px", [(240, 333), (97, 1003), (3000, 2200), (40, 61)])
def test_constant_answers_merge_to_the_constant(
    size_px: tuple[int, int], detail: Detail, geometry: Geometry
) -> None:
    """Where every look says the same, the map says exactly that: no seams, no dark edges."""
    looks = plan_looks(*size_px, geometry, detail)
    for value in (0, 1, 100, 254, 255):
        answers = np.full((len(looks), 2, CELLS, CELLS), value, np.uint8)
        merged = merge_looks(answers, looks, *size_px, geometry, _counts(looks, (False, True)))
        assert (merged == value).all()


@settings(max_examples=60, deadline=None, derandomize=True, database=None)
@given(height=st.integers(1, 3000), width=st.integers(1, 3000), detail=st.sampled_from(DETAILS))
def test_no_pixel_is_left_out(height: int, width: int, detail: Detail) -> None:
    """Whatever the sides, the last row and column are as sure as the others."""
    looks = plan_looks(height, width, GEOMETRY, detail)
    answers = np.full((len(looks), 1, CELLS, CELLS), 200, np.uint8)
    assert (merge_looks(answers, looks, height, width, GEOMETRY) == 200).all()


def test_mean_of_log_odds_follows_the_level_that_is_sure() -> None:
    """One level's certainty outweighs another's doubt; a mean of probabilities splits them."""
    looks = [Look(x_px=0, y_px=0, scale=1, level=level) for level in (0, 1)]
    answers = np.stack([np.full((1, CELLS, CELLS), value, np.uint8) for value in (254, 90)])
    assert (merge_looks(answers, looks, 64, 64, GEOMETRY) == 172).all()
    odds = (254.5 / 1.5 * 90.5 / 165.5) ** 0.5
    expected = round(256 * odds / (1 + odds) - 0.5)
    assert (merge_looks(answers, looks, 64, 64, FARTHER) == expected).all()
    assert expected > 220


def test_overview_has_a_part_only_in_the_classes_that_want_it() -> None:
    """The other classes are what they are without an overview."""
    looks = plan_looks(64, 64, FARTHER, Detail.STANDARD)
    answers = np.stack([np.full((2, CELLS, CELLS), 40, np.uint8) for _ in looks])
    answers[[look.level == OVERVIEW_LEVEL for look in looks]] = 250
    without, with_overview = merge_looks(
        answers, looks, 64, 64, FARTHER, _counts(looks, (False, True))
    )
    assert (without == 40).all()
    assert (with_overview > 80).all()
    assert (merge_looks(answers, looks, 64, 64, FARTHER) == 40).all()


@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize("detail", DETAILS)
def test_ramps_merge_without_seams(detail: Detail, axis: int) -> None:
    """A slope across all tiles stays that slope: no steps, and nothing is shifted."""
    size_px = (420, 610)
    length_px = size_px[axis]
    looks = plan_looks(*size_px, GEOMETRY, detail)
    answers = np.stack([_ramp(look, length_px, axis) for look in looks])
    merged = merge_looks(answers, looks, *size_px, GEOMETRY)[0].astype(float)
    steps = np.abs(np.diff(merged, axis=axis))
    assert steps.max() <= 2
    assert np.abs(np.diff(merged, axis=1 - axis)).max() <= 1
    line = merged.mean(axis=1 - axis)
    truth = (np.arange(length_px) + 0.5) / length_px * 255
    inner = slice(length_px // 12, -length_px // 12)
    assert np.abs(line - truth)[inner].max() < 1.5


def test_large_pictures_are_merged_on_a_canvas() -> None:
    """Memory of the merged map is bounded, whatever the size of the picture."""
    assert canvas_size(300, 400) == (300, 400)
    assert canvas_size(6000, 12_000) == (MAX_CANVAS_SIDE_PX // 2, MAX_CANVAS_SIDE_PX)
    assert canvas_size(1, 30_000) == (1, MAX_CANVAS_SIDE_PX)
    looks = plan_looks(6000, 12_000, GEOMETRY, Detail.STANDARD)
    answers = np.stack([_ramp(look, 12_000, 1) for look in looks])
    merged = merge_looks(answers, looks, 6000, 12_000, GEOMETRY)[0]
    assert merged.shape == (1024, 2048)
    assert abs(float(merged[:, 1024].mean()) - 127.5) < 2
