"""Many pictures against a real server: the same must hold with threads and with asyncio."""

import asyncio
import io
import itertools
import signal
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from hunique_client import (
    HuniqueClient,
    InvalidRequestError,
    Outcome,
    Status,
    aio,
    channel,
)

Many = Callable[..., Iterator[Outcome]]


def _many_with_threads(address: str, sources: Iterable[Any], **wish: Any) -> Iterator[Outcome]:
    with HuniqueClient(address) as client:
        yield from client.segment_many(sources, **wish)


def _many_with_asyncio(address: str, sources: Iterable[Any], **wish: Any) -> Iterator[Outcome]:
    """Steps an event loop from one outcome to the next."""
    with asyncio.Runner() as runner:
        client = aio.HuniqueClient(address)
        runner.run(client.__aenter__())
        outcomes: Any = client.segment_many(sources, **wish)

        async def step() -> Outcome | None:
            return await anext(outcomes, None)

        try:
            while (outcome := runner.run(step())) is not None:
                yield outcome
        finally:
            runner.run(outcomes.aclose())
            runner.run(client.close())


@pytest.fixture(params=[_many_with_threads, _many_with_asyncio], ids=["threads", "asyncio"])
def many(request: pytest.FixtureRequest) -> Many:
    """The `segment_many` of either client, taking address, sources and wishes."""
    found: Many = request.param
    return found


def test_each_picture_has_one_outcome(many: Many, server: Any, picture_files: list[Path]) -> None:
    """Every picture comes back once, as it was given, with the answer to itself."""
    outcomes = list(many(server.address, picture_files, outputs=["scores_only"]))
    assert sorted(outcome.source for outcome in outcomes) == picture_files
    for outcome in outcomes:
        assert outcome.result is not None
        assert outcome.result.width_px == 101 + picture_files.index(outcome.source)


def test_wish_holds_for_each(many: Many, server: Any, picture: bytes) -> None:
    """Classes, outputs and detail are obeyed as for one picture."""
    wish = {"classes": ["tattoo"], "outputs": ["mask_rle"], "detail": "fast"}
    for outcome in many(server.address, [picture, picture], **wish):
        result = outcome.result
        assert result is not None
        assert result["ring"].status is Status.SKIPPED
        assert result["tattoo"].instances[0].mask_rle is not None
        assert result["tattoo"].instances[0].mask_png == b""
        assert result.provenance["detail"] == "fast"


def test_bad_pictures_stop_nothing(
    many: Many, server: Any, pictures: list[bytes], tmp_path: Path
) -> None:
    """What is missing, empty or damaged becomes an outcome with an error among the others."""
    bad = [tmp_path / "missing.jpg", b"", pictures[0][:100], tmp_path, "zero\0byte"]
    mixed = [*pictures[:4], *bad, *pictures[4:]]
    outcomes = list(many(server.address, mixed))
    assert len(outcomes) == len(mixed)
    failed = [outcome.source for outcome in outcomes if outcome.error is not None]
    assert sorted(map(str, failed)) == sorted(map(str, bad))
    assert all(isinstance(o.error, InvalidRequestError) for o in outcomes if o.error)
    assert all((o.result is None) != (o.error is None) for o in outcomes)


def test_nothing_but_unreadable_pictures(many: Many, server: Any) -> None:
    """A list of which nothing can be read ends, with an outcome for each."""
    names = [f"/nowhere/{index}.jpg" for index in range(50)]
    outcomes = list(many(server.address, names))
    assert sorted(outcome.source for outcome in outcomes) == sorted(names)
    assert all(isinstance(outcome.error, InvalidRequestError) for outcome in outcomes)


def test_no_pictures(many: Many, server: Any) -> None:
    """Nothing gives nothing."""
    assert list(many(server.address, [])) == []


def test_too_large_picture_stops_nothing(
    many: Many, own_server: Any, pictures: list[bytes], tmp_path: Path
) -> None:
    """A picture over the server's limit is refused before it is read; the others are served."""
    own_server.start("--max-image-mib", "1")
    vast = tmp_path / "vast.tif"
    with vast.open("wb") as stream:
        stream.truncate(3_000_000_000)  # a hole: takes no place on the disk
    outcomes = list(many(own_server.address, [pictures[0], vast, bytes(2**21), pictures[1]]))
    served = [outcome.source for outcome in outcomes if outcome.result is not None]
    assert sorted(served) == sorted(pictures[:2])
    errors = {str(outcome.error) for outcome in outcomes if outcome.error is not None}
    assert len(errors) == 2
    assert all("at most 1048576" in error for error in errors)


def test_pictures_are_read_as_they_are_needed(many: Many, server: Any, picture: bytes) -> None:
    """Of an endless source only a few are read ahead, and nothing after the caller stops."""
    given = itertools.count()
    outcomes = many(server.address, (picture for _ in given), outputs=["scores_only"])
    for number in range(1, 31):
        assert next(outcomes).error is None
        read = int(repr(given)[6:-1])
        assert read <= number + channel.STREAM_IN_FLIGHT
    outcomes.close()  # type: ignore[attr-defined]
    assert int(repr(given)[6:-1]) == read
    assert len(list(many(server.address, [picture]))) == 1


def test_error_of_the_source_reaches_the_caller(many: Many, server: Any, picture: bytes) -> None:
    """When the caller's own generator fails, the caller sees that error."""

    def source() -> Iterator[bytes]:
        yield picture
        raise LookupError("the archive ended")

    with pytest.raises(LookupError, match="the archive ended"):
        list(many(server.address, source()))


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_server_goes_and_comes_back(
    many: Many,
    own_server: Any,
    pictures: list[bytes],
    monkeypatch: pytest.MonkeyPatch,
    number: int,
) -> None:
    """A server that is killed or told to end mid-way and comes back: nothing lost or doubled."""
    for module in ("client", "aio"):
        monkeypatch.setattr(f"hunique_client.{module}.RECONNECT_S", (0.1,) * 300)
    own_server.start("--drain-s", "0.1")
    streams = list(map(io.BytesIO, pictures))
    outcomes = many(own_server.address, streams, outputs=["scores_only"])
    seen = [next(outcomes), next(outcomes)]
    own_server.stop(number)
    own_server.start()
    seen.extend(outcomes)
    assert all(outcome.error is None for outcome in seen)
    assert sorted(streams.index(outcome.source) for outcome in seen) == list(range(12))
