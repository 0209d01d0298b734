"""Regions: hands that are small on a photograph, each to be looked at as a picture of its own.

    hand planes of the looks -> one map of the picture -> connected areas -> boxes

Where a hand is a tenth of a photograph, its rings have the size that noise has elsewhere.
A hand is found from further away than what it wears, so the first looks find the hands, and
the second ones show each as large as hands are on pictures that the network has learned from.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from hunique_models.geometry import WHOLE_LEVEL, Geometry, Look
from hunique_models.merging import merge_plane

MAP_SIDE_PX = 256
"""Longer side of the map that hands are looked for on."""
HAND_STEP = 96
"""Where that map shows a hand, out of 255."""
MIN_SIDE_SHARE = 0.02
"""What is smaller, as a share of the picture's longer side, is no hand that could be examined."""
MARGIN = 0.2
"""A region reaches further than what was found, by this share of its longer side: rings of the
wrist, tips of fingers."""
COMMON_SHARE = 0.2
"""Regions that have so much of the smaller one in common become one."""
MAX_SIDE_SHARE = 0.6
"""A region larger than this share of the picture's longer side would be seen little closer."""
SOFT_SHARE = 0.1
"""Along its edges, over this share of its side, a region's map gives way to the picture's."""
MAX_AREAS = 64
"""The surest ones are joined to regions: a picture of noise has thousands."""
MAX_REGIONS = 8
"""The surest ones are looked at: time is limited, whatever a picture shows."""
_LEVELS = (WHOLE_LEVEL, WHOLE_LEVEL + 1)
"""Looks that are asked for hands: closer ones show skin and nothing that makes it a hand's."""


@dataclass(frozen=True, kw_only=True)
class Region:
    """A box of a picture."""

    x_px: int
    """Left edge."""
    y_px: int
    """Upper edge."""
    width_px: int
    """Columns."""
    height_px: int
    """Rows."""

    @property
    def area_px(self) -> int:
        """How large it is."""
        return self.width_px * self.height_px

    def holds(self, x_px: float, y_px: float) -> bool:
        """Whether a place lies in it."""
        across, down = x_px - self.x_px, y_px - self.y_px
        return 0 <= across < self.width_px and 0 <= down < self.height_px

    def cut(self, pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """The region of (..., H, W, 3) pixels, not copied."""
        rows = slice(self.y_px, self.y_px + self.height_px)
        return pixels[rows, self.x_px : self.x_px + self.width_px]


def find_regions(
    hand_planes: NDArray[np.uint8],
    looks: Sequence[Look],
    height_px: int,
    width_px: int,
    geometry: Geometry,
) -> tuple[Region, ...]:
    """Where hands are that closer looks would show better; none where hands fill the picture.

    Args:
        hand_planes: (L, h, w) uint8, 255 times the probability of a hand, for each look.
        looks: the L looks at the whole picture.
        height_px: rows of the picture.
        width_px: columns of the picture.
        geometry: what the looks were cut with.

    Returns:
        At most `MAX_REGIONS`, the surest first.
    """
    found = merge_hands(hand_planes, looks, height_px, width_px, geometry)
    times = max(height_px, width_px) / max(found.shape)
    boxes = _surest(_joined(_surest(_boxes(found))[:MAX_AREAS]))
    regions = [_region(box, times, height_px, width_px) for box in boxes]
    largest_px = MAX_SIDE_SHARE * max(height_px, width_px)
    fitting = [one for one in regions if max(one.width_px, one.height_px) <= largest_px]
    return tuple(fitting[:MAX_REGIONS])


def merge_hands(
    hand_planes: NDArray[np.uint8],
    looks: Sequence[Look],
    height_px: int,
    width_px: int,
    geometry: Geometry,
) -> NDArray[np.uint8]:
    """One map of hands: (h, w) uint8 with a longer side of `MAP_SIDE_PX`, or the picture's."""
    shrink = min(1.0, MAP_SIDE_PX / max(height_px, width_px))
    canvas = (max(1, round(height_px * shrink)), max(1, round(width_px * shrink)))
    answers = [
        (plane, look)
        for plane, look in zip(hand_planes, looks, strict=True)
        if look.level in _LEVELS
    ]
    return merge_plane(answers, canvas, shrink, geometry)


def examined_area_px(
    x_px: float, y_px: float, regions: Sequence[Region], size_px: tuple[int, int]
) -> int:
    """Area of what was looked at as one picture around a place: of a region, or of the picture.

    Args:
        x_px: column of the place.
        y_px: row of the place.
        regions: parts that were looked at.
        size_px: (height, width) of the picture.
    """
    around = [region.area_px for region in regions if region.holds(x_px, y_px)]
    return min(around, default=size_px[0] * size_px[1])


def fit(
    own: NDArray[np.uint8], region: Region, canvas: tuple[int, ...], size_px: tuple[int, int]
) -> NDArray[np.uint8]:
    """The maps of a region, as large as it is on the canvas of its picture's maps.

    Args:
        own: (C, h, w) uint8, the region's; as large as that already is fine.
        region: where it lies.
        canvas: (height, width) of the picture's maps.
        size_px: (height, width) of the picture.

    Returns:
        (C, rows, columns) uint8; either may be 0 where the region is less than a pixel.
    """
    x0, y0, x1, y1 = _edges(region, canvas, size_px)
    fitted = np.empty((len(own), y1 - y0, x1 - x0), np.uint8)
    for plane, answer in zip(fitted, own, strict=True):
        if plane.size:
            plane[...] = cv2.resize(answer, plane.shape[::-1], interpolation=cv2.INTER_LINEAR)
    return fitted


def lay_in(
    planes: NDArray[np.uint8],
    own: NDArray[np.uint8],
    region: Region,
    size_px: tuple[int, int],
) -> None:
    """Put the maps of a region into those of its picture, in place, without seams.

    Args:
        planes: (C, canvas height, canvas width) uint8, the picture's.
        own: (C, h, w) uint8, the region's.
        region: where it lies.
        size_px: (height, width) of the picture.
    """
    height, width = planes.shape[1:]
    x0, y0, x1, y1 = _edges(region, (height, width), size_px)
    if y1 == y0 or x1 == x0:
        return
    rows = _rise(y1 - y0, at_start=y0 > 0, at_end=y1 < height)
    weight = rows[:, None] * _rise(x1 - x0, at_start=x0 > 0, at_end=x1 < width)
    own = fit(own, region, (height, width), size_px)
    for plane, answer in zip(planes, own, strict=True):
        old = plane[y0:y1, x0:x1]
        old[...] = np.rint(old + weight * (answer.astype(np.float32) - old))


def _edges(
    region: Region, canvas: tuple[int, ...], size_px: tuple[int, int]
) -> tuple[int, int, int, int]:
    """Left, upper, right and lower edge of a region on a canvas (height, width) of its picture."""
    down, across = canvas[0] / size_px[0], canvas[1] / size_px[1]
    y0, y1 = (round(y * down) for y in (region.y_px, region.y_px + region.height_px))
    x0, x1 = (round(x * across) for x in (region.x_px, region.x_px + region.width_px))
    return x0, y0, x1, y1


def _rise(length: int, *, at_start: bool, at_end: bool) -> NDArray[np.float32]:
    """Weights that rise to 1 from the edges behind which the picture goes on."""
    places = np.arange(1, length + 1, dtype=np.float32)
    width = max(1.0, SOFT_SHARE * length)
    weight = np.ones(length, np.float32)
    if at_start:
        weight = np.minimum(weight, places / width)
    if at_end:
        weight = np.minimum(weight, places[::-1] / width)
    return weight


@dataclass(frozen=True, kw_only=True)
class _Box:
    """On the map; edges may lie beyond it."""

    left: float
    upper: float
    right: float
    lower: float
    sureness: float
    """Sum of the probabilities inside."""

    @property
    def area(self) -> float:
        return (self.right - self.left) * (self.lower - self.upper)

    def common(self, other: "_Box") -> float:
        """Area that both have."""
        width = min(self.right, other.right) - max(self.left, other.left)
        height = min(self.lower, other.lower) - max(self.upper, other.upper)
        return max(0.0, width) * max(0.0, height)

    def joined(self, other: "_Box") -> "_Box":
        """What holds both."""
        return _Box(
            left=min(self.left, other.left),
            upper=min(self.upper, other.upper),
            right=max(self.right, other.right),
            lower=max(self.lower, other.lower),
            sureness=self.sureness + other.sureness,
        )


def _boxes(found: NDArray[np.uint8]) -> list[_Box]:
    """Connected areas that show a hand, with their margins."""
    shown = (found >= HAND_STEP).astype(np.uint8)
    count, labels, facts, _ = cv2.connectedComponentsWithStats(shown)
    sums = np.bincount(labels.ravel(), found.ravel(), count)
    boxes = []
    for number in range(1, count):
        x, y, width, height = (int(fact) for fact in facts[number, :4])
        longer = max(width, height)
        if longer >= MIN_SIDE_SHARE * max(found.shape):
            margin = MARGIN * longer
            box = _Box(
                left=x - margin,
                upper=y - margin,
                right=x + width + margin,
                lower=y + height + margin,
                sureness=float(sums[number]),
            )
            boxes.append(box)
    return boxes


def _surest(boxes: list[_Box]) -> list[_Box]:
    """The same, the surest first."""
    return sorted(boxes, key=lambda box: (-box.sureness, box.left, box.upper))


def _joined(boxes: list[_Box]) -> list[_Box]:
    """Boxes of which no two have much in common."""
    for first, one in enumerate(boxes):
        for second in range(first + 1, len(boxes)):
            other = boxes[second]
            if one.common(other) >= COMMON_SHARE * min(one.area, other.area):
                rest = [box for place, box in enumerate(boxes) if place not in (first, second)]
                return _joined([*rest, one.joined(other)])
    return boxes


def _region(box: _Box, times: float, height_px: int, width_px: int) -> Region:
    """A box of the map, in pixels of the picture and inside it."""
    left, upper = (max(0, round(edge * times)) for edge in (box.left, box.upper))
    right = min(width_px, round(box.right * times))
    lower = min(height_px, round(box.lower * times))
    return Region(x_px=left, y_px=upper, width_px=right - left, height_px=lower - upper)
