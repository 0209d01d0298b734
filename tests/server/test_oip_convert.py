"""Requests of the Open Inference Protocol, understood or refused with a reason."""

import re
import tracemalloc
import weakref
from typing import Any

import numpy as np
import pytest

from hunique_models.bundle import Bundle
from hunique_models.engine import FakeEngine
from hunique_models.geometry import Detail
from hunique_models.pipeline import Pipeline
from hunique_proto.inference import open_inference_pb2 as pb
from hunique_proto.v1 import hand_features_pb2 as v1
from hunique_server import oip_convert
from hunique_server.errors import RequestError
from hunique_server.oip_convert import (
    LooksCall,
    PicturesCall,
    draw_labels,
    masks_of,
    read_call,
    write_response,
)

LOOK = bytes(range(256)) * 48
"""64 x 64 x 3 values."""
MOST_ITEMS = 8
Parameter = pb.InferParameter


def _looks(**changes: Any) -> pb.ModelInferRequest:
    tensor = {"name": "image", "datatype": "UINT8", "shape": [1, 64, 64, 3]}
    request: dict[str, Any] = {"model_name": "tiny", "raw_input_contents": [LOOK]}
    for key, value in changes.items():
        (tensor if key in (*tensor, "contents") else request)[key] = value
    return pb.ModelInferRequest(inputs=[tensor], **request)


def _pictures(*images: bytes, **request: Any) -> pb.ModelInferRequest:
    raw = b"".join(len(image).to_bytes(4, "little") + image for image in images)
    tensor = {"name": "encoded_image", "datatype": "BYTES", "shape": [len(images)]}
    return pb.ModelInferRequest(
        model_name="tiny", inputs=[tensor], **{"raw_input_contents": [raw], **request}
    )


def _read(request: pb.ModelInferRequest, bundle: Bundle) -> Any:
    # as a server gets it
    sent = pb.ModelInferRequest.FromString(request.SerializeToString())
    return read_call(sent, bundle.manifest, most_items=MOST_ITEMS)


def _typed(**contents: Any) -> dict[str, Any]:
    return {"raw_input_contents": [], "contents": contents}


def test_looks_are_the_same_raw_and_typed(tiny_bundle: Bundle) -> None:
    """Both ways give the bytes that were sent, in their shape."""
    for request in (_looks(), _looks(**_typed(uint_contents=LOOK))):
        call = _read(request, tiny_bundle)
        assert isinstance(call, LooksCall)
        assert (call.count, call.size_bytes) == (1, len(LOOK) * (1 if call.raw else 4))
        looks = call.looks()
        assert (looks.shape, looks.dtype) == ((1, 64, 64, 3), np.uint8)
        assert looks.tobytes() == LOOK


def test_pictures_are_the_same_raw_and_typed(tiny_bundle: Bundle) -> None:
    """Both ways give the files that were sent, also empty ones, in their order."""
    images = (b"one", b"", b"three" * 100)
    typed = _pictures(*images, raw_input_contents=[])
    typed.inputs[0].contents.bytes_contents.extend(images)
    for request in (_pictures(*images), typed):
        call = _read(request, tiny_bundle)
        assert isinstance(call, PicturesCall)
        assert call.images == images
        assert (call.count, call.size_bytes) == (3, 503)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"name": "picture"}, "expected one input, image or encoded_image, found picture"),
        ({"datatype": "FP32"}, "expected image as UINT8, found FP32"),
        ({"datatype": ""}, "expected image as UINT8, found no datatype"),
        ({"shape": [64, 64, 3]}, r"shape [N, 64, 64, 3], N at least 1, found [64, 64, 3]"),
        ({"shape": [1, 3, 64, 64]}, "found [1, 3, 64, 64]"),
        ({"shape": [0, 64, 64, 3]}, "found [0, 64, 64, 3]"),
        ({"shape": [-1, 64, 64, 3]}, "found [-1, 64, 64, 3]"),
        ({"shape": [9, 64, 64, 3]}, "at most 8 pictures in a request (--max-queue-items), found 9"),
        ({"raw_input_contents": [LOOK, LOOK]}, "for the one input or none, found 2"),
        ({"contents": {"uint_contents": [1]}}, "raw_input_contents alone, found uint_contents"),
        (_typed(fp32_contents=[0.5]), "elements of image in uint_contents, found fp32_contents"),
        (_typed(int_contents=[1]), "elements of image in uint_contents, found int_contents"),
        ({"outputs": [{"name": "masks"}]}, "out of probability, score; found 'masks'"),
        ({"parameters": {"detail": Parameter(string_param="fast")}}, "out of timeout; found det"),
        ({"parameters": {"timeout": Parameter(int64_param=-5)}}, "0 for none, found -5"),
        ({"parameters": {"timeout": Parameter(string_param="1")}}, "whole number"),
    ],
)  # fmt: skip
def test_wrong_tensor_is_explained(tiny_bundle: Bundle, changes: dict[str, Any], said: str) -> None:
    """What was expected and what was found, before anything is done."""
    with pytest.raises(RequestError, match=re.escape(said)):
        _read(_looks(**changes), tiny_bundle)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"raw_input_contents": [LOOK[:-1]]}, "expected 12288 bytes for image"),
        ({"raw_input_contents": [LOOK + b"x"]}, "found 12289"),
        (_typed(), "expected 12288 elements in image"),
        (_typed(uint_contents=[256, *LOOK[1:]]), "0 to 255, found 256"),
    ],
)
def test_wrong_number_or_range_of_elements_is_explained(
    tiny_bundle: Bundle, changes: dict[str, Any], said: str
) -> None:
    """Nothing is cut, filled up or wrapped around."""
    with pytest.raises(RequestError, match=said):
        _read(_looks(**changes), tiny_bundle).looks()


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (b"\x01\x00", "found 2 bytes for element 0"),
        (b"\x05\x00\x00\x00four", "found 8 bytes for element 0"),
        (b"\x01\x00\x00\x00a\xff\xff\xff\xffb", "found 5 bytes for element 1"),
        (b"", "expected 1 elements in encoded_image of shape [1], found 0"),
        (b"\x01\x00\x00\x00a" * 2, "elements in encoded_image of shape [1], found 5 bytes more"),
    ],
)
def test_wrong_row_of_bytes_is_explained(tiny_bundle: Bundle, raw: bytes, said: str) -> None:
    """Lengths that do not fit the bytes, or elements that do not fit the shape."""
    request = _pictures(b"a", raw_input_contents=[raw])
    with pytest.raises(RequestError, match=re.escape(said)):
        _read(request, tiny_bundle)


@pytest.mark.parametrize("shape", [[1], [2**40]])
def test_row_of_millions_of_empty_elements_is_not_walked(
    tiny_bundle: Bundle, shape: list[int]
) -> None:
    """Elements beyond those that the shape names, or that a request may have, cost nothing."""
    request = _pictures(b"a", raw_input_contents=[bytes(2**22)])
    request.inputs[0].shape[:] = shape
    tracemalloc.start()
    with pytest.raises(RequestError, match=r"4194300 bytes more|at most 8 pictures"):
        _read(request, tiny_bundle)
    _, most_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most_bytes < 2**24  # a million elements take over 2**25


def test_one_input_and_one_alone(tiny_bundle: Bundle) -> None:
    """No input, or both, is neither way in."""
    both = _looks()
    both.inputs.extend(_pictures(b"a").inputs)
    for request, found in ((both, "image, encoded_image"), (pb.ModelInferRequest(), "none")):
        with pytest.raises(RequestError, match=f"expected one input.*found {found}"):
            _read(request, tiny_bundle)


@pytest.mark.parametrize(
    ("place", "setting"),
    [("inputs", "shared_memory_region"), ("outputs", "shared_memory_region"),
     ("outputs", "classification")],
)  # fmt: skip
def test_what_would_change_a_tensor_is_refused(
    tiny_bundle: Bundle, place: str, setting: str
) -> None:
    """Nobody waits for a result in a memory that nobody fills."""
    request = _pictures(b"a", outputs=[{"name": "findings"}])
    getattr(request, place)[0].parameters[setting].string_param = "here"
    with pytest.raises(RequestError, match=f"without {setting}"):
        _read(request, tiny_bundle)


def test_parameters_say_what_is_wanted(tiny_bundle: Bundle) -> None:
    """Classes, detail and time are understood; what a Triton client adds by itself is ignored."""
    call = _read(
        _pictures(
            b"a",
            parameters={
                "classes": Parameter(string_param="ring, tattoo,"),
                "detail": Parameter(string_param="fine"),
                "timeout": Parameter(uint64_param=1_500_000),
                "triton_enable_empty_final_response": Parameter(bool_param=True),
            },
        ),
        tiny_bundle,
    )
    assert call.wish.classes == ("ring", "tattoo")
    assert call.wish.detail is Detail.FINE
    assert call.timeout_s == 1.5
    assert call.outputs == ("findings",)
    plain = _read(_pictures(b"a"), tiny_bundle)
    assert (plain.wish.classes, plain.wish.detail) == ((), Detail.STANDARD)
    assert plain.timeout_s is None


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("detial", Parameter(string_param="fine"), "classes, detail, timeout; found detial"),
        ("priority", Parameter(uint64_param=1), "found priority"),
        ("detail", Parameter(string_param="finest"), "fast, standard, fine; found 'finest'"),
        ("detail", Parameter(int64_param=1), "expected detail as text"),
        ("classes", Parameter(bool_param=True), "expected classes as text"),
        ("classes", Parameter(string_param="," * 10_001), "10000 characters, found 10001"),
    ],
)
def test_parameter_that_cannot_be_met_is_explained(
    tiny_bundle: Bundle, name: str, value: pb.InferParameter, said: str
) -> None:
    """A wish that is not understood is never passed over."""
    with pytest.raises(RequestError, match=said):
        _read(_pictures(b"a", parameters={name: value}), tiny_bundle)


def test_outputs_are_those_asked_for_in_their_order(tiny_bundle: Bundle) -> None:
    """Named outputs alone, each once; those of one picture's size for one picture only."""
    named = [{"name": name} for name in ("masks", "findings", "masks")]
    assert _read(_pictures(b"a", outputs=named), tiny_bundle).outputs == ("masks", "findings")
    assert not _read(_pictures(b"a"), tiny_bundle).wants_labels
    assert _read(_looks(outputs=[{"name": "score"}]), tiny_bundle).outputs == ("score",)
    with pytest.raises(RequestError, match="expected one picture where labels or masks"):
        _read(_pictures(b"a", b"b", outputs=[{"name": "labels"}]), tiny_bundle)


def test_labels_and_masks_are_the_instances(
    tiny_bundle: Bundle, red_square: np.ndarray, encode: Any
) -> None:
    """Each class has its number where its instances are; masks are the same, class by class."""
    pixels = red_square.copy()
    pixels[10:40, 10:60] = (0, 255, 0)
    found = Pipeline(tiny_bundle.manifest).segment(encode(pixels), FakeEngine())
    labels = draw_labels(found)
    masks = masks_of(labels, 4)
    assert labels.shape == (200, 300)
    assert set(np.unique(labels)) == {0, 1, 2}
    assert (masks.shape, masks.dtype, masks.max()) == ((4, 200, 300), np.uint8, 1)
    for mask, finding in zip(masks, found.findings, strict=True):
        whole = sum((one.mask.full() for one in finding.instances), np.zeros((200, 300), np.uint8))
        assert (mask == whole).all()


def test_masks_are_in_memory_once() -> None:
    """Those of the largest picture are hundreds of megabytes: none is kept beside what is sent."""
    labels = np.zeros((1000, 1000), np.uint8)
    tracemalloc.start()
    values = {"masks": masks_of(labels, 4)}
    assert tracemalloc.get_traced_memory()[1] < 6 * labels.size
    tracemalloc.stop()
    kept = weakref.ref(values["masks"])
    response = write_response("", v1.ModelIdentity(), values)
    assert len(response.raw_output_contents[0]) == 4 * labels.size
    assert kept() is None


def test_masks_beyond_a_message_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """What no message can carry is refused with the way out."""
    monkeypatch.setattr(oip_convert, "MAX_MASKS_BYTES", 399)
    with pytest.raises(RequestError, match="found 400; ask for labels"):
        masks_of(np.zeros((10, 10), np.uint8), 4)


def test_answer_is_raw_and_names_its_model() -> None:
    """Numbers little-endian in row-major order, strings behind their lengths, all in order."""
    model = v1.ModelIdentity(name="tiny", version="1.2.3", sha256="ab")
    values = {
        "score": np.array([[0.5, 1.0]], np.float32),
        "findings": [b"{}", b""],
        "labels": np.arange(6, dtype=np.uint8).reshape(2, 3),
    }
    response = write_response("exhibit 7", model, values)
    assert (response.model_name, response.model_version, response.id) == (
        "tiny", "1.2.3", "exhibit 7",
    )  # fmt: skip
    assert response.parameters["model_sha256"].string_param == "ab"
    assert [(o.name, o.datatype, list(o.shape)) for o in response.outputs] == [
        ("score", "FP32", [1, 2]), ("findings", "BYTES", [2]), ("labels", "UINT8", [2, 3]),
    ]  # fmt: skip
    assert list(response.raw_output_contents) == [
        b"\x00\x00\x00\x3f\x00\x00\x80\x3f",
        b"\x02\x00\x00\x00{}\x00\x00\x00\x00",
        b"\x00\x01\x02\x03\x04\x05",
    ]
