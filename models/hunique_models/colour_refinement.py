"""Moving the borders of maps to where the picture's colours change.

    log odds + paleness -> along colours -> + colour odds, twice -> along colours -> log odds

The network answers on a coarse grid, so its borders lie near those of a feature and not on
them. *Along colours* is the guided filter (He et al., Guided image filtering, TPAMI 2013, with
a colour guide): around each place the map becomes a linear function of the colours there.
*Colour odds* say how much more frequent a colour is where the feature seems to be than near
it: a naive Bayes classifier of one picture, taught by the map itself. Both know this picture
alone, so a feature that has the colour of its surroundings gains nothing. *Paleness* is for
features that are known to be lighter and less red than what is around them: half-moons of nails.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from hunique_models.merging import to_log_odds, to_steps

Plane = NDArray[np.float32]

MIN_AREA_SHARE = 5e-4
"""What covers less of the picture is left as it was drawn. Rings on pictures that hands fill cover
at least 7 in 10,000."""
SURE_STEP = 64
"""Where a map counts as covering: a probability of a fourth."""
MAX_SIDE_PX = 320
"""Maps and pictures are refined at most this large, then enlarged: no map is finer."""
MIN_STEP = 8
"""A map that is below this value everywhere, out of 255, shows nothing and stays as it is."""
ROUNDS = 2
"""How often the colour odds are learned and added."""
_BORDER = -1.5
"""Log odds at which a map is taken to have a border."""
_REACH_SHARE = 0.035
"""How far borders may move: radius of the first filter, as a share of the longer side."""
_FINAL_REACH_SHARE = 0.012
"""The same for the filter after the colour odds."""
_NEAR_SHARE = 0.15
"""What is near the feature: as far as this share of the longer side."""
_SMOOTHNESS = 3e-5
"""Variance of colour (each channel 0 to 1) below which places are one surface."""
_ROWS, _COLUMNS = np.triu_indices(3)
"""Of the upper triangle of a covariance of colours."""
_PALE_SHARE = 0.02
"""Colours are compared after smoothing by a Gaussian of this deviation, a share of the side."""
_AROUND_SHARE = 0.17
"""And with those around, a Gaussian of this deviation."""
_MAY_BE = -4.0
"""Log odds above which a place may belong to a pale feature."""
_BINS = 16
_STRETCH = 1.6
"""a* and b* of skin and polish fill little of their range, and are spread over more bins."""
_BIN_SPREAD = 1.0
"""Standard deviation by which counts of colours are blurred, in bins."""
_RARE = 1e-5
"""Added to the share of each colour, so that unseen ones say nothing."""
_MAX_COLOUR_ODDS = 3.0
_SOFTNESS = 1.5
"""How steeply the map's log odds decide on which side a place is counted."""


@dataclass(frozen=True, kw_only=True)
class ColourRefinement:
    """How the map of a class is refined."""

    colour_weight: float = 0.0
    """Factor of the colour odds; 0: borders only move along colours."""
    pale_weight: float = 0.0
    """Factor of the paleness; 0: the colour of the feature is not known beforehand."""


class Guide(NamedTuple):
    """The colours of a picture and what a guided filter needs of them."""

    colours: Plane
    """(h, w, 3) CIE L*a*b*, each channel 0 to 1."""
    radius_px: int
    """Of the squares that are looked at."""
    mean: Plane
    """(h, w, 3) mean colour of the square around each place."""
    inverse: Plane
    """(h, w, 3, 3) inverse of their covariance."""


def refine(
    planes: NDArray[np.uint8],
    pixels: NDArray[np.uint8],
    refinements: Sequence[ColourRefinement | None],
) -> NDArray[np.uint8]:
    """Refine the maps of a picture along its colours.

    Args:
        planes: (C, h, w) uint8, 255 times the pixel probability.
        pixels: (H, W, 3) uint8 sRGB, the whole picture; another size than the maps' is fine.
        refinements: by class; None: the map stays as it is.

    Returns:
        (C, h, w) uint8.
    """
    wanted = [
        (c, refinement)
        for c, refinement in enumerate(refinements)
        if refinement is not None and _is_large_enough(planes[c])
    ]
    if not wanted:
        return planes
    height, width = planes.shape[1:]
    shrink = min(1.0, MAX_SIDE_PX / max(height, width))
    size = (max(1, round(width * shrink)), max(1, round(height * shrink)))
    colours = _lab(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA).astype(np.uint8))
    first, last = (guide(colours, share) for share in (_REACH_SHARE, _FINAL_REACH_SHARE))
    moved = [_moved(planes[c], first, refinement) for c, refinement in wanted]
    refined = planes.copy()
    for number, (c, refinement) in enumerate(wanted):
        rivals = [other for place, other in enumerate(moved) if place != number]
        done = _with_odds(moved[number], rivals, first, last, refinement)
        large = np.asarray(cv2.resize(done, (width, height)), np.float32)
        to_steps(large)
        refined[c] = np.rint(large, out=large)
    return refined


def _is_large_enough(plane: NDArray[np.uint8]) -> bool:
    """Whether the filter can see it: on a photograph that hands do not fill it would wipe it out."""
    least_px = max(1.0, MIN_AREA_SHARE * plane.size)
    return bool(plane.max() >= MIN_STEP and np.count_nonzero(plane >= SURE_STEP) >= least_px)


def _lab(pixels: NDArray[np.uint8]) -> Plane:
    """(h, w, 3) uint8 sRGB to CIE L*a*b*, each channel 0 to 1."""
    return np.asarray(cv2.cvtColor(pixels, cv2.COLOR_RGB2LAB) / np.float32(255), np.float32)


def _moved(plane: NDArray[np.uint8], first: Guide, refinement: ColourRefinement) -> Plane:
    """A map in log odds at the size of the guide, with what is known of its colour, moved."""
    height, width = first.colours.shape[:2]
    odds = cv2.LUT(plane, _log_odds_of_steps())
    small = cv2.resize(odds, (width, height), interpolation=cv2.INTER_AREA)
    log_odds = np.asarray(small, np.float32)
    if refinement.pale_weight:
        log_odds = log_odds + refinement.pale_weight * paleness(first.colours, log_odds)
    return along_colours(log_odds, first)


@cache
def _log_odds_of_steps() -> Plane:
    """(256,): of every value of a map."""
    steps = np.arange(256, dtype=np.float32)
    to_log_odds(steps)
    return steps


def _with_odds(
    moved: Plane, rivals: Sequence[Plane], first: Guide, last: Guide, refinement: ColourRefinement
) -> Plane:
    """The same with colour odds, which speak for a feature only where no other one is likelier."""
    if not refinement.colour_weight:
        return moved
    near_px = max(1, round(_NEAR_SHARE * max(moved.shape)))
    bins, refined = _bins(first.colours), moved
    others = np.max(rivals, axis=0) if rivals else np.full_like(moved, -np.inf)
    most = np.where(moved >= others, _MAX_COLOUR_ODDS, 0)
    for _ in range(ROUNDS):
        odds = np.minimum(colour_odds(bins, refined, near_px), most)
        refined = np.asarray(moved + refinement.colour_weight * odds, np.float32)
    return along_colours(refined, last)


def guide(colours: Plane, reach_share: float) -> Guide:
    """What `along_colours` needs of colours (h, w, 3), for squares of that share of the side."""
    radius_px = max(2, round(reach_share * max(colours.shape[:2])))
    mean = _mean(colours, radius_px)
    products = _mean(colours[..., _ROWS] * colours[..., _COLUMNS], radius_px)
    covariance = products - mean[..., _ROWS] * mean[..., _COLUMNS]
    covariance += np.where(_ROWS == _COLUMNS, _SMOOTHNESS, 0).astype(np.float32)
    inverse = _inverse(covariance)
    return Guide(colours=colours, radius_px=radius_px, mean=mean, inverse=inverse)


def _inverse(upper: Plane) -> Plane:
    """Inverses (h, w, 3, 3) of symmetric matrices, of which the upper triangle (h, w, 6) is given.

    By cofactors: the linear algebra of numpy takes tens of megabytes for a thread that calls it.
    """
    a, b, c, d, e, f = np.moveaxis(upper.astype(np.float64), -1, 0)
    cofactors = (d * f - e * e, c * e - b * f, b * e - c * d)
    determinant = a * cofactors[0] + b * cofactors[1] + c * cofactors[2]
    inverse = np.empty((*upper.shape[:2], 3, 3), np.float32)
    for column, cofactor in enumerate(cofactors):
        inverse[..., 0, column] = inverse[..., column, 0] = cofactor / determinant
    inverse[..., 1, 1] = (a * f - c * c) / determinant
    inverse[..., 1, 2] = inverse[..., 2, 1] = (b * c - a * e) / determinant
    inverse[..., 2, 2] = (a * d - b * b) / determinant
    return inverse


def along_colours(values: Plane, guide: Guide) -> Plane:
    """Guided filter of (h, w) values."""
    radius_px, mean = guide.radius_px, guide.mean
    mean_value = _mean(values, radius_px)
    covariance = _mean(guide.colours * values[..., None], radius_px) - mean * mean_value[..., None]
    slope = (guide.inverse * covariance[..., None, :]).sum(-1)
    rest = mean_value - (slope * mean).sum(-1)
    moved = (_mean(slope, radius_px) * guide.colours).sum(-1) + _mean(rest, radius_px)
    return np.asarray(moved, np.float32)


def _mean(values: Plane, radius_px: int) -> Plane:
    """Mean over the square of `radius_px` around each place, mirrored at the picture's edges."""
    side = 2 * radius_px + 1
    return np.asarray(cv2.blur(values, (side, side), borderType=cv2.BORDER_REFLECT), np.float32)


def paleness(colours: Plane, log_odds: Plane) -> Plane:
    """How much lighter and less red each place is than what surrounds it, at most 3: (h, w).

    Measured in deviations of the colours where the feature may be; 0 if that is nowhere.

    Args:
        colours: (h, w, 3) CIE L*a*b*, each channel 0 to 1.
        log_odds: (h, w) where the feature seems to be.
    """
    may_be = log_odds > _MAY_BE
    if not may_be.any():
        return np.zeros_like(log_odds)
    side = max(log_odds.shape)
    own, around = (
        cv2.GaussianBlur(colours[..., :2], (0, 0), share * side)
        for share in (_PALE_SHARE, _AROUND_SHARE)
    )
    deviation = own[may_be].std(axis=0) + 1e-3
    lighter, redder = np.moveaxis(np.clip((own - around) / deviation, -2, 2), -1, 0)
    return np.asarray(0.5 * lighter - redder, np.float32)


def _bins(colours: Plane) -> NDArray[np.intp]:
    """Which bin each colour (h, w, 3) falls into: (h, w)."""
    spread = 0.5 + (colours - 0.5) * np.array([1, _STRETCH, _STRETCH], np.float32)
    places = np.clip((spread * _BINS).astype(np.intp), 0, _BINS - 1)
    return np.asarray((places[..., 0] * _BINS + places[..., 1]) * _BINS + places[..., 2], np.intp)


def colour_odds(bins: NDArray[np.intp], log_odds: Plane, near_px: int) -> Plane:
    """How much each place's colour speaks for the feature: log odds (h, w), at most 3.

    Args:
        bins: (h, w) which bin each place's colour is in.
        log_odds: (h, w) where the feature seems to be.
        near_px: how far around it the other colours are taken from.
    """
    square = np.ones((2 * near_px + 1, 2 * near_px + 1), np.uint8)
    near = cv2.dilate((log_odds > _BORDER).astype(np.uint8), square) > 0
    inside = 1 / (1 + np.exp(_SOFTNESS * (_BORDER - log_odds[near])))
    frequent = _shares(bins[near], inside)
    others = _shares(bins[near], 1 - inside)
    odds = np.log(frequent + _RARE) - np.log(others + _RARE)
    return np.asarray(np.clip(odds, -_MAX_COLOUR_ODDS, _MAX_COLOUR_ODDS)[bins], np.float32)


def _shares(bins: NDArray[np.intp], weights: NDArray[np.floating]) -> NDArray[np.float64]:
    """Share of each bin, blurred over neighbouring bins: (_BINS^3,)."""
    counts = np.bincount(bins, weights, _BINS**3).reshape(_BINS, _BINS, _BINS)
    for _ in range(counts.ndim):  # one axis after the other, which the last one leads
        counts = np.einsum("ai,jki->ajk", _bin_blur(), counts)
    return np.asarray(counts.ravel() / max(counts.sum(), 1e-6), np.float64)


def _bin_blur() -> NDArray[np.float64]:
    """(_BINS, _BINS) matrix that blurs counts along one axis."""
    distance = np.subtract.outer(np.arange(_BINS), np.arange(_BINS))
    kernel = np.exp(-0.5 * (distance / _BIN_SPREAD) ** 2)
    return np.asarray(kernel / kernel.sum(0), np.float64)
