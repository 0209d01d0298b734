"""The batcher alone: no server, no pictures, an engine that doubles numbers."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import Event
from typing import Any

import pytest

from hunique_server.batcher import (
    Answer,
    Batcher,
    BatcherClosedError,
    DeadlinePassedError,
    WrongCountError,
)

MAX_BATCH = 4
LONG_S = 60.0
POISON = 13

Numbers = Batcher[int, int]


class Doubler:
    """Doubles numbers in batches of at most four, and can be held back."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.free = Event()
        self.entered = Event()
        self.failure: BaseException | None = None
        self.answers: Callable[[list[int]], Any] = lambda items: [2 * item for item in items]

    def __call__(self, items: list[int]) -> Sequence[int]:
        """Run a batch."""
        assert len(items) <= MAX_BATCH
        self.batches.append(list(items))
        self.entered.set()
        assert self.free.wait(LONG_S)
        if self.failure is not None:
            raise self.failure
        if POISON in items:
            raise ValueError("poison")
        return self.answers(items)  # type: ignore[no-any-return]


@pytest.fixture
def doubler() -> Doubler:
    """The engine; free unless a test holds it."""
    doubler = Doubler()
    doubler.free.set()
    return doubler


@pytest.fixture
async def batcher(doubler: Doubler) -> AsyncIterator[Numbers]:
    """A batcher that runs."""
    with ThreadPoolExecutor(1) as executor:
        batcher: Numbers = Batcher(doubler, executor, MAX_BATCH)
        batcher.start()
        yield batcher
        doubler.free.set()
        await batcher.close()


Task = asyncio.Task[Answer[int]]


async def _held(batcher: Numbers, doubler: Doubler, *items: int) -> list[Task]:
    """Items in a batch that the engine has begun and does not end."""
    doubler.entered.clear()
    doubler.free.clear()
    tasks = await _queued(batcher, *items)
    assert await asyncio.to_thread(doubler.entered.wait, LONG_S)
    return tasks


async def _queued(batcher: Numbers, *items: int, **choices: Any) -> list[Task]:
    tasks = [asyncio.create_task(batcher.submit(item, **choices)) for item in items]
    await asyncio.sleep(0)  # each of them gets as far as the queue
    return tasks


async def _results(tasks: Sequence[Task]) -> list[int]:
    return [answer.result for answer in await asyncio.wait_for(asyncio.gather(*tasks), LONG_S)]


async def test_what_waits_is_run_together(batcher: Numbers, doubler: Doubler) -> None:
    """While the engine is busy a batch forms, of no more than it may hold."""
    tasks = await _held(batcher, doubler, 0)
    tasks += await _queued(batcher, 1, 2, 3, 4, 5)
    doubler.free.set()
    assert await _results(tasks) == [0, 2, 4, 6, 8, 10]
    assert doubler.batches == [[0], [1, 2, 3, 4], [5]]


async def test_lone_item_waits_for_nobody(batcher: Numbers, doubler: Doubler) -> None:
    """Without load an item is run at once, alone."""
    assert (await asyncio.wait_for(batcher.submit(21), LONG_S)).result == 42
    assert doubler.batches == [[21]]


async def test_weight_bounds_a_batch(doubler: Doubler) -> None:
    """A picture of many looks leaves room for fewer, and one above the bound is run alone."""
    observed: list[int] = []
    with ThreadPoolExecutor(1) as executor:
        batcher: Numbers = Batcher(doubler, executor, MAX_BATCH, observed.append)
        batcher.start()
        tasks = await _held(batcher, doubler, 0)
        for item, weight in ((1, 3), (2, 1), (3, 2), (4, 9), (5, 4)):
            tasks += await _queued(batcher, item, weight=weight)
        doubler.free.set()
        assert await _results(tasks) == [0, 2, 4, 6, 8, 10]
        await batcher.close()
    assert doubler.batches == [[0], [1, 2], [3], [4], [5]]
    assert observed == [1, 4, 2, 9, 4]


async def test_everyone_gets_their_own_answer(batcher: Numbers, doubler: Doubler) -> None:
    """Of many callers each gets the answer to its item, served first come, first served."""
    tasks = await _queued(batcher, *range(100, 300))
    assert await _results(tasks) == [2 * item for item in range(100, 300)]
    assert [item for batch in doubler.batches for item in batch] == list(range(100, 300))


async def test_caller_that_leaves_mid_batch_harms_nobody(
    batcher: Numbers, doubler: Doubler
) -> None:
    """One of a running batch is cancelled: the others get their answers."""
    first, gone, last = await _held(batcher, doubler, 1, 2, 3)
    gone.cancel()
    doubler.free.set()
    assert await _results([first, last]) == [2, 6]
    assert gone.cancelled()
    assert doubler.batches == [[1, 2, 3]]


async def test_caller_that_leaves_the_queue_costs_no_run(
    batcher: Numbers, doubler: Doubler
) -> None:
    """Who is gone before the run is not run, and nobody else waits for it."""
    tasks = await _held(batcher, doubler, 0)
    gone, *waiting = await _queued(batcher, 1, 2, 3, 4, 5)
    gone.cancel()
    doubler.free.set()
    assert await _results([*tasks, *waiting]) == [0, 4, 6, 8, 10]
    assert doubler.batches == [[0], [2, 3, 4, 5]]


async def test_poison_harms_itself_alone(batcher: Numbers, doubler: Doubler) -> None:
    """One item fails the batch: its neighbours are run again and answered."""
    tasks = await _held(batcher, doubler, 0)
    first, poisoned, last = await _queued(batcher, 1, POISON, 2)
    doubler.free.set()
    assert await _results([*tasks, first, last]) == [0, 2, 4]
    with pytest.raises(ValueError, match="poison"):
        await poisoned


@pytest.mark.parametrize(
    "failure",
    [ValueError("broken"), MemoryError(), StopIteration(), asyncio.CancelledError(), SystemExit(3)],
    ids=lambda failure: type(failure).__name__,
)
async def test_loop_outlives_every_exception(
    batcher: Numbers, doubler: Doubler, failure: BaseException
) -> None:
    """The engine raises whatever it likes: every member is told, and the next is served."""
    doubler.failure = failure
    tasks = await _held(batcher, doubler, 1)
    tasks += await _queued(batcher, 2, 3)
    doubler.free.set()
    told = await asyncio.wait_for(asyncio.gather(*tasks, return_exceptions=True), LONG_S)
    assert all(isinstance(error, Exception) for error in told)
    doubler.failure = None
    assert (await asyncio.wait_for(batcher.submit(4), LONG_S)).result == 8


@pytest.mark.parametrize("answers", [[], [1], [1, 2, 3], None])
async def test_wrong_count_is_nobodys_answer(
    batcher: Numbers, doubler: Doubler, answers: list[int] | None
) -> None:
    """An engine that gives too few or too many results: no caller gets another's."""
    doubler.answers = lambda items: answers if len(items) == 2 else [2 * i for i in items][:0]
    tasks = await _held(batcher, doubler, 0)
    tasks += await _queued(batcher, 5, 6)
    doubler.free.set()
    told = await asyncio.wait_for(asyncio.gather(*tasks, return_exceptions=True), LONG_S)
    assert [type(error) for error in told] == [WrongCountError] * 3
    assert doubler.batches == [[0], [5, 6], [5], [6]]


async def test_late_item_is_told_and_not_run(batcher: Numbers, doubler: Doubler) -> None:
    """A deadline that passes in the queue: no run is wasted, the others are served."""
    tasks = await _held(batcher, doubler, 0)
    (late,) = await _queued(batcher, 1, deadline_s=time.monotonic())
    tasks += await _queued(batcher, 2, deadline_s=time.monotonic() + LONG_S)
    doubler.free.set()
    assert await _results(tasks) == [0, 4]
    with pytest.raises(DeadlinePassedError):
        await late
    assert doubler.batches == [[0], [2]]


async def test_drain_ends_after_the_running_batch(batcher: Numbers, doubler: Doubler) -> None:
    """At the end: what runs is answered, what waits is told, what comes is refused."""
    running = await _held(batcher, doubler, 0)
    waiting = await _queued(batcher, 1)
    closing = asyncio.create_task(batcher.close())
    await asyncio.sleep(0)
    with pytest.raises(BatcherClosedError):
        await batcher.submit(2)
    doubler.free.set()
    await asyncio.wait_for(closing, LONG_S)
    assert await _results(running) == [0]
    with pytest.raises(BatcherClosedError):
        await asyncio.wait_for(waiting[0], LONG_S)
    assert doubler.batches == [[0]]


async def test_times_say_where_an_item_waited(batcher: Numbers, doubler: Doubler) -> None:
    """The wait for the engine and the run are told apart, in nanoseconds."""
    running = await _held(batcher, doubler, 0)
    waiting = await _queued(batcher, 1)
    queued_ns = time.monotonic_ns()
    await asyncio.to_thread(sum, range(100_000))  # a while
    held_ns = time.monotonic_ns() - queued_ns
    doubler.free.set()
    first, second = await running[0], await waiting[0]
    assert second.queue_ns >= held_ns
    assert first.run_ns >= held_ns
    assert min(first.queue_ns, second.run_ns) > 0
