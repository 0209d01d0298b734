"""How one picture goes through a model: the same code serves, validates and proves exports.

    bytes -> prepare -> looks (L, S, S, 3) -> engine, twice where hands are small -> finish
          -> findings

A server runs the parts in different places; `segment` runs them in one.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hunique_models.colour_refinement import refine
from hunique_models.engine.protocol import Engine, EngineOutput
from hunique_models.findings import ClassFinding, Status, find
from hunique_models.geometry import Detail, Look
from hunique_models.image import DecodeLimits, Picture
from hunique_models.manifest import Manifest
from hunique_models.merging import merge_looks
from hunique_models.preparing import Looks, Prepared, look_at, prepare
from hunique_models.regions import Region, fit, lay_in
from hunique_models.seeing import Seen, see
from hunique_models.sight import counting_looks, counting_parts, laying_order


@dataclass(frozen=True, kw_only=True, eq=False)
class PictureFindings:
    """What one model says of one picture."""

    picture: Picture
    """What was examined."""
    findings: tuple[ClassFinding, ...]
    """One for each class of the model."""
    look_count: int
    """Looks that were run."""
    regions: tuple[Region, ...] = ()
    """Hands that were looked at as pictures of their own."""

    @property
    def remarks(self) -> tuple[str, ...]:
        """What a reader should know: of the picture, and of classes seen but not outlined."""
        lost = [
            f"{one.name}: the score {one.score:.3f} reaches the threshold "
            f"{one.presence_threshold:.3f}, but no pixels were found to outline"
            for one in self.findings
            if one.status is Status.ABSENT and one.score >= one.presence_threshold
        ]
        many = [
            f"{one.name}: {one.left_out} more areas are not listed, none larger than the "
            f"{len(one.instances)} that are"
            for one in self.findings
            if one.left_out
        ]
        return (*self.picture.remarks, *lost, *many)


class Pipeline:
    """The way of pictures through one model.

    Args:
        manifest: geometry, classes, thresholds.
        limits: what is refused.
    """

    def __init__(self, manifest: Manifest, limits: DecodeLimits | None = None) -> None:
        self.manifest = manifest
        self.limits = limits or DecodeLimits()

    def prepare(self, data: bytes, detail: Detail = Detail.STANDARD) -> Prepared:
        """Decode an encoded image and cut its looks.

        Raises:
            InputError: the image cannot be served.
        """
        return prepare(data, self.limits, self.manifest.geometry, detail)

    def look_at(self, pixels: NDArray[np.uint8], detail: Detail = Detail.STANDARD) -> Looks:
        """Cut the looks at (H, W, 3) uint8 pixels."""
        return look_at(pixels, self.manifest.geometry, detail)

    def see(self, pixels: NDArray[np.uint8], looks: Looks, engine: Engine) -> Seen:
        """Run the looks at (H, W, 3) uint8 pixels, and those at hands that they find.

        Raises:
            EngineRunError: the network failed.
        """
        return see(pixels, looks, engine.run, self.manifest.geometry)

    def merge(self, seen: Seen, pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Merge all answers into one map (C, canvas height, canvas width) uint8.

        Args:
            seen: the looks and their answers.
            pixels: (H, W, 3) uint8 sRGB, the picture, whose colours refine the map.
        """
        merged = self._merge_looks(seen.looks, seen.output, pixels)
        if not seen.closer:
            return merged
        scores = seen.part_scores()
        whole_counts, *parts_count = counts = counting_parts(scores, self.manifest.classes)
        merged[~whole_counts] = 0
        size_px, owns = pixels.shape[:2], []
        for part, has_say in zip(seen.closer, parts_count, strict=True):
            own = self._merge_looks(part.looks, part.output, part.region.cut(pixels))
            own[~has_say] = 0
            owns.append(fit(own, part.region, merged.shape[1:], size_px))
        for index, order in enumerate(laying_order(scores[1:], counts[1:]).T):
            for place in order:
                own, region = owns[place][index : index + 1], seen.closer[place].region
                lay_in(merged[index : index + 1], own, region, size_px)
        return merged

    def _merge_looks(
        self, looks: Sequence[Look], output: EngineOutput, pixels: NDArray[np.uint8]
    ) -> NDArray[np.uint8]:
        classes, geometry = self.manifest.classes, self.manifest.geometry
        height_px, width_px = pixels.shape[:2]
        counts = counting_looks(looks, output.score, classes, geometry.sight_share)
        planes = output.probability[:, : len(classes)]
        merged = merge_looks(planes, looks, height_px, width_px, geometry, counts)
        return refine(merged, pixels, [spec.refinement for spec in classes])

    def finish(
        self,
        prepared: Prepared,
        seen: Seen,
        wanted: Collection[str] = (),
    ) -> PictureFindings:
        """Turn what was seen into findings.

        Args:
            prepared: the picture.
            seen: its looks and their answers.
            wanted: classes to assess; empty means all.

        Raises:
            UnknownClassError: a class that the model does not have.
        """
        picture = prepared.picture
        merged = self.merge(seen, picture.pixels)
        scores = seen.scores().tolist()
        findings = find(picture.pixels, merged, scores, self.manifest, wanted, regions=seen.regions)
        return PictureFindings(
            picture=picture,
            findings=findings,
            look_count=seen.look_count,
            regions=seen.regions,
        )

    def segment(
        self,
        data: bytes,
        engine: Engine,
        detail: Detail = Detail.STANDARD,
        wanted: Collection[str] = (),
    ) -> PictureFindings:
        """All of it, in this thread.

        Raises:
            InputError: the image or the wish cannot be served.
            EngineRunError: the network failed.
        """
        prepared = self.prepare(data, detail)
        seen = self.see(prepared.picture.pixels, prepared.looks, engine)
        return self.finish(prepared, seen, wanted)
