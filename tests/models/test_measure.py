"""Measurements are in pixels of the upright picture and agree with shapes that are known."""

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from hunique_models.mask import Mask, components
from hunique_models.measure import measure

GREY = np.full((200, 300, 3), 128, np.uint8)


def _only(mask: NDArray[np.uint8]) -> Mask:
    (one,) = components(mask, 1)
    return one


def _rotated(angle_deg: float) -> Mask:
    mask = np.zeros((200, 300), np.uint8)
    corners = cv2.boxPoints(((150, 100), (120, 30), angle_deg))
    cv2.fillPoly(mask, [np.rint(corners).astype(np.int32)], 1)
    return _only(mask)


def test_rectangle_is_measured_exactly() -> None:
    """An upright rectangle has its own sides, centre, share and a solidity of 1."""
    mask = np.zeros((200, 300), np.uint8)
    mask[60:80, 100:160] = 1
    found = measure(_only(mask), GREY)
    assert (found.centroid_x_px, found.centroid_y_px) == pytest.approx((129.5, 69.5))
    assert (found.major_axis_px, found.minor_axis_px) == pytest.approx((60, 20), abs=0.01)
    assert found.orientation_deg % 180 == pytest.approx(0, abs=0.01)
    assert found.perimeter_px == pytest.approx(2 * (59 + 19))
    assert found.solidity == pytest.approx(1)
    assert found.area_share == pytest.approx(1200 / 60_000)


@pytest.mark.parametrize("angle_deg", [20, 45, 90, 110, 160])
def test_orientation_is_clockwise_from_the_x_axis(angle_deg: float) -> None:
    """The direction of the longer side is reported in 0 to 180 degrees, as seen on the screen."""
    found = measure(_rotated(angle_deg), GREY)
    assert found.orientation_deg == pytest.approx(angle_deg, abs=1.5)
    assert (found.major_axis_px, found.minor_axis_px) == pytest.approx((121, 31), abs=2)


def test_colour_is_that_under_the_mask() -> None:
    """The mean colour counts pixels of the mask alone, not of its box."""
    mask = np.zeros((200, 300), np.uint8)
    cv2.circle(mask, (50, 50), 30, 1, -1)
    pixels = GREY.copy()
    pixels[mask == 1] = (10, 200, 60)
    assert measure(_only(mask), pixels).mean_srgb == pytest.approx((10, 200, 60))


def test_solidity_tells_a_crescent_from_a_disc() -> None:
    """A half-moon fills less of its hull than a disc does."""
    disc = np.zeros((200, 300), np.uint8)
    cv2.circle(disc, (100, 100), 60, 1, -1)
    crescent = disc.copy()
    cv2.circle(crescent, (100, 70), 60, 0, -1)
    assert measure(_only(disc), GREY).solidity > 0.97
    assert measure(_only(crescent), GREY).solidity < 0.75


@pytest.mark.parametrize("size_px", [(1, 1), (1, 9), (9, 1), (2, 2)])
def test_thin_masks_are_measured(size_px: tuple[int, int]) -> None:
    """A single pixel or a line has sides of at least one pixel and finite figures."""
    mask = np.zeros((200, 300), np.uint8)
    mask[5 : 5 + size_px[0], 7 : 7 + size_px[1]] = 1
    found = measure(_only(mask), GREY)
    sides = (found.major_axis_px, found.minor_axis_px)
    assert sides == pytest.approx((max(size_px), min(size_px)), abs=0.01)
    assert 0 <= found.orientation_deg < 180
    assert found.solidity == pytest.approx(1)
