"""Whose picture is next, as callers see it: priorities, shares and refusals over the wire."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest

from hunique_models.engine import EngineOutput
from hunique_proto.inference import open_inference_pb2 as oip
from hunique_proto.inference import open_inference_pb2_grpc as oip_grpc
from hunique_proto.v1 import hand_features_pb2 as pb
from hunique_proto.v1 import hand_features_pb2_grpc as pb_grpc

LONG_S = 120.0
Code = grpc.StatusCode
Grey = Callable[[int], bytes]


@pytest.fixture
def grey(encode: Any) -> Grey:
    """A picture of one look and one value, by which its run is recognised."""
    return lambda value: bytes(encode(np.full((64, 64, 3), value, np.uint8)))


@pytest.fixture
def order(obedient: Any, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The values of the pictures in the order in which the engine ran them."""
    values: list[int] = []
    run = obedient.run

    def note(images: np.ndarray) -> EngineOutput:
        values.extend(int(value) for value in images[:, 0, 0, 0])
        output = run(images)
        assert isinstance(output, EngineOutput)
        return output

    monkeypatch.setattr(obedient, "run", note)
    return values


def _said(priority: str) -> tuple[tuple[str, str], ...]:
    return (("hunique-priority", priority),)


async def _begin(served: Any, obedient: Any, grey: Grey, order: list[int]) -> Any:
    """A picture that the engine has begun and does not end; the order starts after it."""
    obedient.hold()
    first = served.stub.Segment(pb.SegmentRequest(image=grey(1)))
    await obedient.busy()
    order.clear()
    return first


@pytest.mark.parametrize(
    ("stream_says", "picture_says", "picture_is_first"),
    [
        (None, None, True),
        ("interactive", None, False),
        (None, "bulk", False),
        ("bulk", "interactive", True),
    ],
)
async def test_screen_goes_before_the_stream_unless_told(
    serve: Any,
    obedient: Any,
    grey: Grey,
    order: list[int],
    stream_says: str | None,
    picture_says: str | None,
    picture_is_first: bool,
) -> None:
    """A lone picture is run before a stream that came first; metadata can say otherwise."""
    served = await serve(obedient, max_batch=1)
    begun = await _begin(served, obedient, grey, order)
    stream = served.stub.SegmentStream(metadata=_said(stream_says) if stream_says else None)
    for number in range(6):
        await stream.write(pb.SegmentRequest(image=grey(20 + number), request_id=str(number)))
    await stream.done_writing()
    await served.until("hunique_queue_items", 7)
    request = pb.SegmentRequest(image=grey(100))
    metadata = _said(picture_says) if picture_says else None
    picture = served.stub.Segment(request, metadata=metadata)
    await served.until("hunique_queue_items", 8)
    if picture_is_first:  # in both lines it is decoded and waits for the engine
        await served.until("hunique_queue_looks", 1, priority="interactive")
    obedient.free.set()
    await asyncio.gather(begun, picture)
    assert {answer.request_id async for answer in stream} == set("012345")
    assert (order[0] == 100) is picture_is_first  # two of the stream are decoded at once
    assert sorted(order) == [20, 21, 22, 23, 24, 25, 100]


@pytest.mark.parametrize("bad", ["", "urgent", "BULK"])
async def test_priority_that_there_is_not_is_refused(serve: Any, grey: Grey, bad: str) -> None:
    """Every way into the server says which priorities there are, and begins nothing."""
    served = await serve()
    other = oip_grpc.GRPCInferenceServiceStub(served.channel)
    # nothing is sent in streams: grpc.aio calls it INTERNAL if the answer overtakes a message
    calls = [
        served.stub.Segment(pb.SegmentRequest(image=grey(1)), metadata=_said(bad)),
        served.stub.SegmentStream(metadata=_said(bad)),
        other.ModelInfer(oip.ModelInferRequest(), metadata=_said(bad)),
        other.ModelStreamInfer(metadata=_said(bad)),
    ]
    for call in calls:
        assert await asyncio.wait_for(call.code(), LONG_S) is Code.INVALID_ARGUMENT
        said = await call.details()
        assert "hunique-priority interactive or bulk" in said
        assert repr(bad) in said
    assert served.sample("hunique_decode_duration_seconds_count") == 0


async def test_crowd_of_one_client_delays_another_by_a_few_pictures(
    serve: Any, obedient: Any, grey: Grey, order: list[int], tmp_path: Path
) -> None:
    """With dozens of pictures of one client waiting, another's is among the next ones."""
    socket = f"unix:{tmp_path / 'h.sock'}"
    served = await serve(obedient, max_batch=1, listen=("127.0.0.1:0", socket))
    begun = await _begin(served, obedient, grey, order)
    crowd = [served.stub.Segment(pb.SegmentRequest(image=grey(20 + n))) for n in range(40)]
    await served.until("hunique_queue_items", 41)
    async with grpc.aio.insecure_channel(socket) as channel:
        one = pb_grpc.HandFeaturesStub(channel).Segment(pb.SegmentRequest(image=grey(200)))
        await served.until("hunique_queue_items", 42)
        obedient.free.set()
        await asyncio.wait_for(asyncio.gather(begun, one, *crowd), LONG_S)
    assert order.index(200) <= 5
    assert sorted(order) == [*range(20, 60), 200]


async def test_client_over_its_share_is_told_when_to_come_back_and_others_come_in(
    serve: Any, obedient: Any, grey: Grey, tmp_path: Path
) -> None:
    """Three quarters of the queue are one client's; gRPC's own clients read the hint as well."""
    socket = f"unix:{tmp_path / 'h.sock'}"
    served = await serve(obedient, max_queue_items=4, listen=("127.0.0.1:0", socket))
    obedient.hold()
    calls = [served.stub.Segment(pb.SegmentRequest(image=grey(20 + n))) for n in range(3)]
    await served.until("hunique_queue_items", 3)
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await served.stub.Segment(pb.SegmentRequest(image=b"not even a picture"))
    assert refused.value.code() is Code.RESOURCE_EXHAUSTED
    assert "items of one client" in str(refused.value.details())
    trailer = dict(refused.value.trailing_metadata())
    assert trailer["grpc-retry-pushback-ms"] == trailer["retry-after-ms"]
    assert int(trailer["retry-after-ms"]) >= 10
    async with grpc.aio.insecure_channel(socket) as channel:
        other = pb_grpc.HandFeaturesStub(channel).Segment(pb.SegmentRequest(image=grey(200)))
        await served.until("hunique_queue_items", 4)
        obedient.free.set()
        await asyncio.wait_for(asyncio.gather(other, *calls), LONG_S)
