"""Seeing a picture: looks at all of it, then at each small hand that they found.

    pixels -> looks -> answers -> hands -> looks at each -> answers

What is seen is turned into maps by `hunique_models.pipeline`. Plain functions, because a
server runs the steps in different places.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hunique_models.engine.protocol import EngineOutput
from hunique_models.geometry import Detail, Geometry
from hunique_models.preparing import Looks, look_at
from hunique_models.regions import Region, find_regions

WORTH_SEARCHING = 2.5
"""Pictures are searched for hands from so many times the network's input size on: tiles of
smaller ones show every pixel."""

Run = Callable[[NDArray[np.uint8]], EngineOutput]
"""Answers to looks (L, S, S, 3)."""


@dataclass(frozen=True, kw_only=True, eq=False)
class RegionLooks:
    """A part of a picture, looked at as if it were one."""

    region: Region
    """Which part."""
    looks: Looks
    """What the network will see of it; places lie in the region's frame."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Seen:
    """All looks at a picture with their answers."""

    looks: Looks
    """At the whole picture."""
    output: EngineOutput
    """An answer for each of them."""
    closer: tuple[tuple[RegionLooks, EngineOutput], ...] = ()
    """Looks at parts of it, with their answers."""

    @property
    def look_count(self) -> int:
        """Looks that were run."""
        parts = [part.looks for part, _ in self.closer]
        return sum(len(looks.looks) for looks in (self.looks, *parts))

    @property
    def regions(self) -> tuple[Region, ...]:
        """The parts."""
        return tuple(part.region for part, _ in self.closer)

    def part_scores(self) -> NDArray[np.float32]:
        """(1 + R, C): the highest scores of looks at the whole picture, then at each part."""
        outputs = [self.output, *(output for _, output in self.closer)]
        return np.stack([output.score.max(axis=0) for output in outputs]).astype(np.float32)

    def scores(self) -> NDArray[np.float32]:
        """Image-level scores (C,), not calibrated: the highest of all looks."""
        return np.asarray(self.part_scores().max(axis=0), np.float32)


def see(pixels: NDArray[np.uint8], looks: Looks, run: Run, geometry: Geometry) -> Seen:
    """Run the looks at a picture, and those at hands on it.

    Args:
        pixels: (H, W, 3) uint8 sRGB, the picture.
        looks: those at all of it.
        run: the network.
        geometry: what the looks were cut with.
    """
    output = run(looks.tiles)
    parts = closer_looks(pixels, looks, output, geometry)
    if not parts:
        return Seen(looks=looks, output=output)
    return Seen(looks=looks, output=output, closer=shared_out(parts, run(tiles_of(parts))))


def looks_for_hands(pixels: NDArray[np.uint8], looks: Looks, geometry: Geometry) -> bool:
    """Whether `closer_looks` has anything to do with a picture (H, W, 3)."""
    has_more = max(pixels.shape[:2]) >= WORTH_SEARCHING * geometry.input_size_px
    return geometry.hand_plane and has_more and looks.detail is not Detail.FAST


def closer_looks(
    pixels: NDArray[np.uint8], looks: Looks, output: EngineOutput, geometry: Geometry
) -> tuple[RegionLooks, ...]:
    """The looks at hands that the first ones found; none where the model does not tell.

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
    regions = find_regions(planes, looks.looks, height_px, width_px, geometry)
    return tuple(
        RegionLooks(region=region, looks=look_at(region.cut(pixels), geometry, looks.detail))
        for region in regions
    )


def tiles_of(parts: Sequence[RegionLooks]) -> NDArray[np.uint8]:
    """(L, S, S, 3): the looks of all parts, one after the other."""
    return np.concatenate([part.looks.tiles for part in parts])


def shared_out(
    parts: Sequence[RegionLooks], output: EngineOutput
) -> tuple[tuple[RegionLooks, EngineOutput], ...]:
    """Each part with its own answers, out of those to `tiles_of`."""
    ends = np.cumsum([len(part.looks.looks) for part in parts])[:-1]
    maps, scores = np.split(output.probability, ends), np.split(output.score, ends)
    return tuple(
        (part, EngineOutput(probability, score))
        for part, probability, score in zip(parts, maps, scores, strict=True)
    )
