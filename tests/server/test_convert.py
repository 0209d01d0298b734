import dataclasses
import io

import cv2
import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as coco

from hunique_models.bundle import Bundle
from hunique_models.engine import FakeEngine
from hunique_models.geometry import Detail
from hunique_models.image import FORMATS, DecodeLimits
from hunique_models.pipeline import Pipeline
from hunique_proto.v1 import hand_features_pb2 as pb
from hunique_server.convert import describe, read_wish, write_response
from hunique_server.errors import RequestError

DEFAULT = {pb.OUTPUT_MASK_PNG, pb.OUTPUT_POLYGON}


@pytest.mark.parametrize(
    ("asked", "given"),
    [
        ([], DEFAULT),
        ([pb.OUTPUT_UNSPECIFIED], DEFAULT),
        ([77], DEFAULT),
        ([pb.OUTPUT_OVERLAY, pb.OUTPUT_OVERLAY], {pb.OUTPUT_OVERLAY}),
        ([pb.OUTPUT_MASK_RLE, 77], {pb.OUTPUT_MASK_RLE}),
        ([pb.OUTPUT_SCORES_ONLY], {pb.OUTPUT_SCORES_ONLY}),
        ([pb.OUTPUT_SCORES_ONLY, 77, pb.OUTPUT_UNSPECIFIED], {pb.OUTPUT_SCORES_ONLY}),
    ],
)
def test_outputs_are_understood(asked: list[int], given: set[int]) -> None:
    """Nothing named means the default; values of a later wire are ignored, as the wire says."""
    request = pb.SegmentRequest()
    request.outputs.extend(asked)  # type: ignore[arg-type]
    assert read_wish(request).outputs == given


def test_scores_alone_exclude_masks() -> None:
    """Who asks for scores only and for a mask is told of the contradiction."""
    outputs = [pb.OUTPUT_SCORES_ONLY, pb.OUTPUT_MASK_PNG]
    with pytest.raises(RequestError, match="excludes every other output"):
        read_wish(pb.SegmentRequest(outputs=outputs))


@pytest.mark.parametrize(
    ("asked", "used"),
    [
        (pb.DETAIL_UNSPECIFIED, Detail.STANDARD),
        (pb.DETAIL_FAST, Detail.FAST),
        (pb.DETAIL_STANDARD, Detail.STANDARD),
        (pb.DETAIL_FINE, Detail.FINE),
        (77, Detail.STANDARD),
    ],
)
def test_detail_is_understood(asked: int, used: Detail) -> None:
    """Each level is itself; an unnamed or unknown one is the standard."""
    request = pb.SegmentRequest()
    request.detail = asked  # type: ignore[assignment]
    assert read_wish(request).detail is used


def test_request_id_has_a_longest() -> None:
    """256 characters are taken, of any script; 257 are not."""
    assert read_wish(pb.SegmentRequest(request_id="\u00e4" * 256)).request_id == "\u00e4" * 256
    with pytest.raises(RequestError, match="at most 256 characters, found 257"):
        read_wish(pb.SegmentRequest(request_id="a" * 257))


# pycocotools hands numpy an object of the old array protocol
@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
def test_every_form_of_a_mask_is_the_same_mask(tiny_bundle: Bundle, red_png: bytes) -> None:
    """PNG, run lengths and polygon outline the same pixels; box and area belong to them."""
    outputs = [pb.OUTPUT_MASK_PNG, pb.OUTPUT_MASK_RLE, pb.OUTPUT_POLYGON]
    wish = read_wish(pb.SegmentRequest(outputs=outputs))
    found = Pipeline(tiny_bundle.manifest).segment(red_png, FakeEngine())
    response = write_response(found, wish, pb.ModelIdentity(), tiny_bundle.manifest)
    (instance,) = response.findings[0].instances
    mask = np.asarray(Image.open(io.BytesIO(instance.mask_png)), np.uint8)
    size = instance.mask_rle.size
    runs = {"size": [size.height, size.width], "counts": instance.mask_rle.counts}
    assert (coco.decode(runs) == mask).all()
    drawn = np.zeros_like(mask)
    for ring in instance.polygon:
        assert not ring.hole
        cv2.fillPoly(drawn, [np.reshape(ring.coordinates_px, (-1, 2)).astype(np.int32)], 1)
    assert (drawn == mask).all()
    rows, columns = np.nonzero(mask)
    box = instance.box
    assert (box.x_px, box.y_px) == (columns.min(), rows.min())
    assert (box.width_px, box.height_px) == (np.ptp(columns) + 1, np.ptp(rows) + 1)
    assert instance.area_px == mask.sum()


def test_description_is_that_of_the_manifest(tiny_bundle: Bundle) -> None:
    """What the model is, learned from and takes is told as its makers and operators state it."""
    manifest, limits = tiny_bundle.manifest, DecodeLimits(max_bytes=5, max_pixels=7)
    told = describe(manifest, pb.ModelIdentity(name="tiny"), limits)
    assert [c.name for c in told.classes] == list(manifest.class_names)
    assert [c.definition for c in told.classes] == [c.definition for c in manifest.classes]
    assert {c.presence_threshold for c in told.classes} == {0.5}
    assert told.training_data_statement == manifest.training_data_statement
    assert (told.licence, told.intended_use) == (manifest.licence, manifest.intended_use)
    assert tuple(told.input_formats) == FORMATS
    assert list(told.details) == [pb.DETAIL_FAST, pb.DETAIL_STANDARD, pb.DETAIL_FINE]
    assert (told.max_image_bytes, told.max_image_pixels) == (5, 7)


def test_remarks_are_passed_on(tiny_bundle: Bundle, red_png: bytes) -> None:
    """Those of the picture and those of what was found on it."""
    manifest = tiny_bundle.manifest
    huge = dataclasses.replace(manifest.classes[0], min_area_share=0.99)
    strict = dataclasses.replace(manifest, classes=(huge, *manifest.classes[1:]))
    found = Pipeline(strict).segment(red_png, FakeEngine())
    wish = read_wish(pb.SegmentRequest())
    response = write_response(found, wish, pb.ModelIdentity(), strict)
    assert [remark.split(":")[0] for remark in response.provenance.remarks] == ["tattoo"]
