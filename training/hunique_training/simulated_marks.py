"""Marks drawn from truth masks of training pictures, to find out what clicks are worth.

An experiment: nobody clicked. Beside `second_stage.truth_labels` this is the one file of training
that reads masks of training pictures. No module that trains or labels imports it (a contract of
`pyproject.toml`); the command line hands it over, when asked for by
`--simulate-points-from-truth` or `--simulate-boxes-from-truth`. Models taught by it carry
supervision "simulated_marks" in checkpoint and data statement.
"""

import zlib
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from hunique_training.data.labels import DataError, LabelledPicture
from hunique_training.data.marks import Mark, Places
from hunique_training.evaluation.truth import FEATURE, TruthPicture, read_truth

LEAST_AREA_SHARE = 2e-5
"""Share of the picture below which a patch of a mask is no instance that anybody would mark."""
BACKGROUND_DISTANCE_SHARE = 0.02
"""Points of background keep so many diagonals away from every mask."""

Mask = NDArray[np.uint8]


@dataclass(frozen=True, kw_only=True)
class SimulatedMarks:
    """How marks are drawn."""

    points: int = 0
    """Points in each connected patch of a class, and as many on the background of a picture."""
    boxes: bool = False
    """Whether each patch also gets its box."""
    seed: int = 0
    """Of the places."""

    @property
    def facts(self) -> dict[str, Any]:
        """What another person needs to know of it; plain values, the constructor's own."""
        return asdict(self)

    def mark(
        self,
        pictures: Sequence[LabelledPicture],
        label_files: Sequence[Path],
        class_names: Sequence[str],
    ) -> list[LabelledPicture]:
        """The pictures, those of `train` that have masks with marks beside their own.

        Raises:
            DataError: no training picture has a mask, or one cannot be read.
        """
        truths = [t for file in label_files for t in read_truth(file, class_names, "train")]
        by_path = {t.picture.path.resolve(): t for t in truths if any(t.masks)}
        if not by_path:
            raise DataError(
                "expected truth masks of training pictures to draw marks from, found none. Give "
                "--data a label file with a column truth."
            )
        return [
            replace(p, marks=(*p.marks, *self._marks(by_path[p.path.resolve()])))
            if p.path.resolve() in by_path
            else p
            for p in pictures
        ]

    def _marks(self, truth: TruthPicture) -> Iterator[Mark]:
        rng = np.random.default_rng((self.seed, zlib.crc32(truth.picture.path.name.encode())))
        masks = {c: _feature(path) for c, path in enumerate(truth.masks) if path is not None}
        for c, mask in masks.items():
            for patch in patches(mask):
                for place in points_within(patch, self.points, rng):
                    yield Mark(kind="point", label=c + 1, places=(place,))
                if self.boxes:
                    yield Mark(kind="box", label=c + 1, places=box_around(patch))
        # where a class may be anywhere, no place is known to be background
        if all(truth.scored(c) for c in range(len(truth.masks))):
            free = _far_from(list(masks.values()))
            for place in _drawn(np.argwhere(free), free.shape, self.points, rng):
                yield Mark(kind="point", label=0, places=(place,))


def _feature(path: Path) -> Mask:
    mask = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
    if mask is None:
        raise DataError(f"{path}: expected a mask as PNG, found nothing readable")
    return np.asarray(mask == FEATURE, np.uint8)


def patches(mask: Mask) -> list[Mask]:
    """Connected patches of a mask (H, W) uint8 of 0 and 1, each alone; specks left out."""
    count, numbered = cv2.connectedComponents(mask)
    each = [np.asarray(numbered == number, np.uint8) for number in range(1, count)]
    return [patch for patch in each if patch.sum() >= LEAST_AREA_SHARE * patch.size]


def points_within(patch: Mask, count: int, rng: np.random.Generator) -> list[tuple[float, float]]:
    """Places (x, y) in shares, away from the border of a patch as people click."""
    depth = cv2.distanceTransform(np.pad(patch, 1), cv2.DIST_L2, 5)[1:-1, 1:-1]
    deep = np.argwhere(depth >= depth.max() / 2)
    return _drawn(deep, patch.shape, count, rng)


def box_around(patch: Mask) -> Places:
    """Corners of the smallest box around a patch, in shares."""
    left, top, width, height = cv2.boundingRect(patch)
    rows, columns = patch.shape
    return (
        (left / columns, top / rows),
        ((left + width) / columns, (top + height) / rows),
    )


def _far_from(masks: Sequence[Mask]) -> NDArray[np.bool_]:
    everything = np.maximum.reduce(masks)
    distance = cv2.distanceTransform(1 - everything, cv2.DIST_L2, 5)
    return np.asarray(distance > BACKGROUND_DISTANCE_SHARE * np.hypot(*everything.shape))


def _drawn(
    places: NDArray[np.intp], shape: tuple[int, ...], count: int, rng: np.random.Generator
) -> list[tuple[float, float]]:
    """`count` of the places (row, column), or none where there are none."""
    if not len(places):
        return []
    chosen = places[rng.integers(len(places), size=count)]
    return [((x + 0.5) / shape[1], (y + 0.5) / shape[0]) for y, x in chosen.tolist()]
