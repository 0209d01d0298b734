"""How many calls with pictures are open at once, each of which may have one on its way."""

import asyncio
from contextlib import ExitStack
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from hunique_proto.v1 import hand_features_pb2 as pb
from hunique_server.open_calls import OpenCalls

Code = grpc.StatusCode
LONG_S = 120.0
SEGMENT = "/hunique.v1.HandFeatures/Segment"


@pytest.mark.parametrize(("max_items", "first", "second"), [(1, 48, 12), (128, 384, 96)])
def test_nobody_has_all_calls(max_items: int, first: int, second: int) -> None:
    """One client has three quarters, the next one three quarters of the rest; all come back."""
    calls, counts = OpenCalls(max_items), []
    with ExitStack() as stack:
        for client in ("first", "second", "third"):
            count = 0
            while calls.refusal(client) is None:
                stack.enter_context(calls.enter(client))
                count += 1
            counts.append(count)
        assert counts[:2] == [first, second]
        assert counts[2] > 0
        assert calls.count == sum(counts)
    assert calls.count == 0
    assert calls.refusal("first") is None


async def test_call_beyond_is_refused_with_a_time(serve: Any, red_png: bytes) -> None:
    """Whether streams or not; probes are answered; and who ends a call may open another one."""
    served = await serve(max_queue_items=1)
    idle = [served.stub.SegmentStream() for _ in range(48)]
    await served.until("hunique_open_calls", 48)
    request = pb.SegmentRequest(image=red_png, request_id="1")
    for call in (served.stub.Segment(request), served.stub.SegmentStream(iter([request]))):
        assert await asyncio.wait_for(call.code(), LONG_S) is Code.RESOURCE_EXHAUSTED
        assert "at most 64 open calls" in await call.details()
        assert int(dict(await call.trailing_metadata())["retry-after-ms"]) > 0
    health = health_pb2_grpc.HealthStub(served.channel)
    assert (await health.Check(health_pb2.HealthCheckRequest())).status == 1
    idle[0].cancel()
    await served.until("hunique_open_calls", 47)
    assert (await served.stub.Segment(request)).findings
    for call in idle:
        call.cancel()
    await served.until("hunique_open_calls", 0)


async def test_call_counts_before_its_message_is_there(serve: Any) -> None:
    """What arrives slowly takes a place all the while, and gives it back when its caller leaves."""
    served = await serve()
    silent = served.channel.stream_unary(SEGMENT)()
    await served.until("hunique_open_calls", 1)
    silent.cancel()
    await served.until("hunique_open_calls", 0)


async def test_call_without_its_message_is_refused(serve: Any) -> None:
    """Nothing sent is no message; more than is taken is said by gRPC. Both give back the place."""
    served = await serve(max_image_bytes=1000)
    nothing = served.channel.stream_unary(SEGMENT)(iter([]))
    assert await asyncio.wait_for(nothing.code(), LONG_S) is Code.INVALID_ARGUMENT
    assert "no message" in await nothing.details()
    large = served.stub.Segment(pb.SegmentRequest(image=bytes(200_000)))
    assert await asyncio.wait_for(large.code(), LONG_S) is Code.RESOURCE_EXHAUSTED
    await served.until("hunique_open_calls", 0)
