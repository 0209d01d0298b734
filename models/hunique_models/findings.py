"""From probabilities to findings: status, score and instances of each class.

Presence is decided first, by the calibrated score; only then is a mask drawn. A class
that is hidden by another one is not assessable, not absent.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from enum import StrEnum
from math import exp, log

import cv2
import numpy as np
from numpy.typing import NDArray

from hunique_models.errors import UnknownClassError
from hunique_models.manifest import Calibration, ClassSpec, Manifest
from hunique_models.mask import Mask, components
from hunique_models.measure import Measurements, measure
from hunique_models.regions import Region, examined_area_px

MIN_SIDE_PX = 32
"""Pictures with a shorter side below this are not assessable."""

MAX_INSTANCES = 200
"""As many areas of a class are listed: each costs milliseconds on a large photograph, and a map like
noise has thousands. A hand has five nails."""


class Status(StrEnum):
    """Whether a feature is on the picture; a closed list."""

    PRESENT = "present"
    """There, and outlined."""
    ABSENT = "absent"
    """Assessed and not found."""
    NOT_ASSESSABLE = "not_assessable"
    """The picture does not allow an answer."""
    SKIPPED = "skipped"
    """Not asked for."""


@dataclass(frozen=True, kw_only=True)
class Instance:
    """One connected area that shows the feature."""

    index: int
    """From 1, largest first."""
    score: float
    """Mean pixel probability under the mask, 0 to 1."""
    mask: Mask
    """Which pixels."""
    measurements: Measurements
    """Position, size, shape, colour."""


@dataclass(frozen=True, kw_only=True)
class ClassFinding:
    """What was found of one class."""

    name: str
    """The class."""
    status: Status
    """Whether it is there."""
    reason: str = ""
    """Why it is not assessable."""
    score: float = 0.0
    """Calibrated probability that it is on the picture, 0 to 1."""
    presence_threshold: float = 0.0
    """Score from which it counts as present."""
    instances: tuple[Instance, ...] = ()
    """Largest first, at most `MAX_INSTANCES`; empty unless present."""
    left_out: int = 0
    """Areas that are not among them; none is larger than those that are."""


def calibrated_score(raw: float, calibration: Calibration) -> float:
    """sigmoid(scale * logit(raw) + offset)."""
    clipped = min(max(raw, 1e-6), 1 - 1e-6)
    z = calibration.scale * log(clipped / (1 - clipped)) + calibration.offset
    return 1 / (1 + exp(-z)) if z > -700 else 0.0


def check_classes(wanted: Collection[str], manifest: Manifest) -> frozenset[str]:
    """The classes to assess: those wanted, or all where none is named.

    Raises:
        UnknownClassError: a class that the model does not have.
    """
    unknown = sorted(set(wanted) - set(manifest.class_names))
    if unknown:
        raise UnknownClassError(
            f"Expected classes out of {', '.join(manifest.class_names)}; "
            f"found {', '.join(unknown)[:200]}"
        )
    return frozenset(wanted or manifest.class_names)


def find(
    pixels: NDArray[np.uint8],
    probability: NDArray[np.uint8],
    raw_scores: Sequence[float],
    manifest: Manifest,
    wanted: Collection[str] = (),
    regions: Sequence[Region] = (),
) -> tuple[ClassFinding, ...]:
    """Decide every class of the model on one picture.

    Args:
        pixels: (H, W, 3) uint8 sRGB, upright.
        probability: (C, h, w) uint8, 255 times the pixel probability; the picture's size or
            a shrunk canvas of it.
        raw_scores: C image-level scores, not calibrated.
        manifest: classes and thresholds.
        wanted: classes to assess; empty means all.
        regions: parts that were looked at as pictures of their own.

    Raises:
        UnknownClassError: a class that the model does not have.
    """
    asked = check_classes(wanted, manifest)
    if min(pixels.shape[:2]) < MIN_SIDE_PX:
        return tuple(_too_small(spec, pixels, asked) for spec in manifest.classes)
    found = [
        _assess(index, spec, pixels, probability, raw_scores[index], regions)
        for index, spec in enumerate(manifest.classes)
    ]
    present = {finding.name for finding in found if finding.status is Status.PRESENT}
    return tuple(
        _hide(finding, spec, present) if spec.name in asked else _skipped(spec)
        for finding, spec in zip(found, manifest.classes, strict=True)
    )


def _assess(
    index: int,
    spec: ClassSpec,
    pixels: NDArray[np.uint8],
    probability: NDArray[np.uint8],
    raw_score: float,
    regions: Sequence[Region],
) -> ClassFinding:
    score = calibrated_score(float(raw_score), spec.calibration)
    masks: list[Mask] = []
    if score >= spec.presence_threshold:
        own = _enlarged(probability[index], *pixels.shape[:2])
        masks = _masks(index, spec, own, probability, regions)
    instances = tuple(
        Instance(
            index=number,
            score=_mean_probability(one, own),
            mask=one,
            measurements=measure(one, pixels),
        )
        for number, one in enumerate(masks[:MAX_INSTANCES], start=1)
    )
    return ClassFinding(
        name=spec.name,
        status=Status.PRESENT if instances else Status.ABSENT,
        score=score,
        presence_threshold=spec.presence_threshold,
        instances=instances,
        left_out=len(masks) - len(instances),
    )


def _masks(
    index: int,
    spec: ClassSpec,
    own: NDArray[np.uint8],
    probability: NDArray[np.uint8],
    regions: Sequence[Region],
) -> list[Mask]:
    """The areas of a class, largest first; `own` is its map at the picture's size."""
    height, width = own.shape
    mask = (own >= max(1, round(spec.pixel_threshold * 255))).astype(np.uint8)
    for other in range(len(probability)):
        if other != index:
            # a pixel belongs to its strongest class; of equal ones, to the first
            rival = _enlarged(probability[other], height, width)
            mask &= (own > rival if other < index else own >= rival).astype(np.uint8)
    share = spec.min_area_share
    smallest_px = min([height * width, *(region.area_px for region in regions)])
    return [
        one
        for one in components(mask, round(share * smallest_px))
        if one.area_px >= round(share * _examined_px(one, regions))
    ]


def _examined_px(mask: Mask, regions: Sequence[Region]) -> int:
    x, y, width, height = mask.box
    size_px = (mask.height_px, mask.width_px)
    return examined_area_px(x + width / 2, y + height / 2, regions, size_px)


def _enlarged(plane: NDArray[np.uint8], height: int, width: int) -> NDArray[np.uint8]:
    if plane.shape == (height, width):
        return plane
    return cv2.resize(plane, (width, height), interpolation=cv2.INTER_LINEAR).astype(np.uint8)


def _mean_probability(mask: Mask, plane: NDArray[np.uint8]) -> float:
    x, y, width, height = mask.box
    return cv2.mean(plane[y : y + height, x : x + width], mask=mask.crop)[0] / 255


def _hide(finding: ClassFinding, spec: ClassSpec, present: Collection[str]) -> ClassFinding:
    """Not assessable instead of absent where another present class covers this one."""
    covering = [name for name in spec.obscured_by if name in present]
    if finding.status is not Status.ABSENT or not covering:
        return finding
    return ClassFinding(
        name=finding.name,
        status=Status.NOT_ASSESSABLE,
        reason=f"covered by {', '.join(covering)}",
        score=finding.score,
        presence_threshold=finding.presence_threshold,
    )


def _skipped(spec: ClassSpec) -> ClassFinding:
    return ClassFinding(
        name=spec.name, status=Status.SKIPPED, presence_threshold=spec.presence_threshold
    )


def _too_small(spec: ClassSpec, pixels: NDArray[np.uint8], asked: Collection[str]) -> ClassFinding:
    if spec.name not in asked:
        return _skipped(spec)
    height, width = pixels.shape[:2]
    return ClassFinding(
        name=spec.name,
        status=Status.NOT_ASSESSABLE,
        reason=f"the picture has {width} x {height} pixels; both sides need {MIN_SIDE_PX}",
        presence_threshold=spec.presence_threshold,
    )
