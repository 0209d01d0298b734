"""Borders that move to where a picture's colours change."""

import cv2
import numpy as np
import pytest

from hunique_models.colour_refinement import (
    MIN_STEP,
    ColourRefinement,
    along_colours,
    colour_odds,
    guide,
    refine,
)

SKIN, POLISH, PALE = (205, 150, 120), (150, 20, 60), (225, 185, 165)
ALONG = ColourRefinement()
HALF = 128


def _scene(
    colour: tuple[int, int, int], side: int = 160, grain: int = 4
) -> tuple[np.ndarray, np.ndarray]:
    """Skin with a disc of a colour, grained, and where the disc is."""
    rows, columns = np.indices((side, side))
    disc = np.hypot(rows - side / 2, columns - side / 2) < side / 5
    pixels = np.where(disc[..., None], colour, SKIN)
    grained = pixels + np.random.default_rng(0).integers(-grain, grain + 1, pixels.shape)
    return np.clip(grained, 0, 255).astype(np.uint8), disc


def _map(mask: np.ndarray, blur_px: float, high: int = 220, low: int = 10) -> np.ndarray:
    """What a coarse network makes of a mask."""
    soft = cv2.GaussianBlur(mask.astype(np.float32), (0, 0), blur_px)
    return np.rint(low + (high - low) * soft).astype(np.uint8)


def _iou(plane: np.ndarray, truth: np.ndarray, threshold: int = HALF) -> float:
    found = plane >= threshold
    return float((found & truth).sum() / (found | truth).sum())


def test_border_moves_to_the_colour_edge() -> None:
    """A map that is too wide is drawn in to the disc."""
    pixels, disc = _scene(POLISH)
    wide = _map(cv2.dilate(disc.astype(np.uint8), np.ones((9, 9), np.uint8)) > 0, 4)
    refined = refine(wide[None], pixels, [ALONG])[0]
    assert _iou(wide, disc) < 0.8
    assert _iou(refined, disc) > 0.9


def test_without_an_edge_the_border_stays() -> None:
    """On a surface of one colour nothing says that the network was wrong."""
    pixels, disc = _scene(SKIN)
    soft = _map(disc, 4)
    assert _iou(refine(soft[None], pixels, [ALONG])[0], soft >= HALF) > 0.9


def test_colour_odds_find_the_rest_of_a_feature() -> None:
    """Half of the disc was found; the other half has its colour, and no other place has."""
    pixels, disc = _scene(POLISH)
    half = disc & (np.indices(disc.shape)[1] < disc.shape[1] / 2 + 4)
    plane = _map(half, 3)
    along = refine(plane[None], pixels, [ALONG])[0]
    with_odds = refine(plane[None], pixels, [ColourRefinement(colour_weight=1.5)])[0]
    assert _iou(along, disc) < 0.75
    assert _iou(with_odds, disc) > 0.9


def test_colour_odds_take_nothing_from_a_likelier_feature() -> None:
    """A red stone stays the ring's, though the polish beside it has its colour."""
    pixels, disc = _scene(POLISH)
    stone, nail = _map(disc, 3, high=200), _map(disc, 3, high=120)
    odds = ColourRefinement(colour_weight=1.5)
    ring, polish = refine(np.stack([stone, nail]), pixels, [ALONG, odds])
    inner = cv2.erode(disc.astype(np.uint8), np.ones((9, 9), np.uint8)) > 0
    assert (ring[inner] > polish[inner]).all()
    (alone,) = refine(nail[None], pixels, [odds])
    assert (alone[inner] > ring[inner]).all()


def test_colours_near_the_features_speak_for_it_alike() -> None:
    """One step off in lightness, green to red or blue to yellow; a far colour speaks against it."""
    steps = ((8, 8, 8), (9, 8, 8), (8, 9, 8), (8, 8, 9), (2, 3, 4))
    feature, *near, far = ((lightness * 16 + a) * 16 + b for lightness, a, b in steps)
    bins = np.full((9, 9), far)
    bins[:3] = feature
    bins[8, :3] = near
    log_odds = np.where(bins == feature, 5.0, -5.0).astype(np.float32)
    odds = colour_odds(bins, log_odds, near_px=9)
    assert odds[0, 0] > 1
    assert odds[5, 5] < -1
    assert (odds[8, :3] > 0).all()
    assert np.ptp(odds[8, :3]) < 0.01


def test_grain_leaves_no_specks() -> None:
    """Single pixels of the feature's colour are no features."""
    pixels, disc = _scene(POLISH, grain=60)
    refined = refine(_map(disc, 4)[None], pixels, [ColourRefinement(colour_weight=1.5)])[0]
    assert cv2.connectedComponents((refined >= HALF).astype(np.uint8))[0] - 1 == 1


def test_paleness_says_nothing_where_the_feature_is_nowhere() -> None:
    """Specks that vanish when the map is made smaller leave it as it is without paleness."""
    pixels, _ = _scene(PALE)
    specks = np.zeros((1280, 1280), np.uint8)
    specks[::4, ::2] = 255
    plain, pale = (
        refine(specks[None], pixels, [ColourRefinement(pale_weight=weight)]) for weight in (0, 1)
    )
    np.testing.assert_array_equal(plain, pale)
    assert plain.max() > 0


def test_paleness_draws_a_half_moon_out_of_a_blob() -> None:
    """A blob beside the place shrinks to what is paler than its surroundings; not what is darker."""
    pixels, disc = _scene(PALE)
    pixels = cv2.GaussianBlur(pixels, (0, 0), 7)  # half-moons have no sharp edge
    blob = np.roll(_map(disc, 14, high=140), 22, axis=1)

    def best(picture: np.ndarray, pale_weight: float) -> float:
        refined = refine(blob[None], picture, [ColourRefinement(pale_weight=pale_weight)])[0]
        return max(_iou(refined, disc, threshold) for threshold in range(10, 250, 3))

    assert best(pixels, 1.0) > best(pixels, 0.0) + 0.1
    assert best(255 - pixels, 1.0) < best(255 - pixels, 0.0)


def test_only_wanted_maps_with_something_in_them_change() -> None:
    """None of a class, and maps that are near zero everywhere, come back to the byte."""
    pixels, disc = _scene(POLISH)
    planes = np.stack([_map(disc, 4), _map(disc, 4), np.full(disc.shape, MIN_STEP - 1, np.uint8)])
    before = planes.copy()
    refined = refine(planes, pixels, [None, ALONG, ALONG])
    assert (planes == before).all()
    assert (refined[[0, 2]] == planes[[0, 2]]).all()
    assert (refined[1] != planes[1]).any()
    assert refine(planes, pixels, [None, None, None]) is planes


@pytest.mark.parametrize("size", [(1, 1), (1, 40), (3, 2), (700, 33)])
@pytest.mark.parametrize("value", [0, 8, 255])
def test_any_size_and_value_gives_a_map(size: tuple[int, int], value: int) -> None:
    """Also of one colour, one pixel, and where the map is sure everywhere."""
    planes = np.full((1, *size), value, np.uint8)
    pixels = np.full((*size, 3), 77, np.uint8)
    settings = ColourRefinement(colour_weight=1.5, pale_weight=1.0)
    refined = refine(planes, pixels, [settings])
    assert refined.shape == planes.shape
    assert refined.dtype == np.uint8
    assert abs(int(refined.mean()) - value) <= 2


def test_a_picture_larger_than_its_map_is_fine() -> None:
    """Large photographs have maps of a canvas."""
    pixels, disc = _scene(POLISH, side=400)
    small = cv2.resize(disc.astype(np.uint8), (200, 200), interpolation=cv2.INTER_AREA) > 0
    wide = _map(cv2.dilate(small.astype(np.uint8), np.ones((11, 11), np.uint8)) > 0, 4)
    assert _iou(refine(wide[None], pixels, [ALONG])[0], small) > max(0.85, _iou(wide, small))


def test_along_colours_is_the_guided_filter() -> None:
    """Against scalar loops: a ridge regression of the map on colours in each square, averaged."""
    dice = np.random.default_rng(1)
    colours = dice.random((9, 8, 3), np.float32)
    values = dice.normal(size=(9, 8)).astype(np.float32)
    own = guide(colours, 0.22)
    radius = own.radius_px
    assert radius == 2
    wide, valued = (
        np.pad(a, ((radius, radius), (radius, radius), *[(0, 0)] * (a.ndim - 2)), "symmetric")
        for a in (colours, values)
    )

    def square(a: np.ndarray, y: int, x: int) -> np.ndarray:
        return a[y : y + 2 * radius + 1, x : x + 2 * radius + 1].reshape(-1, *a.shape[2:])

    slopes, rests = np.empty((9, 8, 3)), np.empty((9, 8))
    for y, x in np.ndindex(9, 8):
        around, its = square(wide, y, x).astype(float), square(valued, y, x).astype(float)
        centred = around - around.mean(0)
        spread = centred.T @ centred / len(around) + 3e-5 * np.eye(3)
        slopes[y, x] = np.linalg.solve(spread, centred.T @ (its - its.mean()) / len(around))
        rests[y, x] = its.mean() - slopes[y, x] @ around.mean(0)
    wide, valued = (
        np.pad(a, ((radius, radius), (radius, radius), *[(0, 0)] * (a.ndim - 2)), "symmetric")
        for a in (slopes, rests)
    )
    expected = np.array(
        [
            [
                square(wide, y, x).mean(0) @ colours[y, x] + square(valued, y, x).mean()
                for x in range(8)
            ]
            for y in range(9)
        ]
    )
    assert np.allclose(along_colours(values, own), expected, atol=2e-3)


def test_what_is_small_on_the_picture_stays_as_it_was_drawn() -> None:
    """A ring of a hand that is far away is smaller than what the filter can see."""
    pixels = np.full((3000, 4000, 3), SKIN, np.uint8)
    planes = np.full((2, 1500, 2000), 2, np.uint8)
    planes[0, 700:720, 900:940] = 220
    planes[1, 700:800, 900:1000] = 220
    pixels[1400:1600, 1800:2000] = POLISH
    small, large = refine(planes, pixels, [ALONG, ALONG])
    assert (small == planes[0]).all()
    assert (large != planes[1]).any()
