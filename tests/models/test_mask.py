"""Masks leave in the forms of the field and come back the same in the tools of the field."""

import io

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image
from pycocotools import mask as coco

from hunique_models.mask import Box, Mask, components, encode_png, encode_rle, outlines

QUICK = settings(max_examples=60, deadline=None, derandomize=True, database=None)


@st.composite
def blobs(draw: st.DrawFn) -> NDArray[np.uint8]:
    """Masks (H, W) with holes, islands, thin bridges and parts that touch the border."""
    height, width = draw(st.integers(1, 40)), draw(st.integers(1, 40))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    noise = rng.random((height, width)).astype(np.float32)
    smooth = cv2.blur(noise, (draw(st.integers(1, 5)),) * 2).reshape(height, width)
    return (smooth > draw(st.floats(0.3, 0.7))).astype(np.uint8)


@QUICK
@given(mask=blobs())
def test_png_is_one_bit_and_comes_back(mask: NDArray[np.uint8]) -> None:
    """Pillow opens the PNG as bilevel, and its set pixels are the mask."""
    with Image.open(io.BytesIO(encode_png(mask))) as image:
        assert (image.format, image.mode) == ("PNG", "1")
        np.testing.assert_array_equal(np.asarray(image), mask.astype(bool))


@pytest.mark.filterwarnings("ignore:__array__:DeprecationWarning")  # pycocotools with NumPy 2
@QUICK
@given(mask=blobs())
def test_rle_comes_back_in_pycocotools(mask: NDArray[np.uint8]) -> None:
    """The COCO tools decode the run lengths to the mask and agree on its area."""
    encoded = {"size": list(mask.shape), "counts": encode_rle(mask)}
    np.testing.assert_array_equal(coco.decode(encoded), mask)
    assert int(coco.area(encoded)) == int(mask.sum())


@QUICK
@given(mask=blobs())
def test_outlines_redraw_the_mask(mask: NDArray[np.uint8]) -> None:
    """Filling the outer lines and clearing inside the holes gives each component back."""
    for one in components(mask, 1):
        canvas = np.zeros((one.height_px, one.width_px), np.uint8)
        lines = outlines(one)
        assert [line.hole for line in lines].count(False) == 1
        cv2.fillPoly(canvas, [line.points for line in lines if not line.hole], 1)
        for line in lines:
            if line.hole:  # a hole is drawn on the pixels around it, which belong to the mask
                inside = np.zeros_like(canvas)
                cv2.fillPoly(inside, [line.points], 1)
                cv2.polylines(inside, [line.points], True, 0)
                canvas &= 1 - inside
        np.testing.assert_array_equal(canvas, one.full())
        together = np.zeros_like(canvas)  # by the even-odd rule, as docs/client.md says
        cv2.fillPoly(together, [line.points for line in lines], 1)
        np.testing.assert_array_equal(together, one.full())


@QUICK
@given(mask=blobs())
def test_components_part_the_mask(mask: NDArray[np.uint8]) -> None:
    """Every pixel is in exactly one component; largest first; boxes are tight."""
    parts = components(mask, 1)
    total = sum((part.full().astype(int) for part in parts), np.zeros(mask.shape, int))
    np.testing.assert_array_equal(total, mask)
    areas = [part.area_px for part in parts]
    assert areas == sorted(areas, reverse=True)
    for part in parts:
        assert part.crop.shape == (part.box.height, part.box.width)
        for edge in (part.crop[0], part.crop[-1], part.crop[:, 0], part.crop[:, -1]):
            assert edge.any()


def test_touching_corners_are_one_component() -> None:
    """A diagonal line is one finding, not one a pixel."""
    assert [part.area_px for part in components(np.eye(6, dtype=np.uint8), 1)] == [6]


@pytest.mark.parametrize(("min_area_px", "areas"), [(0, [6, 1]), (1, [6, 1]), (2, [6]), (7, [])])
def test_small_components_are_dropped(min_area_px: int, areas: list[int]) -> None:
    """What is smaller than the limit is dropped, what is as large stays."""
    mask = np.zeros((10, 10), np.uint8)
    mask[1:3, 1:4] = 1
    mask[8, 8] = 1
    assert [part.area_px for part in components(mask, min_area_px)] == areas


def test_mask_knows_where_it_lies() -> None:
    """A cropped mask gives the picture-sized one back."""
    mask = Mask(crop=np.ones((2, 3), np.uint8), box=Box(4, 1, 3, 2), height_px=5, width_px=9)
    expected = np.zeros((5, 9), np.uint8)
    expected[1:3, 4:7] = 1
    np.testing.assert_array_equal(mask.full(), expected)
    assert mask.area_px == 6
