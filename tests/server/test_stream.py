"""SegmentStream: many pictures over one call."""

import asyncio
import weakref
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, nullcontext
from typing import Any

import grpc
import pytest

from hunique_proto.v1 import hand_features_pb2 as pb
from hunique_server.caller import Caller
from hunique_server.metrics import Metrics
from hunique_server.service import HandFeatures
from hunique_server.streams import STREAM_IN_FLIGHT

Code = grpc.StatusCode
Untimed = Callable[[pb.SegmentResponse], bytes]


def _asks(image: bytes, request_id: str = "", **wish: Any) -> pb.SegmentRequest:
    return pb.SegmentRequest(image=image, request_id=request_id, **wish)


async def _answers(stream: Any) -> list[pb.SegmentStreamResponse]:
    await stream.done_writing()
    answers = []
    while (answer := await stream.read()) is not grpc.aio.EOF:
        answers.append(answer)
    return answers


async def test_stream_answers_as_pictures_are_ready(
    serve: Any, obedient: Any, red_png: bytes, untimed: Untimed
) -> None:
    """A bad picture in the middle gets an error at once; the others their answers, by their ids."""
    served = await serve(obedient)
    obedient.hold()
    stream = served.stub.SegmentStream()
    for request_id, image in (("a", red_png), ("bad", b"no image"), ("c", red_png)):
        await stream.write(_asks(image, request_id))
    first = await stream.read()
    assert (first.request_id, first.error.code) == ("bad", Code.INVALID_ARGUMENT.value[0])
    assert "none of these" in first.error.message
    obedient.free.set()
    answers = {answer.request_id: answer.response for answer in await _answers(stream)}
    assert set(answers) == {"a", "c"}
    for request_id, response in answers.items():
        alone = await served.stub.Segment(_asks(red_png, request_id))
        assert untimed(response) == untimed(alone)
    assert served.sample("hunique_requests_total", method="SegmentStream", code="OK") == 2


async def test_stream_refuses_an_id_that_is_missing_or_in_use(
    serve: Any, obedient: Any, red_png: bytes
) -> None:
    """No two open requests share an id; the one that had it first is answered."""
    served = await serve(obedient)
    obedient.hold()
    stream = served.stub.SegmentStream()
    await stream.write(_asks(red_png, "a"))
    await obedient.busy()
    for request_id, found in (("a", "one in use"), ("a", "one in use"), ("", "found none")):
        await stream.write(_asks(red_png, request_id))
        answer = await stream.read()
        assert (answer.request_id, answer.error.code) == (request_id, 3)
        assert found in answer.error.message
    obedient.free.set()
    (answer,) = await _answers(stream)
    assert (answer.request_id, answer.WhichOneof("outcome")) == ("a", "response")


@pytest.mark.parametrize(
    "first",
    [
        {"image": b"damaged"},
        {"outputs": [pb.OUTPUT_SCORES_ONLY, pb.OUTPUT_MASK_PNG]},
        {"classes": ["scar"]},
        {},
    ],
    ids=["bad picture", "contradiction", "unknown class", "good picture"],
)
async def test_stream_takes_an_answered_id_again(
    serve: Any, red_png: bytes, first: dict[str, Any]
) -> None:
    """However a request ended, its id is free afterwards: a caller may try again under it."""
    stream = (await serve()).stub.SegmentStream()
    await stream.write(pb.SegmentRequest(**{"image": red_png, "request_id": "a", **first}))
    await stream.read()
    await stream.write(_asks(red_png, "a"))
    (answer,) = await _answers(stream)
    assert answer.WhichOneof("outcome") == "response"


async def test_stream_waits_for_room(serve: Any, small_png: bytes) -> None:
    """A stream of more pictures than the queue holds is slowed, never refused."""
    served = await serve(max_queue_items=2)
    stream = served.stub.SegmentStream(
        (_asks(small_png, str(number), outputs=[pb.OUTPUT_SCORES_ONLY]) for number in range(60)),
        timeout=60,
    )
    answers = [answer async for answer in stream]
    assert {answer.request_id for answer in answers} == {str(number) for number in range(60)}
    assert all(answer.HasField("response") for answer in answers)


async def test_stream_of_a_caller_that_vanishes_ends(
    serve: Any, obedient: Any, red_png: bytes
) -> None:
    """Its pictures leave the queue without a run, and the next caller is served."""
    served = await serve(obedient)
    obedient.hold()
    stream = served.stub.SegmentStream()
    for number in range(5):
        await stream.write(_asks(red_png, str(number)))
    await obedient.busy()
    await served.until("hunique_queue_items", 5)
    stream.cancel()
    await served.until("hunique_queue_items", 0)
    obedient.free.set()
    assert (await served.stub.Segment(_asks(red_png))).findings
    cancelled = {"method": "SegmentStream", "code": "CANCELLED"}
    assert served.sample("hunique_requests_total", **cancelled) == 5


class _SimpleSegmenter:
    """Answers everything, once free."""

    def __init__(self) -> None:
        self.free = asyncio.Event()

    def answering(self, _: str) -> Any:
        """The one model."""
        return nullcontext(self)

    def wait(self, request: pb.SegmentRequest, _: Caller) -> Any:
        """Room for everyone."""
        return nullcontext(request)

    async def segment(self, request: pb.SegmentRequest, _: Caller) -> pb.SegmentResponse:
        """An empty answer."""
        await self.free.wait()
        return pb.SegmentResponse(request_id=request.request_id)


class _Context:
    """A call without a deadline that remembers how it was ended."""

    code = Code.OK

    def time_remaining(self) -> None:
        """As long as it takes."""

    def peer(self) -> str:
        """From nowhere in particular."""
        return "unix:"

    def invocation_metadata(self) -> None:
        """Nothing said."""

    async def abort(self, code: grpc.StatusCode, details: str) -> None:
        """End with a status."""
        assert details
        self.code = code


async def _whatever_can_happen() -> None:
    for _ in range(1000):
        await asyncio.sleep(0)  # waits for no time: all others run until they wait for us


async def test_stream_whose_answers_nobody_takes_is_not_read_on() -> None:
    """A caller that sends and never reads cannot fill the server's memory with answers."""
    sent = 0

    async def requests() -> AsyncIterator[pb.SegmentRequest]:
        nonlocal sent
        for sent in range(1, 1000):
            yield pb.SegmentRequest(request_id=str(sent))

    segmenter = _SimpleSegmenter()
    segmenter.free.set()
    features: Any = HandFeatures(segmenter, Metrics())  # type: ignore[arg-type]
    answers = features.SegmentStream(requests(), _Context())
    await anext(answers)
    await _whatever_can_happen()
    assert sent <= STREAM_IN_FLIGHT + 2
    assert len([answer async for answer in answers]) == 998


class _FullSegmenter(_SimpleSegmenter):
    """Has room for one after the other, when it is told."""

    def __init__(self) -> None:
        super().__init__()
        self.free.set()
        self.room = asyncio.Semaphore(0)

    @asynccontextmanager
    async def wait(self, request: pb.SegmentRequest, _: Caller) -> AsyncIterator[pb.SegmentRequest]:
        """Room for those that were let in."""
        await self.room.acquire()
        yield request


class _Watched:
    """A request of which it can be told whether anybody keeps it."""

    model = ""

    def __init__(self, request_id: str) -> None:
        self.request_id = request_id


async def test_stream_that_waits_for_room_is_not_read_on() -> None:
    """What no queue counts yet is one picture of a stream; the next is read when that came in."""
    sent = 0

    async def requests() -> AsyncIterator[pb.SegmentRequest]:
        nonlocal sent
        for sent in range(1, 21):
            yield pb.SegmentRequest(request_id=str(sent))

    segmenter = _FullSegmenter()
    features: Any = HandFeatures(segmenter, Metrics())  # type: ignore[arg-type]
    answers = features.SegmentStream(requests(), _Context())
    first = asyncio.create_task(anext(answers))
    await _whatever_can_happen()
    assert sent == 1
    segmenter.room.release()
    assert (await first).request_id == "1"
    await _whatever_can_happen()
    assert sent == 2
    for _ in range(19):
        segmenter.room.release()
    assert len([answer async for answer in answers]) == 19


async def test_idle_stream_keeps_nothing_of_what_was_answered() -> None:
    """A picture that nobody counts any longer takes no memory either."""
    kept: list[weakref.ref[_Watched]] = []

    async def requests() -> AsyncIterator[_Watched]:
        request = _Watched("1")
        kept.append(weakref.ref(request))
        yield request
        del request
        await asyncio.get_running_loop().create_future()

    segmenter = _SimpleSegmenter()
    segmenter.free.set()
    features: Any = HandFeatures(segmenter, Metrics())  # type: ignore[arg-type]
    answers = features.SegmentStream(requests(), _Context())
    assert (await anext(answers)).request_id == "1"
    await _whatever_can_happen()
    assert kept[0]() is None
    features.drain()
    assert [answer async for answer in answers] == []


@pytest.mark.parametrize(("whole", "code"), [(True, Code.OK), (False, Code.UNAVAILABLE)])
async def test_stream_in_a_drain_is_answered_as_far_as_it_was_read(
    whole: bool, code: grpc.StatusCode
) -> None:
    """All that was taken is answered; UNAVAILABLE says that something may not have been taken."""

    async def requests() -> AsyncIterator[pb.SegmentRequest]:
        for number in range(3):
            yield pb.SegmentRequest(request_id=str(number))
        if not whole:
            await asyncio.get_running_loop().create_future()

    segmenter, context = _SimpleSegmenter(), _Context()
    features: Any = HandFeatures(segmenter, Metrics())  # type: ignore[arg-type]

    async def read() -> set[str]:
        stream = features.SegmentStream(requests(), context)
        return {answer.request_id async for answer in stream}

    reading = asyncio.create_task(read())
    await _whatever_can_happen()
    features.drain()
    segmenter.free.set()
    assert await asyncio.wait_for(reading, 60) == {"0", "1", "2"}
    assert context.code is code
