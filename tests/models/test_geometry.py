"""Looks cover the picture, closer or farther as its pixels and the geometry allow."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hunique_models.geometry import OVERVIEW_LEVEL, Detail, Geometry, cut_look, plan_looks
from hunique_models.merging import canvas_size, merge_looks

GEOMETRY = Geometry(input_size_px=64, output_stride_px=4)
CELLS = 16
DETAILS = list(Detail)


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
    assert len(looks) <= 1 + 9 + 36 + 121


@pytest.mark.parametrize(("detail", "most"), [("fast", 1), ("standard", 11), ("fine", 168)])
def test_looks_are_at_most_as_many_as_pages_say(detail: str, most: int) -> None:
    """As the bundled model looks; a square of this side has the most (docs/client.md)."""
    geometry = Geometry(overview_zoom=5 / 7, max_tile_zoom=2.0)
    assert len(plan_looks(3546, 3546, geometry, Detail(detail))) == most


@pytest.mark.parametrize(
    ("detail", "size_px", "levels"),
    [
        (Detail.FAST, (1000, 1000), {0}),
        (Detail.STANDARD, (1000, 1000), {0, 1}),
        (Detail.FINE, (1000, 1000), {0, 1, 2, 3}),
        (Detail.FINE, (300, 300), {0, 1, 2}),
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


def test_tiles_enlarge_small_pictures_where_the_geometry_says_so() -> None:
    """Up to its zoom tiles show more input pixels than the picture has; thumbnails need none."""
    zooming = Geometry(input_size_px=64, output_stride_px=4, max_tile_zoom=2.0)
    looks = plan_looks(64, 64, zooming, Detail.STANDARD)
    assert {(look.level, look.scale) for look in looks} == {(0, 1.0), (1, 2.0)}
    assert len(plan_looks(64, 64, GEOMETRY, Detail.STANDARD)) == 1
    assert max(look.scale for look in plan_looks(50, 50, zooming, Detail.FINE)) == 2.0
    fine = {(look.level, look.scale) for look in plan_looks(256, 256, zooming, Detail.FINE)}
    assert fine == {(0, 0.25), (1, 0.5), (2, 1.0)}  # the closest never enlarge
    assert len(plan_looks(32, 32, zooming, Detail.FINE)) == 1


def test_overview_is_the_whole_picture_made_smaller() -> None:
    """One look more, second in order, except where speed was asked for."""
    geometry = Geometry(input_size_px=64, output_stride_px=4, overview_zoom=0.75)
    whole, overview = plan_looks(64, 48, geometry, Detail.STANDARD)
    assert (whole.level, whole.scale) == (0, 1.0)
    assert (overview.level, overview.scale) == (OVERVIEW_LEVEL, 0.75)
    tile = cut_look(np.full((64, 48, 3), 9, np.uint8), overview, geometry)
    assert (tile[:48, :36] == 9).all()
    assert (tile[48:] == geometry.pad_value).all()
    assert len(plan_looks(64, 48, geometry, Detail.FAST)) == 1


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
