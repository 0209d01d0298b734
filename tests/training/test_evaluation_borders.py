"""Boundary F by hand, on squares."""

import numpy as np
import pytest

from hunique_training.evaluation.borders import BorderRule, border, count_border, near
from hunique_training.evaluation.figures import PixelColumn, boundary_f


def _square(y: int, x: int, side: int) -> np.ndarray:
    mask = np.zeros((20, 20), np.bool_)
    mask[y : y + side, x : x + side] = True
    return mask


def _truth(mask: np.ndarray) -> np.ndarray:
    return mask.astype(np.uint8) * 255


def _f(counts: np.ndarray) -> float:
    sums = np.zeros(len(PixelColumn))
    sums[PixelColumn.CLAIMED_BORDER_PX :] = counts
    return float(boundary_f(sums).value())


def test_the_border_of_a_square_is_its_outermost_ring() -> None:
    """A square of 5 has 16 border pixels; the edge of the picture is no border."""
    assert border(_square(5, 5, 5)).sum() == 16
    corner = border(_square(0, 0, 5))
    assert corner.sum() == 9
    assert not corner[0, :4].any()


def test_distance_is_a_straight_line() -> None:
    """(3, 4) lies at distance 5, (4, 4) beyond; of nothing, nothing is near."""
    point = np.zeros((20, 20), np.bool_)
    point[0, 0] = True
    assert near(point, 5)[3, 4]
    assert not near(point, 5)[4, 4]
    assert not near(np.zeros((20, 20), np.bool_), 5).any()


def test_a_shift_within_the_tolerance_is_no_fault() -> None:
    """One pixel to the side: perfect at tolerance 1."""
    counts = count_border(_square(5, 6, 5), _truth(_square(5, 5, 5)), 1)
    assert counts.tolist() == [16, 16, 16, 16]
    assert _f(counts) == 1


def test_a_shift_beyond_the_tolerance_costs() -> None:
    """Three to the right, tolerance 1: 9 of 16 border pixels of either side match.

    Of the claim: columns 8, 9 and 10 of its upper and of its lower row, and the 3 pixels of
    its left side between them, which lie next to the truth's right side.
    """
    counts = count_border(_square(5, 8, 5), _truth(_square(5, 5, 5)), 1)
    assert counts.tolist() == [16, 9, 16, 9]
    assert _f(counts) == pytest.approx(9 / 16)


def test_a_claim_without_truth_and_the_reverse_score_nothing() -> None:
    """Only one of the two has a border: F is 0; neither: there is no F."""
    square, nothing = _square(5, 5, 5), _square(0, 0, 0)
    assert _f(count_border(square, _truth(nothing), 1)) == 0
    assert _f(count_border(nothing, _truth(square), 1)) == 0
    assert np.isnan(_f(count_border(nothing, _truth(nothing), 1)))


def test_far_apart_scores_zero() -> None:
    """Both have borders and none matches."""
    counts = count_border(_square(0, 0, 4), _truth(_square(12, 12, 4)), 1)
    assert counts[1] == counts[3] == 0
    assert _f(counts) == 0


def test_borders_next_to_a_dont_care_area_are_left_out() -> None:
    """Truth above, don't-care below it: the border of neither side counts near the seam."""
    truth = _truth(_square(5, 5, 8))
    truth[13:16, 5:13] = 128
    claim = _square(5, 5, 8)
    claim[13:16, 5:13] = True
    # rows 5 to 11 of the truth's sides lie further than 1 from row 13: 8 + 6 + 6 border pixels
    assert count_border(claim, truth, 1).tolist() == [20, 20, 20, 20]


def test_left_out_borders_still_match_others() -> None:
    """The claim's right side, two short of the truth's, is matched although that is unsure.

    Truth in columns 5 to 10, don't-care from 11 on; at tolerance 2 columns 9 and 10 are left
    out. The claim ends in column 8, within 2 of column 10.
    """
    truth = np.zeros((20, 20), np.uint8)
    truth[5:15, 5:11], truth[5:15, 11:15] = 255, 128
    claim = np.zeros((20, 20), np.bool_)
    claim[5:15, 5:9] = True
    assert count_border(claim, truth, 2).tolist() == [24, 24, 16, 16]


def test_tolerance_is_a_share_of_the_diagonal_rounded_up() -> None:
    """0.008 of 1,280 is 10.24, so 11 pixels; never less than one."""
    rule = BorderRule(levels=(128,))
    assert rule.tolerance_px(768, 1024) == 11
    assert rule.tolerance_px(10, 10) == 1
