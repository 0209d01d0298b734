"""How one picture goes through a model: the same code serves, validates and proves exports.

    bytes -> prepare -> looks (L, S, S, 3) -> engine -> finish -> findings

A server runs the three parts in different places; `segment` runs them in one.
"""

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hunique_models.colour_refinement import refine
from hunique_models.engine.protocol import Engine, EngineOutput
from hunique_models.findings import ClassFinding, find
from hunique_models.geometry import Detail
from hunique_models.image import DecodeLimits, Picture
from hunique_models.manifest import Manifest
from hunique_models.merging import merge_looks
from hunique_models.preparing import Looks, Prepared, look_at, prepare
from hunique_models.sight import counting_looks


@dataclass(frozen=True, kw_only=True, eq=False)
class PictureFindings:
    """What one model says of one picture."""

    picture: Picture
    """What was examined."""
    findings: tuple[ClassFinding, ...]
    """One for each class of the model."""
    look_count: int
    """Looks that were run."""


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

    def merge(
        self, looks: Looks, output: EngineOutput, pixels: NDArray[np.uint8]
    ) -> NDArray[np.uint8]:
        """Merge the answers to looks into one map (C, canvas height, canvas width) uint8.

        Args:
            looks: what was looked at.
            output: an answer for each look.
            pixels: (H, W, 3) uint8 sRGB, the picture, whose colours refine the map.
        """
        classes, geometry = self.manifest.classes, self.manifest.geometry
        height_px, width_px = pixels.shape[:2]
        counts = counting_looks(looks.looks, output.score, classes, geometry.sight_share)
        merged = merge_looks(output.probability, looks.looks, height_px, width_px, geometry, counts)
        return refine(merged, pixels, [spec.refinement for spec in classes])

    def finish(
        self,
        prepared: Prepared,
        output: EngineOutput,
        wanted: Collection[str] = (),
    ) -> PictureFindings:
        """Turn the network's answers into findings.

        Args:
            prepared: the picture.
            output: an answer for each look.
            wanted: classes to assess; empty means all.

        Raises:
            UnknownClassError: a class that the model does not have.
        """
        picture = prepared.picture
        merged = self.merge(prepared.looks, output, picture.pixels)
        scores = picture_scores(output.score).tolist()
        findings = find(picture.pixels, merged, scores, self.manifest, wanted)
        return PictureFindings(
            picture=picture, findings=findings, look_count=len(prepared.looks.looks)
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
        output = engine.run(prepared.looks.tiles)
        return self.finish(prepared, output, wanted)


def picture_scores(scores: NDArray[np.float32]) -> NDArray[np.float32]:
    """Image-level scores (C,) of a picture from those of its looks (L, C): the highest."""
    return scores.max(axis=0).astype(np.float32)
