"""Looks: which parts of a picture the network sees.

The network takes squares of one size. The first look shows the whole picture, made to
fit; then tiles look again, closer, because a ring is a few pixels wide on a whole hand. An
overview shows the whole picture smaller still, for features that are best told from far::

    upright picture -> plan_looks -> cut_look (S, S, 3) ... network
        ... merge_looks (`hunique_models.merging`) -> (C, H, W)

A look is anchored at its upper left corner; what lies beyond the picture is filled with
the geometry's pad value and dropped again when merging. All boxes lie in the upright
frame of the picture, in pixels.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from math import ceil

import cv2
import numpy as np
from numpy.typing import NDArray

MAX_ENLARGEMENT = 4.0
"""The smallest pictures are enlarged by no more than this before the network sees them."""
TILE_OVERLAP = 0.25
"""Share of a tile that it has in common with its neighbour."""
WORTH_TILING = 1.25
"""A closer level is looked at only where it shows the picture so many times larger."""


WHOLE_LEVEL = 0
"""`Look.level` of the whole picture; closer levels count up from here."""
OVERVIEW_LEVEL = -1
"""`Look.level` of the overview."""


class Detail(StrEnum):
    """How closely to look."""

    FAST = "fast"
    """The whole picture once."""
    STANDARD = "standard"
    """Also an overview, where the model has one, and tiles at twice the network's input size."""
    FINE = "fine"
    """Also tiles at four times the network's input size, and at eight times where the picture has
    the pixels."""


class LevelMean(StrEnum):
    """How the answers of several levels become one."""

    PROBABILITY = "probability"
    """Mean of probabilities: one doubtful level halves what the others are sure of."""
    LOG_ODDS = "log_odds"
    """Mean of log odds: what one level sees clearly counts for more than another's doubt."""


_CLOSER_FACTORS = {Detail.FAST: (), Detail.STANDARD: (2.0,), Detail.FINE: (2.0, 4.0, 8.0)}
_NEVER_ENLARGED_FROM = 8.0
"""Tiles of this factor and above show no pixel larger than it is: they would be very many."""


@dataclass(frozen=True, kw_only=True)
class Geometry:
    """The network's view of the world; part of every manifest."""

    input_size_px: int = 448
    """Side of the square input."""
    output_stride_px: int = 4
    """Input pixels for one value of the probability map."""
    pad_value: tuple[int, int, int] = (124, 116, 104)
    """sRGB colour beyond the picture."""
    overview_zoom: float = 0.0
    """Size of the overview beside that of the whole picture; 0: there is none."""
    max_tile_zoom: float = 1.0
    """Tiles show a pixel of the picture as at most so many input pixels. Above 1, pictures that
    are small for the network are looked at enlarged as well."""
    level_mean: LevelMean = LevelMean.PROBABILITY
    """How the answers of the levels become one."""

    sight_share: float = 0.0
    """A level whose score of a class stays below so many times its presence threshold has no say
    in its mask where another level is above; 0: all levels have. See `hunique_models.sight`."""
    hand_plane: bool = False
    """The network's last plane is of no class: it says where hands are. See
    `hunique_models.regions`."""

    def __post_init__(self) -> None:
        """Take the mean's name for the mean, as manifests have it."""
        object.__setattr__(self, "level_mean", LevelMean(self.level_mean))


@dataclass(frozen=True, kw_only=True)
class Look:
    """One square that the network sees."""

    x_px: float
    """Left edge in the picture."""
    y_px: float
    """Upper edge in the picture."""
    scale: float
    """Input pixels for one pixel of the picture."""
    level: int
    """`WHOLE_LEVEL`, 1 and on the closer levels, or `OVERVIEW_LEVEL`."""


def plan_looks(
    height_px: int, width_px: int, geometry: Geometry, detail: Detail
) -> tuple[Look, ...]:
    """The looks at a picture: the whole one, the overview, then tiles level by level, row by row.

    A closer level is left out where the picture has too few pixels for it.
    """
    size = geometry.input_size_px
    longer = max(height_px, width_px)
    whole_scale = min(size / longer, MAX_ENLARGEMENT)
    looks = [Look(x_px=0.0, y_px=0.0, scale=whole_scale, level=WHOLE_LEVEL)]
    if geometry.overview_zoom and detail is not Detail.FAST:
        overview_scale = whole_scale * geometry.overview_zoom
        looks += [Look(x_px=0.0, y_px=0.0, scale=overview_scale, level=OVERVIEW_LEVEL)]
    last_scale = whole_scale
    for level, factor in enumerate(_CLOSER_FACTORS[detail], start=1):
        most = geometry.max_tile_zoom if factor < _NEVER_ENLARGED_FROM else 1.0
        scale = min(whole_scale * factor, most)
        if scale < last_scale * WORTH_TILING:
            break
        looks += _tiles(height_px, width_px, size / scale, scale, level)
        last_scale = scale
    return tuple(looks)


def _tiles(
    height_px: int, width_px: int, side_px: float, scale: float, level: int
) -> Iterable[Look]:
    for y in _starts(height_px, side_px):
        for x in _starts(width_px, side_px):
            yield Look(x_px=x, y_px=y, scale=scale, level=level)


def _starts(length_px: int, side_px: float) -> list[float]:
    """Evenly spread starts of tiles of `side_px` that cover `length_px` with enough overlap."""
    if length_px <= side_px:
        return [0.0]
    count = ceil((length_px - side_px) / (side_px * (1 - TILE_OVERLAP))) + 1
    return [round(i * (length_px - side_px) / (count - 1), 3) for i in range(count)]


def cut_look(pixels: NDArray[np.uint8], look: Look, geometry: Geometry) -> NDArray[np.uint8]:
    """What the network sees of (H, W, 3) uint8 pixels at one look: (S, S, 3) uint8."""
    size = geometry.input_size_px
    height, width = pixels.shape[:2]
    side_px = size / look.scale
    x0, y0 = round(look.x_px), round(look.y_px)
    x1, y1 = min(width, round(look.x_px + side_px)), min(height, round(look.y_px + side_px))
    shown = (
        min(size, max(1, round((x1 - x0) * look.scale))),
        min(size, max(1, round((y1 - y0) * look.scale))),
    )
    method = cv2.INTER_AREA if look.scale < 1 else cv2.INTER_LINEAR
    tile = np.empty((size, size, 3), np.uint8)
    tile[:] = geometry.pad_value
    tile[: shown[1], : shown[0]] = cv2.resize(pixels[y0:y1, x0:x1], shown, interpolation=method)
    return tile
