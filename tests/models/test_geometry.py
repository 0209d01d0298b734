"""Looks cover the picture, and their answers come together without seams and in place."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from hunique_models.geometry import (
    MAX_CANVAS_SIDE_PX,
    Detail,
    Geometry,
    Look,
    canvas_size,
    cut_look,
    merge_looks,
    plan_looks,
)

GEOMETRY = Geometry(input_size_px=64, output_stride_px=4)
CELLS = 16
DETAILS = list(Detail)


def _ramp(look: Look, length_px: int, axis: int) -> NDArray[np.uint8]:
    """A look's answer (1, 16, 16) where the truth rises from 0 to 255 along the picture."""
    start_px = look.x_px if axis == 1 else look.y_px
    centres_px = round(start_px) + (np.arange(CELLS) + 0.5) * 4 / look.scale
    values = np.clip(centres_px / length_px * 255, 0, 255)
    line = values[None, :] if axis == 1 else values[:, None]
    return np.rint(np.broadcast_to(line, (1, CELLS, CELLS))).astype(np.uint8)


@settings(max_examples=150, deadline=None, derandomize=True, database=None)
@given(height=st.integers(1, 30_000), width=st.integers(1, 30_000), detail=st.sampled_from(DETAILS))
def test_looks_cover_every_pixel(height: int, width: int, detail: Detail) -> None:
    """At every level each pixel lies in a look, whatever the picture's shape."""
    looks = plan_looks(height, width, GEOMETRY, detail)
    assert (looks[0].level, looks[0].x_px, looks[0].y_px) == (0, 0, 0)
    for level in {look.level for look in looks}:
        for length_px, starts in (
            (height, {look.y_px for look in looks if look.level == level}),
            (width, {look.x_px for look in looks if look.level == level}),
        ):
            side_px = 64 / next(look.scale for look in looks if look.level == level)
            edges = sorted(starts)
            assert edges[0] == 0
            assert edges[-1] + side_px >= length_px - 0.01
            assert all(b - a < side_px for a, b in pairwise(edges))
    assert len(looks) <= 1 + 9 + 49


@pytest.mark.parametrize(
    ("detail", "size_px", "levels"),
    [
        (Detail.FAST, (1000, 1000), {0}),
        (Detail.STANDARD, (1000, 1000), {0, 1}),
        (Detail.FINE, (1000, 1000), {0, 1, 2}),
        (Detail.FINE, (100, 100), {0, 1}),
        (Detail.FINE, (70, 70), {0}),
    ],
)
def test_closer_levels_need_pixels(
    detail: Detail, size_px: tuple[int, int], levels: set[int]
) -> None:
    """More detail is more levels, but never an enlargement of what the camera did not see."""
    looks = plan_looks(*size_px, GEOMETRY, detail)
    assert {look.level for look in looks} == levels
    assert all(look.scale <= 1 for look in looks)


def test_small_pictures_are_enlarged_within_reason() -> None:
    """A thumbnail is enlarged for the network, at most four times."""
    assert plan_looks(8, 10, GEOMETRY, Detail.FINE)[0].scale == 4
    assert plan_looks(32, 32, GEOMETRY, Detail.FINE)[0].scale == 2


def test_cut_look_shows_the_picture_and_pads() -> None:
    """The whole picture is shrunk to fit the square; beyond it is the pad value."""
    pixels = np.zeros((100, 200, 3), np.uint8)
    pixels[:, 100:] = (200, 100, 50)
    tile = cut_look(pixels, plan_looks(100, 200, GEOMETRY, Detail.FAST)[0], GEOMETRY)
    assert tile.shape == (64, 64, 3)
    assert (tile[:32, :31] == 0).all()
    assert (tile[:32, 33:] == (200, 100, 50)).all()
    assert (tile[32:] == GEOMETRY.pad_value).all()


@pytest.mark.parametrize("size_px", [(1, 1), (1, 4000), (4000, 1), (31, 5000)])
def test_extreme_shapes_are_looked_at(size_px: tuple[int, int]) -> None:
    """A picture of a single row or column is looked at like any other, and merged to its size."""
    pixels = np.full((*size_px, 3), 90, np.uint8)
    looks = plan_looks(*size_px, GEOMETRY, Detail.FINE)
    assert all((cut_look(pixels, look, GEOMETRY)[0, 0] == 90).all() for look in looks)
    answers = np.full((len(looks), 2, CELLS, CELLS), 7, np.uint8)
    merged = merge_looks(answers, looks, *size_px, GEOMETRY)
    assert merged.shape == (2, *canvas_size(*size_px))
    assert (merged == 7).all()


@pytest.mark.parametrize("detail", DETAILS)
@pytest.mark.parametrize("size_px", [(240, 333), (97, 1003), (3000, 2200)])
def test_constant_answers_merge_to_the_constant(size_px: tuple[int, int], detail: Detail) -> None:
    """Where every look says the same, the map says exactly that: no seams, no dark edges."""
    looks = plan_looks(*size_px, GEOMETRY, detail)
    for value in (0, 1, 100, 255):
        answers = np.full((len(looks), 2, CELLS, CELLS), value, np.uint8)
        assert (merge_looks(answers, looks, *size_px, GEOMETRY) == value).all()


@settings(max_examples=60, deadline=None, derandomize=True, database=None)
@given(height=st.integers(1, 3000), width=st.integers(1, 3000), detail=st.sampled_from(DETAILS))
def test_no_pixel_is_left_out(height: int, width: int, detail: Detail) -> None:
    """Whatever the sides, the last row and column are as sure as the others."""
    looks = plan_looks(height, width, GEOMETRY, detail)
    answers = np.full((len(looks), 1, CELLS, CELLS), 200, np.uint8)
    assert (merge_looks(answers, looks, height, width, GEOMETRY) == 200).all()


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


@pytest.mark.parametrize("side_px", range(320, 340))
def test_last_row_and_column_are_seen(side_px: int) -> None:
    """Tiles reach the edges of pictures whose sides are no multiple of anything."""
    pixels = np.zeros((side_px, side_px, 3), np.uint8)
    pixels[-1], pixels[:, -1] = 255, 255
    for level in (1, 2):
        looks = plan_looks(side_px, side_px, GEOMETRY, Detail.FINE)
        last = cut_look(pixels, [look for look in looks if look.level == level][-1], GEOMETRY)
        assert last[-1].min() > 60
        assert last[:, -1].min() > 60
