"""Hands that are small on a photograph are found, and looked at as pictures of their own."""

import dataclasses
import time
from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from hunique_models.bundle import Bundle
from hunique_models.engine import Engine, EngineOutput, open_engine
from hunique_models.findings import ClassFinding, Status
from hunique_models.geometry import OVERVIEW_LEVEL, Detail, Geometry, Look
from hunique_models.pipeline import Pipeline
from hunique_models.regions import (
    MAX_REGIONS,
    MAX_SIDE_SHARE,
    Region,
    examined_area_px,
    find_regions,
    lay_in,
)
from hunique_models.seeing import Seen, SeenRegion

GEOMETRY = Geometry(input_size_px=64, output_stride_px=1, hand_plane=True)
WHOLE = Look(x_px=0, y_px=0, scale=0.1, level=0)
"""Shows a picture of 640 px."""
Encode = Callable[..., bytes]


def _planes(*hands: tuple[int, int, int, int], sure: int = 250) -> NDArray[np.uint8]:
    """(1, 64, 64): a hand in each box of left, upper, right and lower edge."""
    plane = np.zeros((1, 64, 64), np.uint8)
    for left, upper, right, lower in hands:
        plane[0, upper:lower, left:right] = sure
    return plane


def _found(planes: NDArray[np.uint8]) -> tuple[Region, ...]:
    return find_regions(planes, [WHOLE], 640, 640, GEOMETRY)


def test_a_region_holds_its_hand_and_a_margin() -> None:
    """What was found lies in the middle of it, with something around, inside the picture."""
    (region,) = _found(_planes((20, 30, 30, 44)))
    assert 160 <= region.x_px <= 190
    assert 250 <= region.y_px <= 290
    assert 310 <= region.x_px + region.width_px <= 340
    assert 450 <= region.y_px + region.height_px <= 490
    (corner,) = _found(_planes((0, 56, 8, 64)))
    assert (corner.x_px, corner.y_px + corner.height_px) == (0, 640)


def test_nothing_to_gain_means_no_region() -> None:
    """No hand, specks, doubts, and hands that fill the picture are not looked at again."""
    assert _found(_planes()) == ()
    assert _found(_planes((20, 30, 21, 31))) == ()
    assert _found(_planes((20, 30, 30, 44), sure=60)) == ()
    side = round(64 * MAX_SIDE_SHARE)
    assert _found(_planes((4, 4, 4 + side, 40))) == ()


def test_the_surest_come_first_and_others_are_left() -> None:
    """Of very many the ones of most evidence are looked at; the order is theirs."""
    sizes = [2, 3, 4, 5, 6, 5, 4, 3, 2]
    boxes = [
        (2 + 20 * (n % 3), 2 + 20 * (n // 3), 2 + 20 * (n % 3) + size, 8 + 20 * (n // 3))
        for n, size in enumerate(sizes)
    ]
    found = _found(_planes(*boxes))
    assert len(found) == MAX_REGIONS < len(sizes)
    widths = [region.width_px for region in found]
    assert widths == sorted(widths, reverse=True)


def test_noise_takes_no_time() -> None:
    """Thousands of areas, each beside the next, are neither compared nor joined one by one."""
    plane = np.zeros((1, 256, 256), np.uint8)
    for column in range(0, 249, 7):
        plane[0, ::2, column : column + 6] = 250
    look = Look(x_px=0, y_px=0, scale=0.1, level=0)
    geometry = dataclasses.replace(GEOMETRY, input_size_px=256)
    started_s = time.monotonic()
    find_regions(plane, [look], 2560, 2560, geometry)
    assert time.monotonic() - started_s < 5


def test_two_parts_of_one_hand_are_one_region() -> None:
    """Fingers apart from their palm are looked at together; hands far apart are not."""
    (together,) = _found(_planes((20, 30, 30, 40), (31, 30, 41, 40)))
    assert together.x_px <= 200
    assert together.x_px + together.width_px >= 410
    assert len(_found(_planes((2, 30, 10, 40), (50, 30, 58, 40)))) == 2


def test_hands_are_looked_for_from_far() -> None:
    """The overview and tiles from near do not tell: there skin is a hand's or a face's."""
    planes = np.concatenate([_planes((20, 30, 30, 44)), _planes((0, 0, 20, 20))])
    for level in (OVERVIEW_LEVEL, 2):
        near = Look(x_px=0, y_px=0, scale=0.1, level=level)
        alone = find_regions(planes[:1], [WHOLE], 640, 640, GEOMETRY)
        assert find_regions(planes, [WHOLE, near], 640, 640, GEOMETRY) == alone
    tile = Look(x_px=0, y_px=0, scale=0.1, level=1)
    assert find_regions(planes, [WHOLE, tile], 640, 640, GEOMETRY) != alone


@pytest.fixture
def pipeline(hand_finding_bundle: Bundle) -> Pipeline:
    """Of a model that finds hands."""
    return Pipeline(hand_finding_bundle.manifest)


@pytest.fixture(scope="module")
def engine(hand_finding_bundle: Bundle) -> Engine:
    """Its engine."""
    return open_engine(hand_finding_bundle)


def _tattoo(pipeline: Pipeline, engine: Engine, data: bytes, detail: Detail) -> ClassFinding:
    return pipeline.segment(data, engine, detail).findings[0]


def test_a_mark_on_a_small_hand_is_found(
    pipeline: Pipeline, engine: Engine, encode: Encode, mark_on_a_small_hand: NDArray[np.uint8]
) -> None:
    """It lies where it is and is as large; without the hand plane nobody sees it."""
    data = encode(mark_on_a_small_hand)
    found = _tattoo(pipeline, engine, data, Detail.STANDARD)
    assert found.status is Status.PRESENT
    (instance,) = found.instances
    x, y, width, height = instance.mask.box
    assert 436 <= x <= 442
    assert 126 <= y <= 132
    assert 452 <= x + width <= 460
    assert 142 <= y + height <= 150
    assert _tattoo(pipeline, engine, data, Detail.FAST).status is Status.ABSENT
    blind = dataclasses.replace(pipeline.manifest.geometry, hand_plane=False)
    without = Pipeline(dataclasses.replace(pipeline.manifest, geometry=blind))
    assert _tattoo(without, engine, data, Detail.STANDARD).status is Status.ABSENT


def test_small_pictures_are_seen_once(
    pipeline: Pipeline, engine: Engine, mark_on_a_small_hand: NDArray[np.uint8]
) -> None:
    """Where the first looks show every pixel there are no others."""
    small = np.full((150, 150, 3), 128, np.uint8)
    small[60:100, 60:100] = (0, 255, 255)
    looks = pipeline.look_at(small)
    assert pipeline.see(small, looks, engine).look_count == len(looks.looks)
    looks = pipeline.look_at(mark_on_a_small_hand)
    seen = pipeline.see(mark_on_a_small_hand, looks, engine)
    (region,) = seen.regions
    assert region.holds(440, 140)
    own = pipeline.look_at(region.cut(mark_on_a_small_hand))
    assert seen.look_count == len(looks.looks) + len(own.looks)


def test_the_score_is_that_of_the_surest_look(
    pipeline: Pipeline, engine: Engine, mark_on_a_small_hand: NDArray[np.uint8]
) -> None:
    """A feature that only a close look shows is still on the picture."""
    seen = pipeline.see(mark_on_a_small_hand, pipeline.look_at(mark_on_a_small_hand), engine)
    far, near = seen.part_scores()[:, 0]
    assert far < 0.5 < near
    assert seen.scores()[0] == near


def test_what_only_looks_like_it_elsewhere_is_left_out(
    pipeline: Pipeline, engine: Engine, mark_on_a_small_hand: NDArray[np.uint8]
) -> None:
    """Where a hand has the mark, faint red of the wall is none; without a hand it may be one."""
    pixels = mark_on_a_small_hand.copy()
    pixels[300:400, 100:200] = (160, 30, 30)
    seen = pipeline.see(pixels, pipeline.look_at(pixels), engine)
    merged = pipeline.merge(seen, pixels)
    assert merged[0, 320:380, 120:180].max() == 0
    assert merged[0, 136:140, 446:450].min() > 128
    alone = pipeline.merge(dataclasses.replace(seen, closer=()), pixels)
    assert alone[0, 340:360, 140:160].min() > 40


def test_what_only_looks_like_it_on_another_hand_is_left_out(
    pipeline: Pipeline, engine: Engine, mark_on_a_small_hand: NDArray[np.uint8]
) -> None:
    """Each hand must show it by itself once one does."""
    pixels = mark_on_a_small_hand.copy()
    pixels[300:380, 100:180] = (0, 255, 255)
    pixels[320:352, 124:156] = (160, 30, 30)
    seen = pipeline.see(pixels, pipeline.look_at(pixels), engine)
    assert len(seen.regions) == 2
    assert pipeline.merge(seen, pixels)[0, 300:380, 100:180].max() == 0
    faint = [part for part in seen.closer if part.region.holds(140, 340)]
    alone = pipeline.merge(dataclasses.replace(seen, closer=tuple(faint)), pixels)
    assert alone[0, 332:340, 136:144].min() > 40


def test_a_region_without_the_feature_clears_its_place(
    pipeline: Pipeline, engine: Engine, mark_on_a_small_hand: NDArray[np.uint8]
) -> None:
    """What all of the picture suggests and the look from near does not see is not there."""
    looks = pipeline.look_at(mark_on_a_small_hand)
    seen = pipeline.see(mark_on_a_small_hand, looks, engine)
    everywhere = EngineOutput(
        np.full_like(seen.output.probability, 200), np.ones_like(seen.output.score)
    )
    merged = pipeline.merge(dataclasses.replace(seen, output=everywhere), mark_on_a_small_hand)
    assert merged[1, 400, 100] == 200
    assert merged[1, 140, 440] == 0


def test_a_hand_without_the_feature_leaves_what_its_neighbour_shows(
    pipeline: Pipeline, engine: Engine
) -> None:
    """Regions have a fifth in common; whichever is surer, the one that sees it has the last word."""
    pixels = np.full((640, 640, 3), 128, np.uint8)
    pixels[150:200, 264:280] = (255, 0, 0)
    looks = pipeline.look_at(pixels)
    left, right = (Region(x_px=x_px, y_px=100, width_px=200, height_px=200) for x_px in (100, 262))
    assert left.x_px + left.width_px - right.x_px > 0.18 * left.width_px
    sees, blind = (_seen_region(pipeline, engine, pixels, region) for region in (left, right))
    nothing = EngineOutput(
        np.zeros_like(blind.output.probability), np.zeros_like(blind.output.score)
    )
    blind = dataclasses.replace(blind, output=nothing)
    seen = Seen(looks=looks.looks, output=engine.run(looks.tiles), closer=(sees, blind))
    merged = pipeline.merge(seen, pixels)
    assert merged[0, 160:190, 268:276].min() > 128
    turned = dataclasses.replace(seen, closer=(blind, sees))
    np.testing.assert_array_equal(merged, pipeline.merge(turned, pixels))


def _seen_region(
    pipeline: Pipeline, engine: Engine, pixels: NDArray[np.uint8], region: Region
) -> SeenRegion:
    own = pipeline.look_at(region.cut(pixels))
    return SeenRegion(region=region, looks=own.looks, output=engine.run(own.tiles))


def test_regions_are_laid_in_without_seams() -> None:
    """Inside it is the region's, outside the picture's, and between neither jumps."""
    planes, own = np.full((2, 100, 200), 40, np.uint8), np.full((2, 60, 60), 240, np.uint8)
    region = Region(x_px=80, y_px=40, width_px=120, height_px=120)
    lay_in(planes, own, region, (200, 400))
    assert (planes[:, 45:55, 60:80] == 240).all()
    assert (planes[:, :20] == 40).all()
    assert (planes[:, :, 100:] == 40).all()
    steps = np.abs(np.diff(planes[0].astype(int), axis=1))
    assert steps.max() <= 40
    edge = np.full((1, 100, 200), 40, np.uint8)
    lay_in(edge, own[:1], Region(x_px=0, y_px=0, width_px=120, height_px=120), (200, 400))
    assert (edge[0, :40, :40] == 240).all()


def test_smallness_is_measured_by_what_was_looked_at() -> None:
    """A ring of a hand is no speck because the photograph is large."""
    regions = [Region(x_px=100, y_px=100, width_px=50, height_px=40)]
    assert examined_area_px(120, 120, regions, (1000, 2000)) == 2000
    assert examined_area_px(150, 120, regions, (1000, 2000)) == 2_000_000
    assert examined_area_px(99, 120, regions, (1000, 2000)) == 2_000_000
    around = Region(x_px=0, y_px=0, width_px=500, height_px=500)
    assert examined_area_px(120, 120, [around, *regions], (1000, 2000)) == 2000


def test_specks_of_the_picture_that_are_features_of_a_hand_stay(
    pipeline: Pipeline, engine: Engine, encode: Encode, mark_on_a_small_hand: NDArray[np.uint8]
) -> None:
    """The least area counts in shares of the region that was looked at."""
    share = 2 * 256 / mark_on_a_small_hand[..., 0].size
    classes = tuple(
        dataclasses.replace(spec, min_area_share=share) for spec in pipeline.manifest.classes
    )
    strict = Pipeline(dataclasses.replace(pipeline.manifest, classes=classes))
    data = encode(mark_on_a_small_hand)
    assert _tattoo(strict, engine, data, Detail.STANDARD).status is Status.PRESENT
