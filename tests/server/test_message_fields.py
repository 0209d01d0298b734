"""Messages that would become far more than their bytes, counted before they are made."""

from typing import Any

import grpc
import pytest

from hunique_proto.inference import open_inference_pb2 as oip
from hunique_proto.v1 import hand_features_pb2 as pb
from hunique_server.message_fields import MOST_FIELDS, has_too_many_fields, kind_of_message

Infer, Segment = oip.ModelInferRequest, pb.SegmentRequest
Tensor = Infer.InferInputTensor


def _bytes_field(number: int, content: bytes) -> bytes:
    length, written = len(content), b""
    while length > 127:
        written += bytes([length & 127 | 128])
        length >>= 7
    return bytes([number << 3 | 2]) + written + bytes([length]) + content


def _is_refused(data: bytes, message: Any = Infer) -> bool:
    return has_too_many_fields(data, kind_of_message(message.DESCRIPTOR))


@pytest.mark.parametrize(
    ("message", "one", "inside"),
    [
        (Infer, b"\x2a\x00", ()),  # inputs
        (Infer, b"\x2a\x80\x00", ()),  # the same, its length written long
        (Infer, b"\x32\x00", ()),  # outputs
        (Infer, b"\x3a\x00", ()),  # raw contents
        (Infer, b"\x22\x00", ()),  # parameters
        (Infer, b"\xf8\x07\x00", ()),  # a field that nobody knows
        (Infer, b"\x42\x00", (5, 5)),  # typed elements of an input
        (Infer, b"\x20\x01", (5, 5)),  # numbers that are not packed
        (Infer, b"\x01", (3, 5)),  # a shape
        (Segment, b"\x1a\x00", ()),  # classes
        (Segment, b"\x02", (4,)),  # outputs
    ],
)
def test_message_of_many_parts_is_refused(
    message: Any, one: bytes, inside: tuple[int, ...]
) -> None:
    """Wherever they are, and however little they weigh; as many as are allowed pass."""
    for count, is_refused in ((MOST_FIELDS - 2, False), (MOST_FIELDS + 1, True)):
        data = one * count
        for number in inside:
            data = _bytes_field(number, data)
        message.FromString(data)
        assert _is_refused(data, message) is is_refused


def test_what_is_passed_over_by_its_length_is_not_counted() -> None:
    """A picture, raw elements and packed ones may have as many bytes as the message may."""
    many = bytes(MOST_FIELDS * 2)
    typed = Tensor(name="image", contents={"uint_contents": many})
    assert not _is_refused(Infer(inputs=[typed]).SerializeToString())
    assert not _is_refused(Infer(raw_input_contents=[many]).SerializeToString())
    assert not _is_refused(Segment(image=many).SerializeToString(), Segment)


@pytest.mark.parametrize(
    "data",
    [b"", b"\x80" * 10**6, b"\x2a", b"\x2a\x05", b"\x2a\xff\xff\xff\xff\x7f", b"\x0d\x00", b"\x2b",
     b"\x07", b"\x2a\x01\x2a"],
)  # fmt: skip
def test_bytes_that_are_no_message_are_left_to_protobuf(data: bytes) -> None:
    """They are not counted beyond their fault, nor is anything raised."""
    assert not _is_refused(data)


async def test_message_of_many_parts_is_refused_over_the_wire(serve: Any, red_png: bytes) -> None:
    """INVALID_ARGUMENT with the way out; a stream ends with it after what it sent before."""
    served = await serve()
    path = "/inference.GRPCInferenceService/ModelInfer"
    call = served.channel.unary_unary(path)(b"\x2a\x00" * 100_000)
    assert await call.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert "at most 10000 fields" in await call.details()
    good = pb.SegmentRequest(image=red_png, request_id="1").SerializeToString()
    stream = served.channel.stream_stream("/hunique.v1.HandFeatures/SegmentStream")
    answers = stream(iter([good, b"\x1a\x00" * 100_000]))
    assert pb.SegmentStreamResponse.FromString(await answers.read()).response.request_id == "1"
    with pytest.raises(grpc.aio.AioRpcError, match="at most 10000 fields"):
        await answers.read()
