"""How many pictures are worked on at once, and who is next."""

import asyncio
import time

import pytest

from hunique_server.batcher import DeadlinePassedError
from hunique_server.caller import Caller, Priority
from hunique_server.in_work import InWork

LONG_S = 60.0
BULK = Priority.BULK


class Works:
    """Pictures that are worked on until they are told to end."""

    def __init__(self, room: int) -> None:
        self.in_work = InWork(lambda: room)
        self.inside: list[str] = []
        self.most = 0
        self._ends: dict[str, asyncio.Event] = {}

    async def begin(self, *names: str, **caller: object) -> list[asyncio.Task[None]]:
        """Start pictures, which get as far as they can."""
        tasks = [asyncio.create_task(self._work(n, Caller(**caller))) for n in names]  # type: ignore[arg-type]
        await self.settle()
        return tasks

    async def end(self, name: str) -> None:
        """Let one end, and everybody else go as far as they can."""
        self._ends[name].set()
        await self.settle()

    async def settle(self) -> None:
        """Let everybody go on until nobody can."""
        for _ in range(20):
            await asyncio.sleep(0)  # waits for no time

    async def _work(self, name: str, caller: Caller) -> None:
        self._ends[name] = asyncio.Event()
        async with self.in_work.enter(caller):
            self.inside.append(name)
            self.most = max(self.most, len(self.inside))
            try:
                await self._ends[name].wait()
            finally:
                self.inside.remove(name)


async def test_no_more_than_there_is_room_for() -> None:
    """Pictures beyond wait, in their order, and come in as others end."""
    works = Works(2)
    await works.begin("a", "b", "c", "d")
    assert works.inside == ["a", "b"]
    await works.end("a")
    assert works.inside == ["b", "c"]
    for name in ("b", "c", "d"):
        await works.end(name)
    assert works.most == 2


async def test_one_place_is_kept_from_bulk() -> None:
    """However much bulk there is, an interactive picture begins at once."""
    works = Works(3)
    await works.begin("b1", "b2", "b3", "b4", priority=BULK)
    assert works.inside == ["b1", "b2"]
    await works.begin("screen")
    assert works.inside == ["b1", "b2", "screen"]
    await works.end("b1")
    assert works.inside == ["b2", "screen"]
    await works.end("screen")
    assert works.inside == ["b2", "b3"]
    for name in ("b2", "b3", "b4"):
        await works.end(name)


async def test_bulk_is_not_starved_at_the_door() -> None:
    """Where interactive pictures never stop coming, bulk still gets in."""
    works = Works(2)
    await works.begin("i0", "i1", "i2", "i3", "i4", "i5", "i6", "i7", "i8", "i9")
    await works.begin("bulk", priority=BULK)
    for number in range(8):
        await works.end(f"i{number}")
        if "bulk" in works.inside:
            break
    assert "bulk" in works.inside
    for name in list(works._ends):
        await works.end(name)


async def test_caller_that_leaves_takes_no_place() -> None:
    """Gone while it waits, or just as it was let in: the next one gets the place."""
    works = Works(2)
    await works.begin("a", "b")
    gone, unlucky, next_one = await works.begin("gone", "unlucky", "next")
    gone.cancel()
    await works.settle()
    works._ends["a"].set()
    await asyncio.sleep(0)  # "a" ends and lets the next one in, which has not run since
    assert works.in_work._inside[Priority.INTERACTIVE] == 2
    assert works.inside == ["b"]
    unlucky.cancel()
    await works.settle()
    assert works.inside == ["b", "next"]
    assert unlucky.cancelled()
    assert gone.cancelled()
    for name in ("b", "next"):
        await works.end(name)
    await asyncio.wait_for(asyncio.gather(next_one), LONG_S)
    assert works.in_work._inside == dict.fromkeys(Priority, 0)


async def test_deadline_passes_at_the_door() -> None:
    """Who waits too long is told so before anything was decoded, and holds nothing."""
    works = Works(2)
    await works.begin("a", "b")
    (late,) = await works.begin("late", deadline_s=time.monotonic())
    with pytest.raises(DeadlinePassedError):
        await asyncio.wait_for(late, LONG_S)
    await works.end("a")
    assert works.inside == ["b"]
    await works.end("b")


async def test_error_of_a_picture_is_its_own() -> None:
    """What is raised inside comes out unchanged, even a TimeoutError, and the place is free."""
    in_work = InWork(lambda: 2)
    with pytest.raises(TimeoutError, match="mine"):
        async with in_work.enter(Caller(deadline_s=time.monotonic() + LONG_S)):
            raise TimeoutError("mine")
    assert in_work._inside == dict.fromkeys(Priority, 0)
