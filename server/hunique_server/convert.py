"""Between the wire and the domain: the one place that knows both."""

from collections.abc import Mapping
from dataclasses import dataclass

from hunique_models.findings import ClassFinding, Instance, Status
from hunique_models.geometry import Detail
from hunique_models.image import FORMATS, DecodeLimits
from hunique_models.manifest import Manifest
from hunique_models.mask import encode_png, encode_rle, outlines
from hunique_models.measure import Measurements
from hunique_models.overlay import draw_overlay, encode_jpeg
from hunique_models.pipeline import PictureFindings
from hunique_proto.v1 import hand_features_pb2 as pb
from hunique_server.errors import RequestError

MAX_REQUEST_ID_LENGTH = 256
_DETAILS: Mapping[int, Detail] = {
    pb.DETAIL_UNSPECIFIED: Detail.STANDARD,
    pb.DETAIL_FAST: Detail.FAST,
    pb.DETAIL_STANDARD: Detail.STANDARD,
    pb.DETAIL_FINE: Detail.FINE,
}
_DETAIL_VALUES = {
    Detail.FAST: pb.DETAIL_FAST,
    Detail.STANDARD: pb.DETAIL_STANDARD,
    Detail.FINE: pb.DETAIL_FINE,
}
_STATUSES = {
    Status.PRESENT: pb.STATUS_PRESENT,
    Status.ABSENT: pb.STATUS_ABSENT,
    Status.NOT_ASSESSABLE: pb.STATUS_NOT_ASSESSABLE,
    Status.SKIPPED: pb.STATUS_SKIPPED,
}
# what is not among them is unspecified, or of a later wire, and ignored
_OUTPUTS = frozenset(pb.Output.values()) - {pb.OUTPUT_UNSPECIFIED}
_DEFAULT_OUTPUTS = frozenset((pb.OUTPUT_MASK_PNG, pb.OUTPUT_POLYGON))


@dataclass(frozen=True, kw_only=True)
class Wish:
    """What a request asks for, understood."""

    request_id: str
    """The caller's name for it."""
    classes: tuple[str, ...]
    """Classes to assess; empty: all."""
    outputs: frozenset[int]
    """Values of `pb.Output`."""
    detail: Detail
    """How closely to look."""


def read_wish(request: pb.SegmentRequest) -> Wish:
    """Understand a request.

    Raises:
        RequestError: a field that cannot be served.
    """
    if len(request.request_id) > MAX_REQUEST_ID_LENGTH:
        raise RequestError(
            f"expected a request_id of at most {MAX_REQUEST_ID_LENGTH} characters, found "
            f"{len(request.request_id)}"
        )
    outputs = _OUTPUTS & frozenset(request.outputs) or _DEFAULT_OUTPUTS
    if pb.OUTPUT_SCORES_ONLY in outputs and len(outputs) > 1:
        raise RequestError("OUTPUT_SCORES_ONLY excludes every other output; found others beside it")
    return Wish(
        request_id=request.request_id,
        classes=tuple(request.classes),
        outputs=outputs,
        # a level that this server does not know yet is treated as unspecified
        detail=_DETAILS.get(request.detail, Detail.STANDARD),
    )


def write_response(
    found: PictureFindings, wish: Wish, model: pb.ModelIdentity, manifest: Manifest
) -> pb.SegmentResponse:
    """The answer without its timings."""
    response = pb.SegmentResponse(
        request_id=wish.request_id,
        provenance=_provenance(found, wish, model),
        findings=[_finding(finding, wish.outputs) for finding in found.findings],
    )
    if pb.OUTPUT_OVERLAY in wish.outputs:
        overlay = draw_overlay(found.picture.pixels, found.findings, manifest)
        response.overlay_jpeg = encode_jpeg(overlay)
    return response


def _provenance(found: PictureFindings, wish: Wish, model: pb.ModelIdentity) -> pb.Provenance:
    picture = found.picture
    return pb.Provenance(
        input_sha256=picture.sha256,
        input_size_bytes=picture.size_bytes,
        input_format=picture.format,
        raw_size=pb.Size(width=picture.raw_width_px, height=picture.raw_height_px),
        upright_size=pb.Size(width=picture.width_px, height=picture.height_px),
        exif_orientation=picture.exif_orientation,
        frame_count=picture.frame_count,
        colour_profile=picture.colour_profile,
        model=model,
        detail=_DETAIL_VALUES[wish.detail],
        look_count=found.look_count,
        remarks=found.remarks,
        hand_regions=[
            pb.Box(x_px=one.x_px, y_px=one.y_px, width_px=one.width_px, height_px=one.height_px)
            for one in found.regions
        ],
    )


def _finding(finding: ClassFinding, outputs: frozenset[int]) -> pb.ClassFinding:
    return pb.ClassFinding(
        class_name=finding.name,
        status=_STATUSES[finding.status],
        reason=finding.reason,
        score=finding.score,
        presence_threshold=finding.presence_threshold,
        instances=[_instance(instance, outputs) for instance in finding.instances],
    )


def _instance(instance: Instance, outputs: frozenset[int]) -> pb.Instance:
    mask = instance.mask
    message = pb.Instance(
        index=instance.index,
        score=instance.score,
        box=pb.Box(
            x_px=mask.box.x, y_px=mask.box.y, width_px=mask.box.width, height_px=mask.box.height
        ),
        area_px=mask.area_px,
        measurements=_measurements(instance.measurements),
    )
    if pb.OUTPUT_MASK_PNG in outputs:
        message.mask_png = encode_png(mask.full())
    if pb.OUTPUT_MASK_RLE in outputs:
        message.mask_rle.counts = encode_rle(mask.full())
        message.mask_rle.size.width = mask.width_px
        message.mask_rle.size.height = mask.height_px
    if pb.OUTPUT_POLYGON in outputs:
        for outline in outlines(mask):
            message.polygon.add(coordinates_px=outline.points.ravel().tolist(), hole=outline.hole)
    return message


def _measurements(measured: Measurements) -> pb.Measurements:
    return pb.Measurements(
        centroid_x_px=measured.centroid_x_px,
        centroid_y_px=measured.centroid_y_px,
        major_axis_px=measured.major_axis_px,
        minor_axis_px=measured.minor_axis_px,
        orientation_deg=measured.orientation_deg,
        perimeter_px=measured.perimeter_px,
        solidity=measured.solidity,
        mean_srgb=measured.mean_srgb,
        area_share=measured.area_share,
    )


def describe(
    manifest: Manifest, model: pb.ModelIdentity, limits: DecodeLimits
) -> pb.DescribeModelResponse:
    """What is served."""
    return pb.DescribeModelResponse(
        model=model,
        classes=[
            pb.ClassDescription(
                name=spec.name,
                definition=spec.definition,
                presence_threshold=spec.presence_threshold,
                pixel_threshold=spec.pixel_threshold,
                colour=spec.colour,
            )
            for spec in manifest.classes
        ],
        input_size_px=manifest.geometry.input_size_px,
        training_data_statement=manifest.training_data_statement,
        licence=manifest.licence,
        intended_use=manifest.intended_use,
        details=list(_DETAIL_VALUES.values()),
        input_formats=FORMATS,
        max_image_bytes=limits.max_bytes,
        max_image_pixels=limits.max_pixels,
    )
