"""Seeing a picture: looks at all of it, then at each small hand that they found.

    pixels -> looks -> answers -> hands -> for each: looks -> answers

What is seen is turned into maps by `hunique_models.pipeline`. Plain functions, because a
server runs the steps in different places.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hunique_models.engine.protocol import EngineOutput
from hunique_models.geometry import Detail, Geometry, Look
from hunique_models.preparing import Looks, look_at
from hunique_models.regions import Region, find_regions

WORTH_SEARCHING = 2.5
"""Pictures are searched for hands from so many times the network's input size on: tiles of
smaller ones show every pixel."""

Run = Callable[[NDArray[np.uint8]], EngineOutput]
"""Answers to looks (L, S, S, 3)."""


@dataclass(frozen=True, kw_only=True, eq=False)
class SeenRegion:
    """A part of a picture, looked at as if it were one."""

    region: Region
    """Which part."""
    looks: tuple[Look, ...]
    """Where each look lies, in the region's frame."""
    output: EngineOutput
    """An answer for each."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Seen:
    """All looks at a picture with their answers; what was looked at is no longer kept."""

    looks: tuple[Look, ...]
    """Where each look at the whole picture lies."""
    output: EngineOutput
    """An answer for each."""
    closer: tuple[SeenRegion, ...] = ()
    """The same of parts of it."""

    @property
    def look_count(self) -> int:
        """Looks that were run."""
        return len(self.looks) + sum(len(part.looks) for part in self.closer)

    @property
    def regions(self) -> tuple[Region, ...]:
        """The parts."""
        return tuple(part.region for part in self.closer)

    def part_scores(self) -> NDArray[np.float32]:
        """(1 + R, C): the highest scores of looks at the whole picture, then at each part."""
        outputs = [self.output, *(part.output for part in self.closer)]
        return np.stack([output.score.max(axis=0) for output in outputs]).astype(np.float32)

    def scores(self) -> NDArray[np.float32]:
        """Image-level scores (C,), not calibrated: the highest of all looks."""
        return np.asarray(self.part_scores().max(axis=0), np.float32)


def see(pixels: NDArray[np.uint8], looks: Looks, run: Run, geometry: Geometry) -> Seen:
    """Run the looks at a picture, then those at hands on it.

    Args:
        pixels: (H, W, 3) uint8 sRGB, the picture.
        looks: those at all of it.
        run: the network.
        geometry: what the looks were cut with.
    """
    output = run(looks.tiles)
    closer = []
    for region in hands_on(pixels, looks, output, geometry):
        own = look_closer(pixels, region, looks, geometry)
        closer.append(SeenRegion(region=region, looks=own.looks, output=run(own.tiles)))
    return Seen(looks=looks.looks, output=output, closer=tuple(closer))


def looks_for_hands(pixels: NDArray[np.uint8], looks: Looks, geometry: Geometry) -> bool:
    """Whether `hands_on` has anything to do with a picture (H, W, 3)."""
    has_more = max(pixels.shape[:2]) >= WORTH_SEARCHING * geometry.input_size_px
    return geometry.hand_plane and has_more and looks.detail is not Detail.FAST


def hands_on(
    pixels: NDArray[np.uint8], looks: Looks, output: EngineOutput, geometry: Geometry
) -> tuple[Region, ...]:
    """Hands that are to be looked at closely; none where the model does not tell.

    Args:
        pixels: (H, W, 3) uint8 sRGB, the picture.
        looks: those at all of it.
        output: an answer for each.
        geometry: what they were cut with.
    """
    if not looks_for_hands(pixels, looks, geometry):
        return ()
    height_px, width_px = pixels.shape[:2]
    planes = output.probability[:, -1]
    return find_regions(planes, looks.looks, height_px, width_px, geometry)


def look_closer(
    pixels: NDArray[np.uint8], region: Region, looks: Looks, geometry: Geometry
) -> Looks:
    """Cut the looks at a region of (H, W, 3) pixels, as closely as those at all of it.

    One region after the other: all at once take hundreds of megabytes at `fine`.
    """
    return look_at(region.cut(pixels), geometry, looks.detail)
