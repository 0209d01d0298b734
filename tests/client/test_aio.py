"""The client for asyncio; what holds for many pictures is in test_many.py."""

import asyncio
import inspect
import io
from collections import Counter
from pathlib import Path
from typing import Any

import grpc
import pytest

import hunique_client
from hunique_client import DeadlineError, InvalidRequestError, ServerUnavailableError, Status
from hunique_client.aio import HuniqueClient
from hunique_proto.v1 import hand_features_pb2 as pb


def _public(kind: type) -> dict[str, inspect.Signature]:
    return {
        name: inspect.signature(method)
        for name, method in vars(kind).items()
        if inspect.isfunction(method) and (not name.startswith("_") or name == "__init__")
    }


def test_same_shape() -> None:
    """Both clients have the same methods with the same parameters and defaults."""
    threads, twin = _public(hunique_client.HuniqueClient), _public(HuniqueClient)
    assert threads.keys() == twin.keys() == {
        "__init__", "segment", "segment_many", "describe_model", "close",
    }  # fmt: skip
    for name, signature in threads.items():
        assert twin[name].parameters == signature.parameters, name
    assert hunique_client.HuniqueClient("unix:a").address == HuniqueClient("unix:a").address


async def test_same_answers(server: Any, picture: bytes, tmp_path: Path) -> None:
    """Picture, path and wishes give what the client for threads gives."""
    path = tmp_path / "hand.png"
    path.write_bytes(picture)
    async with HuniqueClient(server.address) as client:
        result = await client.segment(path, classes=["tattoo"], outputs=["mask_rle"], detail="fast")
        model = await client.describe_model()
    with hunique_client.HuniqueClient(server.address) as other:
        expected = other.segment(picture, classes=["tattoo"], outputs=["mask_rle"], detail="fast")
        assert model == other.describe_model()
    assert result.classes == expected.classes
    assert result["tattoo"].status is Status.PRESENT


async def test_calls_at_once(server: Any, pictures: list[bytes]) -> None:
    """Calls and streams of one client run side by side, each with its own answers."""
    async with HuniqueClient(server.address) as client:

        async def stream() -> list[int]:
            return sorted(
                [o.result.width_px async for o in client.segment_many(pictures) if o.result]
            )

        calls = asyncio.gather(*(client.segment(one) for one in pictures))
        first, second, answers = await asyncio.gather(stream(), stream(), calls)
    widths = [101 + index for index in range(12)]
    assert first == second == [answer.width_px for answer in answers] == widths


async def test_loop_stays_free(scripted: tuple[Any, str]) -> None:
    """While a call waits for its answer, the program's other tasks go on."""
    script, address = scripted
    answered_by_us = asyncio.Event()
    loop = asyncio.get_running_loop()

    def answer(_request: Any, _context: Any) -> pb.SegmentResponse:
        asyncio.run_coroutine_threadsafe(_set(answered_by_us), loop).result(60)
        return pb.SegmentResponse()

    script.segment = answer
    async with HuniqueClient(address) as client:
        await client.segment(b"picture")
    assert answered_by_us.is_set()


async def _set(event: asyncio.Event) -> None:
    event.set()


async def test_typed_errors(server: Any, scripted: tuple[Any, str], short_folder: Path) -> None:
    """Errors are those of the client for threads."""
    async with HuniqueClient(server.address) as client:
        with pytest.raises(InvalidRequestError, match="No such file"):
            await client.segment("/nowhere/hand.jpg")
        with pytest.raises(InvalidRequestError, match="8 bytes"):
            await client.segment(b"nonsense")
        with pytest.raises(InvalidRequestError):
            await client.describe_model("another")
        with pytest.raises(ValueError, match="finest"):
            client.segment_many([], detail="finest")
    script, address = scripted
    async with HuniqueClient(f"unix:{short_folder / 'nobody.sock'}") as client:
        with pytest.raises(ServerUnavailableError):
            await client.segment(b"picture")
        with pytest.raises(ServerUnavailableError):
            await anext(client.segment_many([b"picture"]))
    released = asyncio.Event()
    loop = asyncio.get_running_loop()
    script.segment = lambda _request, _context: (
        asyncio.run_coroutine_threadsafe(released.wait(), loop).result(60) and pb.SegmentResponse()
    )
    async with HuniqueClient(address) as client:
        with pytest.raises(DeadlineError):
            await client.segment(b"picture", deadline_s=0.2)
    released.set()


async def test_cancelled_call(scripted: tuple[Any, str]) -> None:
    """A task that is cancelled while it waits ends, and the client goes on working."""
    script, address = scripted
    loop = asyncio.get_running_loop()
    begun, released = asyncio.Event(), asyncio.Event()

    async def note_and_wait() -> None:
        begun.set()
        await released.wait()

    def answer(_request: Any, _context: Any) -> pb.SegmentResponse:
        asyncio.run_coroutine_threadsafe(note_and_wait(), loop).result(60)
        return pb.SegmentResponse()

    script.segment = answer
    async with HuniqueClient(address) as client:
        call = asyncio.create_task(client.segment(b"picture"))
        await begun.wait()
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        released.set()
        await client.segment(b"picture")


async def test_private_server(picture: bytes, ends: Any) -> None:
    """Without an address a private server is started on entering and ended on leaving."""
    client = HuniqueClient()
    await client.close()  # of a client that was never entered
    async with client:
        assert client.address.startswith("unix:")
        assert (await client.segment(picture))["tattoo"].status is Status.PRESENT
        assert client._private is not None
        pid = client._private.pid
    assert ends(pid)
    assert not Path(client.address.removeprefix("unix:")).parent.exists()


@pytest.fixture
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Seconds of waiting become moments."""
    monkeypatch.setattr("hunique_client.aio.RECONNECT_S", (0.01, 0.02))


def _refuse_first(script: Any, code: Any, times: int, wait_ms: int = 0) -> None:
    """Let each picture be refused some times before it is answered with its size."""
    refused: Counter[bytes] = Counter()

    def answer(request: pb.SegmentRequest, context: Any) -> pb.SegmentResponse:
        refused[request.image] += 1
        if refused[request.image] <= times:
            if wait_ms:
                context.set_trailing_metadata((("retry-after-ms", str(wait_ms)),))
            context.abort(code, "not now")
        return pb.SegmentResponse(provenance=pb.Provenance(input_size_bytes=len(request.image)))

    script.segment = answer


@pytest.mark.usefixtures("_impatient")
@pytest.mark.parametrize(
    ("code", "times", "wait_ms"),
    [
        (grpc.StatusCode.UNAVAILABLE, 2, 0),
        (grpc.StatusCode.DEADLINE_EXCEEDED, 2, 0),
        (grpc.StatusCode.RESOURCE_EXHAUSTED, 10, 5),
    ],
)
async def test_many_are_tried_again(
    scripted: tuple[Any, str], code: Any, times: int, wait_ms: int
) -> None:
    """Pictures that cannot be served now are sent again, streams too; each has one outcome."""
    script, address = scripted
    _refuse_first(script, code, times, wait_ms)
    sources = [io.BytesIO(bytes(size)) for size in range(1, 21)]
    async with HuniqueClient(address) as client:
        outcomes = [outcome async for outcome in client.segment_many(sources)]
    assert [outcome.error for outcome in outcomes] == [None] * 20
    found = {sources.index(o.source) + 1: o.result.provenance for o in outcomes if o.result}
    assert all(found[size]["input_size_bytes"] == size for size in range(1, 21))


@pytest.mark.usefixtures("_impatient")
async def test_many_end_when_the_server_stays_away(scripted: tuple[Any, str]) -> None:
    """After the last try the run ends with an error, and not once for each picture."""
    script, address = scripted
    _refuse_first(script, grpc.StatusCode.UNAVAILABLE, 10**6)
    async with HuniqueClient(address) as client:
        with pytest.raises(ServerUnavailableError, match=r"\d pictures are not answered"):
            async for _outcome in client.segment_many([bytes(9)] * 1000):
                pass


async def test_many_go_on_after_a_fault_of_the_server(scripted: tuple[Any, str]) -> None:
    """A picture on which the server fails becomes an outcome with an error."""
    script, address = scripted
    _refuse_first(script, grpc.StatusCode.INTERNAL, 1)
    async with HuniqueClient(address) as client:
        outcomes = [o async for o in client.segment_many([b"same", b"same", b"same"])]
    kinds = sorted(type(outcome.error).__name__ for outcome in outcomes)
    assert kinds == ["NoneType", "NoneType", "ServerFailedError"]
