"""Streams that break: a scripted server does what a real one does seldom."""

import io
import itertools
import signal
import threading
import time
from collections.abc import Iterable, Iterator
from typing import Any

import grpc
import pytest

from hunique_client import (
    HuniqueClient,
    Outcome,
    ServerFailedError,
    ServerUnavailableError,
    channel,
)
from hunique_proto.v1 import hand_features_pb2 as pb


def _many(address: str, sources: Iterable[Any]) -> Iterator[Outcome]:
    with HuniqueClient(address) as client:
        yield from client.segment_many(sources)


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Seconds of waiting become moments."""
    monkeypatch.setattr("hunique_client.client.RECONNECT_S", (0.01, 0.02))


def _answer(request: pb.SegmentRequest) -> pb.SegmentStreamResponse:
    """Says how many bytes the picture has."""
    response = pb.SegmentResponse(
        provenance=pb.Provenance(
            upright_size=pb.Size(width=len(request.image)), input_size_bytes=len(request.image)
        )
    )
    return pb.SegmentStreamResponse(request_id=request.request_id, response=response)


def _refuse(request: pb.SegmentRequest, code: Any, wait_ms: int = 0) -> pb.SegmentStreamResponse:
    error = pb.PictureError(code=code.value[0], message="not now", retry_after_ms=wait_ms)
    return pb.SegmentStreamResponse(request_id=request.request_id, error=error)


def _serve_all(requests: Any, _context: Any) -> Iterator[pb.SegmentStreamResponse]:
    yield from map(_answer, requests)


def _sizes(outcomes: Iterable[Outcome]) -> list[int]:
    """Sizes of the pictures answered; each must be the answer to its own picture."""
    sizes = []
    for outcome in outcomes:
        assert outcome.error is None
        assert outcome.result is not None
        assert outcome.result.provenance["input_size_bytes"] == len(outcome.source)
        sizes.append(len(outcome.source))
    return sorted(sizes)


TWENTY = [bytes(size) for size in range(1, 21)]


def test_unanswered_pictures_are_sent_again(scripted: tuple[Any, str]) -> None:
    """What a broken stream left unanswered goes first over the next one."""
    script, address = scripted
    sent_again: list[int] = []

    def break_after_two(requests: Any, context: Any) -> Iterator[pb.SegmentStreamResponse]:
        yield from (_answer(request) for request in itertools.islice(requests, 2))
        next(requests)
        context.abort(grpc.StatusCode.UNAVAILABLE, "going away")

    def note_and_serve(requests: Any, _context: Any) -> Iterator[pb.SegmentStreamResponse]:
        for request in requests:
            sent_again.append(len(request.image))
            yield _answer(request)

    script.streams = [break_after_two, note_and_serve]
    assert _sizes(_many(address, TWENTY)) == list(range(1, 21))
    assert sent_again == list(range(3, 21))


def test_tries_begin_anew_after_each_answer(scripted: tuple[Any, str]) -> None:
    """A server that breaks off again and again, but answers in between, is not given up."""
    script, address = scripted

    def one(requests: Any, context: Any) -> Iterator[pb.SegmentStreamResponse]:
        yield _answer(next(requests))
        context.abort(grpc.StatusCode.UNAVAILABLE, "going away")

    script.streams = [one]
    assert _sizes(_many(address, TWENTY)) == list(range(1, 21))
    assert script.stream_count == 20


@pytest.mark.parametrize("code", [grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.RESOURCE_EXHAUSTED])
def test_picture_refused_for_now_is_sent_again(scripted: tuple[Any, str], code: Any) -> None:
    """An answer that says "not now" is no outcome: the picture is sent again later."""
    script, address = scripted

    def refuse_the_third(requests: Any, _context: Any) -> Iterator[pb.SegmentStreamResponse]:
        for request in requests:
            yield _refuse(request, code, 10) if len(request.image) == 3 else _answer(request)

    script.streams = [refuse_the_third, _serve_all]
    assert _sizes(_many(address, TWENTY)) == list(range(1, 21))


def test_stream_that_ends_early(scripted: tuple[Any, str]) -> None:
    """A server, or a proxy, may end a stream in good order: the rest goes over the next."""
    script, address = scripted

    def three(requests: Any, _context: Any) -> Iterator[pb.SegmentStreamResponse]:
        yield from (_answer(request) for request in itertools.islice(requests, 3))

    script.streams = [three, three, _serve_all]
    assert _sizes(_many(address, TWENTY)) == list(range(1, 21))


def test_silent_stream_is_given_up(
    scripted: tuple[Any, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server that takes pictures and never answers does not hold a run for ever."""
    monkeypatch.setattr(channel, "STALLED_S", 0.2)
    script, address = scripted
    released = threading.Event()

    def silent(_requests: Any, _context: Any) -> Iterator[pb.SegmentStreamResponse]:
        released.wait(60)
        yield from ()

    script.streams = [silent, _serve_all]
    assert _sizes(_many(address, TWENTY)) == list(range(1, 21))
    released.set()


@pytest.fixture
def threads_before() -> set[threading.Thread]:
    """Threads that were there before."""
    return set(threading.enumerate())


def _readers(before: set[threading.Thread]) -> list[str]:
    """Threads that came since and are in the client's own code."""
    return [one.name for one in set(threading.enumerate()) - before if "_read" in one.name]


def test_no_thread_outlives_a_stream(
    scripted: tuple[Any, str], threads_before: set[threading.Thread]
) -> None:
    """Left in the middle, or kept by an error on its way out, it is closed with its client.

    A thread inside gRPC that the end of a program stops leaves a lock locked, and the program
    hangs when it forgets the call.
    """
    script, address = scripted
    script.streams = [_serve_all, _serve_all]
    with HuniqueClient(address) as client:
        outcomes = client.segment_many(TWENTY)
        next(outcomes)
        assert _readers(threads_before)
        outcomes.close()
        assert _readers(threads_before) == []
    with HuniqueClient(address) as client:
        kept = client.segment_many(TWENTY)
        next(kept)
        assert _readers(threads_before)
    assert _readers(threads_before) == []


def test_ctrl_c_is_noticed_whenever_it_comes(scripted: tuple[Any, str]) -> None:
    """Also where it does not wake the wait: one that arrives just before it, or elsewhere."""
    script, address = scripted
    under_way, released = threading.Event(), threading.Event()

    def silent(requests: Any, _context: Any) -> Iterator[pb.SegmentStreamResponse]:
        next(requests)
        under_way.set()
        released.wait(60)
        yield from ()

    def interrupt() -> None:
        under_way.wait(60)
        signal.pthread_kill(threading.get_ident(), signal.SIGINT)  # wakes this thread alone
        released.wait(60)

    script.streams = [silent]
    other = threading.Thread(target=interrupt)
    other.start()
    before_s = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        list(_many(address, [b"x"]))
    assert time.monotonic() - before_s < 20
    released.set()
    other.join(60)


def test_server_stays_away(scripted: tuple[Any, str]) -> None:
    """After the last try the run ends with an error that says how many are not answered."""
    script, address = scripted

    def gone(_requests: Any, context: Any) -> Iterator[pb.SegmentStreamResponse]:
        context.abort(grpc.StatusCode.UNAVAILABLE, "going away")
        yield from ()

    script.streams = [gone]
    with pytest.raises(ServerUnavailableError, match=r"\d pictures are not answered"):
        list(_many(address, TWENTY))
    assert script.stream_count == 3


def test_busy_server_is_asked_until_it_has_room(scripted: tuple[Any, str]) -> None:
    """A server without room is not given up, however often it says so."""
    script, address = scripted

    def busy(requests: Any, _context: Any) -> Iterator[pb.SegmentStreamResponse]:
        yield _refuse(next(requests), grpc.StatusCode.RESOURCE_EXHAUSTED, 5)

    script.streams = [*[busy] * 10, _serve_all]
    assert _sizes(_many(address, TWENTY)) == list(range(1, 21))


def test_draining_server_is_given_up_in_the_end(scripted: tuple[Any, str]) -> None:
    """A server that answers nothing but that it is ending does not hold a run for ever."""
    script, address = scripted

    def draining(requests: Any, _context: Any) -> Iterator[pb.SegmentStreamResponse]:
        for request in requests:
            yield _refuse(request, grpc.StatusCode.UNAVAILABLE)

    script.streams = [draining]
    with pytest.raises(ServerUnavailableError, match="not now"):
        list(_many(address, TWENTY))


def test_streams_of_bytes_are_read_once(scripted: tuple[Any, str]) -> None:
    """A picture given as an open file is sent again too, although it was read already."""
    script, address = scripted

    def gone(requests: Any, context: Any) -> Iterator[pb.SegmentStreamResponse]:
        next(requests)
        context.abort(grpc.StatusCode.UNAVAILABLE, "going away")
        yield from ()

    script.streams = [gone, _serve_all]
    outcomes = list(_many(address, [io.BytesIO(one) for one in TWENTY]))
    found = [
        outcome.result.provenance["input_size_bytes"] for outcome in outcomes if outcome.result
    ]
    assert sorted(found) == list(range(1, 21))


def test_answered_twice(scripted: tuple[Any, str]) -> None:
    """Answers that nobody waits for are left aside."""
    script, address = scripted

    def twice(requests: Any, _context: Any) -> Iterator[pb.SegmentStreamResponse]:
        yield pb.SegmentStreamResponse(request_id="another")
        for request in requests:
            yield _answer(request)
            yield _answer(request)

    script.streams = [twice]
    assert _sizes(_many(address, TWENTY)) == list(range(1, 21))


def test_failure_of_the_server_ends_the_run(scripted: tuple[Any, str]) -> None:
    """A stream that ends with a fault of the server is an error, not a silent end."""
    script, address = scripted

    def fail(_requests: Any, context: Any) -> Iterator[pb.SegmentStreamResponse]:
        context.abort(grpc.StatusCode.INTERNAL, "out of order")
        yield from ()

    script.streams = [fail]
    with pytest.raises(ServerFailedError, match="out of order"):
        list(_many(address, TWENTY))
