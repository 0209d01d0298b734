"""Streams and deadlines of the Open Inference Protocol."""

import asyncio
import time
from typing import Any

import grpc
import pytest

from hunique_proto.inference import open_inference_pb2 as pb
from hunique_proto.inference import open_inference_pb2_grpc as pb_grpc
from hunique_server.batcher import Batcher
from hunique_server.caller import Caller

Code = grpc.StatusCode
LONG_S = 120.0


def _stub(served: Any) -> Any:
    return pb_grpc.GRPCInferenceServiceStub(served.channel)


def _pictures(*images: bytes, **request: Any) -> pb.ModelInferRequest:
    tensor = {
        "name": "encoded_image", "datatype": "BYTES", "shape": [len(images)],
        "contents": {"bytes_contents": images},
    }  # fmt: skip
    return pb.ModelInferRequest(model_name="tiny", inputs=[tensor], **request)


def _black_look() -> pb.ModelInferRequest:
    tensor = {"name": "image", "datatype": "UINT8", "shape": [1, 64, 64, 3]}
    return pb.ModelInferRequest(
        model_name="tiny", inputs=[tensor], raw_input_contents=[bytes(64 * 64 * 3)]
    )


async def test_stream_answers_in_order(
    serve: Any, obedient: Any, red_png: bytes, small_png: bytes
) -> None:
    """Also a refusal waits for its turn, for without an id only the order tells whose it is."""
    served = await serve(obedient)
    obedient.hold()
    stream = _stub(served).ModelStreamInfer()
    requests = [
        _pictures(red_png, id="a"),
        _pictures(b"no image"),
        _black_look(),
        _pictures(small_png, model_version="7", id="d"),
        _pictures(small_png, id="a"),
    ]
    for request in requests:
        await stream.write(request)
    await served.until("hunique_requests_total", 1, method="ModelStreamInfer", code="NOT_FOUND")
    obedient.free.set()
    await stream.done_writing()
    answers = [answer async for answer in stream]
    assert [answer.infer_response.id for answer in answers] == ["a", "", "", "d", "a"]
    said = [answer.error_message for answer in answers]
    assert [bool(message) for message in said] == [False, True, False, True, False]
    assert "none of these" in said[1]
    assert "found '7'" in said[3]
    for request, answer in zip(requests, answers, strict=True):
        if not answer.error_message:
            final = answer.infer_response.parameters.pop("triton_final_response")
            assert final.bool_param
            alone = await _stub(served).ModelInfer(request)
            assert len(alone.outputs) == len(answer.infer_response.outputs)
            assert alone.outputs[0].name == answer.infer_response.outputs[0].name
    assert served.sample("hunique_requests_total", method="ModelStreamInfer", code="OK") == 3


async def test_stream_waits_for_room(serve: Any, small_png: bytes) -> None:
    """More requests, of several pictures each, than the queue holds are slowed, not refused."""
    served = await serve(max_queue_items=3)
    sent = [_pictures(small_png, small_png, id=str(number)) for number in range(40)]
    stream = _stub(served).ModelStreamInfer(iter(sent), timeout=LONG_S)
    answers = [answer async for answer in stream]
    assert [answer.infer_response.id for answer in answers] == [request.id for request in sent]
    assert not any(answer.error_message for answer in answers)


async def test_stream_that_waits_is_seen(serve: Any, obedient: Any, small_png: bytes) -> None:
    """What a full queue keeps from coming in is in the metrics, and gone when its caller is."""
    served = await serve(obedient, max_queue_items=2)
    obedient.hold()
    streams = [_stub(served).ModelStreamInfer() for _ in range(2)]
    for stream in streams:
        await stream.write(_pictures(small_png, small_png))
        await served.until("hunique_queue_items", 2)
    await served.until("hunique_waiting_items", 2)
    assert served.sample("hunique_waiting_bytes") == 2 * len(small_png)
    streams[1].cancel()
    await served.until("hunique_waiting_items", 0)
    obedient.free.set()
    assert not (await streams[0].read()).error_message


async def test_stream_in_a_drain_is_answered_as_far_as_it_was_read(
    serve: Any, obedient: Any, red_png: bytes
) -> None:
    """What was read is answered; then UNAVAILABLE says that there may have been more."""
    served = await serve(obedient, drain_s=LONG_S)
    idle = _stub(served).ModelStreamInfer()
    await idle.write(_pictures(red_png))
    assert not (await idle.read()).error_message
    obedient.hold()
    stream = _stub(served).ModelStreamInfer()
    await stream.write(_pictures(red_png, id="a"))
    await obedient.busy()
    stopping = asyncio.create_task(served.server.stop())
    assert await asyncio.wait_for(idle.code(), LONG_S) is Code.UNAVAILABLE
    late = _stub(served).ModelInfer(_pictures(red_png))
    assert await asyncio.wait_for(late.code(), LONG_S) is Code.UNAVAILABLE
    obedient.free.set()
    assert (await stream.read()).infer_response.id == "a"
    assert await asyncio.wait_for(stream.code(), LONG_S) is Code.UNAVAILABLE
    await asyncio.wait_for(stopping, LONG_S)


@pytest.mark.parametrize("kind", ["looks", "pictures"])
async def test_timeout_ends_the_wait_for_room(
    serve: Any, obedient: Any, small_png: bytes, kind: str
) -> None:
    """A request that waits in a stream is told at its time, not when a place is free."""
    served = await serve(obedient, max_queue_items=1)
    obedient.hold()
    running = _stub(served).ModelInfer(_pictures(small_png))
    await obedient.busy()
    request = _black_look() if kind == "looks" else _pictures(small_png)
    request.parameters["timeout"].int64_param = 1
    stream = _stub(served).ModelStreamInfer(iter([request]), timeout=LONG_S)
    (answer,) = [answer async for answer in stream]
    assert "the deadline passed" in answer.error_message
    assert not running.done()
    assert served.sample("hunique_waiting_items") == 0
    obedient.free.set()
    assert (await running).outputs


@pytest.mark.parametrize("kind", ["looks", "pictures"])
async def test_timeout_ends_what_is_inside(
    serve: Any, obedient: Any, small_png: bytes, kind: str
) -> None:
    """So it does where the picture's own run goes on."""
    served = await serve(obedient)
    obedient.hold()
    request = _black_look() if kind == "looks" else _pictures(small_png)
    request.parameters["timeout"].int64_param = 300_000
    late = _stub(served).ModelInfer(request, timeout=LONG_S)
    assert await asyncio.wait_for(late.code(), LONG_S) is Code.DEADLINE_EXCEEDED
    assert not obedient.free.is_set()
    await served.until("hunique_queue_items", 0)


@pytest.mark.parametrize("kind", ["looks", "pictures"])
@pytest.mark.parametrize(("timeout_us", "most_s"), [(None, 100.0), (50_000_000, 50.0)])
async def test_earlier_of_both_deadlines_holds(
    serve: Any, small_png: bytes, kind: str, timeout_us: int | None, most_s: float,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """What the caller allows reaches the batcher, alone and in a stream."""
    stub = _stub(await serve())
    seen: list[float] = []
    submit = Batcher.submit

    async def spy(self: Any, items: Any, caller: Caller) -> Any:
        assert caller.deadline_s is not None
        seen.append(caller.deadline_s - time.monotonic())
        return await submit(self, items, caller)

    monkeypatch.setattr(Batcher, "submit", spy)
    request = _black_look() if kind == "looks" else _pictures(small_png)
    if timeout_us:
        request.parameters["timeout"].int64_param = timeout_us
    await stub.ModelInfer(request, timeout=100)
    assert [answer async for answer in stub.ModelStreamInfer(iter([request]), timeout=100)]
    assert len(seen) == 2
    assert all(most_s - 20 < left_s < most_s + 1 for left_s in seen)
