"""Results as values of this library; messages of the wire do not leave it."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from hunique_client.errors import HuniqueClientError
from hunique_proto.v1 import hand_features_pb2 as pb


class Status(StrEnum):
    """Whether a feature is on a picture; a closed list."""

    UNSPECIFIED = "unspecified"
    """A status that this client does not know."""
    PRESENT = "present"
    """There, and outlined."""
    ABSENT = "absent"
    """Assessed and not found."""
    NOT_ASSESSABLE = "not_assessable"
    """The picture does not allow an answer; `reason` says why."""
    SKIPPED = "skipped"
    """Not asked for."""


class Detail(StrEnum):
    """How closely to look."""

    FAST = "fast"
    """The whole picture once."""
    STANDARD = "standard"
    """Also tiles at twice the network's input size."""
    FINE = "fine"
    """Also tiles at four times the network's input size."""


class Output(StrEnum):
    """What to return beside scores, boxes, areas and measurements."""

    MASK_PNG = "mask_png"
    """Masks as 1-bit PNG."""
    MASK_RLE = "mask_rle"
    """Masks as COCO run-length encoding."""
    POLYGON = "polygon"
    """Outlines."""
    OVERLAY = "overlay"
    """One JPEG with everything drawn on it."""
    SCORES_ONLY = "scores_only"
    """Nothing more."""


@dataclass(frozen=True, kw_only=True)
class Box:
    """Whole pixels of the upright picture: x to x + width - 1."""

    x_px: int
    """Left-most column."""
    y_px: int
    """Upper-most row."""
    width_px: int
    """Columns."""
    height_px: int
    """Rows."""


@dataclass(frozen=True, kw_only=True)
class Instance:
    """One connected area that shows the feature."""

    index: int
    """From 1, largest first."""
    score: float
    """Mean pixel probability inside, 0 to 1."""
    box: Box
    """Smallest upright rectangle around it."""
    area_px: int
    """Pixels."""
    mask_png: bytes
    """1-bit PNG of the upright picture's size; empty where not asked for."""
    mask_rle: Mapping[str, Any] | None
    """COCO: `size` [height, width] and `counts`; None where not asked for."""
    polygon: tuple[tuple[tuple[int, int], ...], ...]
    """Closed lines of points (x, y): the outer one, then those around holes. Filled together by the
    even-odd rule, the lines included, they are the mask."""
    measurements: Mapping[str, Any]
    """By name with unit: centroid_x_px, major_axis_px, orientation_deg, ..."""


@dataclass(frozen=True, kw_only=True)
class ClassResult:
    """What was found of one class."""

    name: str
    """The class."""
    status: Status
    """Whether it is there."""
    reason: str
    """Why it is not assessable."""
    score: float
    """Calibrated probability that it is on the picture, 0 to 1."""
    presence_threshold: float
    """Score from which it counts as present."""
    instances: tuple[Instance, ...]
    """Largest first, at most 200: remarks say how many more there were."""

    @property
    def area_px(self) -> int:
        """Pixels of all instances that are listed."""
        return sum(instance.area_px for instance in self.instances)


@dataclass(frozen=True, kw_only=True)
class SegmentResult:
    """The answer for one picture."""

    width_px: int
    """Of the upright picture."""
    height_px: int
    """Of the upright picture."""
    classes: tuple[ClassResult, ...]
    """In the model's order."""
    provenance: Mapping[str, Any]
    """What was examined with what: digests, sizes, model, versions, timings."""
    overlay_jpeg: bytes
    """Empty where not asked for."""

    def __getitem__(self, name: str) -> ClassResult:
        """The result of one class.

        Raises:
            KeyError: the model has no such class.
        """
        for result in self.classes:
            if result.name == name:
                return result
        known = ", ".join(result.name for result in self.classes)
        raise KeyError(f"expected one of {known}; found {name!r}")

    @property
    def assessable(self) -> bool:
        """Whether any class could be assessed."""
        return any(result.status in (Status.PRESENT, Status.ABSENT) for result in self.classes)


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What became of one picture of many: a result, or the error it gave."""

    source: Any
    """The picture as it was given."""
    result: SegmentResult | None = None
    """The answer."""
    error: HuniqueClientError | None = None
    """Why there is none."""


@dataclass(frozen=True, kw_only=True)
class ModelDescription:
    """The served model."""

    name: str
    """Its name."""
    version: str
    """Its version."""
    sha256: str
    """Of its manifest, and so of everything in it."""
    engine: str
    """What runs it."""
    classes: tuple[Mapping[str, Any], ...]
    """Name, definition, thresholds and colour of each."""
    facts: Mapping[str, Any]
    """Everything else that the server says of it."""


def read_response(response: pb.SegmentResponse) -> SegmentResult:
    """The values of an answer."""
    upright = response.provenance.upright_size
    return SegmentResult(
        width_px=upright.width,
        height_px=upright.height,
        classes=tuple(_class_result(finding) for finding in response.findings),
        provenance=_provenance(response.provenance),
        overlay_jpeg=response.overlay_jpeg,
    )


def read_description(response: pb.DescribeModelResponse) -> ModelDescription:
    """The values of a model's description."""
    model = response.model
    return ModelDescription(
        name=model.name,
        version=model.version,
        sha256=model.sha256,
        engine=model.engine,
        classes=tuple(
            {
                "name": one.name,
                "definition": one.definition,
                "presence_threshold": round(one.presence_threshold, 6),
                "pixel_threshold": round(one.pixel_threshold, 6),
                "colour": one.colour,
            }
            for one in response.classes
        ),
        facts={
            "input_size_px": response.input_size_px,
            "training_data_statement": response.training_data_statement,
            "licence": response.licence,
            "intended_use": response.intended_use,
            "details": [_word(pb.Detail, d) for d in response.details],
            "input_formats": list(response.input_formats),
            "max_image_bytes": response.max_image_bytes,
            "max_image_pixels": response.max_image_pixels,
            "runtime_versions": dict(sorted(model.runtime_versions.items())),
        },
    )


def _class_result(finding: pb.ClassFinding) -> ClassResult:
    return ClassResult(
        name=finding.class_name,
        status=Status(_word(pb.Status, finding.status)),
        reason=finding.reason,
        score=round(finding.score, 6),
        presence_threshold=round(finding.presence_threshold, 6),
        instances=tuple(_instance(instance) for instance in finding.instances),
    )


def _instance(instance: pb.Instance) -> Instance:
    box, rle = instance.box, instance.mask_rle
    return Instance(
        index=instance.index,
        score=round(instance.score, 6),
        box=Box(x_px=box.x_px, y_px=box.y_px, width_px=box.width_px, height_px=box.height_px),
        area_px=instance.area_px,
        mask_png=instance.mask_png,
        mask_rle={"size": [rle.size.height, rle.size.width], "counts": rle.counts}
        if rle.counts
        else None,
        polygon=tuple(
            _points(ring.coordinates_px) for ring in sorted(instance.polygon, key=lambda r: r.hole)
        ),
        measurements={
            field.name: _plain(getattr(instance.measurements, field.name))
            for field in pb.Measurements.DESCRIPTOR.fields
        },
    )


def _points(flat: Any) -> tuple[tuple[int, int], ...]:
    return tuple(zip(flat[::2], flat[1::2], strict=True))


def _plain(value: Any) -> float | list[float]:
    return round(value, 4) if isinstance(value, float) else [round(v, 4) for v in value]


def _provenance(block: pb.Provenance) -> dict[str, Any]:
    return {
        "input_sha256": block.input_sha256,
        "input_size_bytes": block.input_size_bytes,
        "input_format": block.input_format,
        "raw_size_px": [block.raw_size.width, block.raw_size.height],
        "upright_size_px": [block.upright_size.width, block.upright_size.height],
        "exif_orientation": block.exif_orientation,
        "frame_count": block.frame_count,
        "colour_profile": block.colour_profile,
        "detail": _word(pb.Detail, block.detail),
        "look_count": block.look_count,
        "hand_regions_xywh_px": [
            [one.x_px, one.y_px, one.width_px, one.height_px] for one in block.hand_regions
        ],
        "remarks": list(block.remarks),
        "model": {
            "name": block.model.name,
            "version": block.model.version,
            "sha256": block.model.sha256,
            "engine": block.model.engine,
            "runtime_versions": dict(sorted(block.model.runtime_versions.items())),
        },
        "timings_ns": {
            field.name.removesuffix("_ns"): getattr(block.timings, field.name)
            for field in pb.Timings.DESCRIPTOR.fields
        },
    }


def _word(kind: Any, value: int) -> str:
    """The word for an enum's value; a value that is not known here is unspecified."""
    if value not in kind.values():
        return "unspecified"
    return str(kind.Name(value)).partition("_")[2].lower()
