"""The batcher alone: no server, no pictures, an engine that doubles numbers."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import Event
from typing import Any

import pytest

from hunique_server.batch_cost import BatchCost
from hunique_server.batcher import (
    Answer,
    Batcher,
    BatcherClosedError,
    DeadlinePassedError,
    WrongCountError,
)
from hunique_server.caller import Caller, Priority
from hunique_server.layout import ElasticLayout, FixedLayout, Pause, Turn

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
        batcher: Numbers = Batcher(_layout(doubler), executor)
        batcher.start()
        yield batcher
        doubler.free.set()
        await batcher.close()


def _layout(doubler: Doubler) -> FixedLayout[int, int]:
    return FixedLayout(doubler, 1, BatchCost(MAX_BATCH))


Task = asyncio.Task[Answer[int]]


async def _ask(batcher: Numbers, item: int, **caller: Any) -> Answer[int]:
    (answer,) = await batcher.submit([item], Caller(**caller))
    return answer


async def _held(batcher: Numbers, doubler: Doubler, *items: int) -> list[Task]:
    """Items in a batch that the engine has begun and does not end."""
    doubler.entered.clear()
    doubler.free.clear()
    tasks = await _queued(batcher, *items)
    assert await asyncio.to_thread(doubler.entered.wait, LONG_S)
    return tasks


async def _queued(batcher: Numbers, *items: int, **caller: Any) -> list[Task]:
    tasks = [asyncio.create_task(_ask(batcher, item, **caller)) for item in items]
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
    assert (await asyncio.wait_for(_ask(batcher, 21), LONG_S)).result == 42
    assert doubler.batches == [[21]]


async def test_requests_share_batches_and_span_them(batcher: Numbers, doubler: Doubler) -> None:
    """Items of one request fill a batch up with others', and their answers come in order."""
    tasks = await _held(batcher, doubler, 0)
    requests = [
        asyncio.create_task(batcher.submit(items, Caller()))
        for items in ([1, 2, 3], [4, 5, 6, 7, 8, 9], [10])
    ]
    await asyncio.sleep(0)
    doubler.free.set()
    assert await _results(tasks) == [0]
    answers = [[a.result for a in await asyncio.wait_for(r, LONG_S)] for r in requests]
    assert answers == [[2, 4, 6], [8, 10, 12, 14, 16, 18], [20]]
    assert doubler.batches == [[0], [1, 2, 3, 4], [5, 6, 7, 8], [9, 10]]


async def test_request_with_a_poisoned_item_costs_no_more_runs(
    batcher: Numbers, doubler: Doubler
) -> None:
    """Where one item fails its request fails, and what is left of it is not run."""
    tasks = await _held(batcher, doubler, 0)
    poisoned = asyncio.create_task(batcher.submit([1, POISON, 3, 4, 5, 6], Caller()))
    await asyncio.sleep(0)
    tasks += await _queued(batcher, 7)
    doubler.free.set()
    with pytest.raises(ValueError, match="poison"):
        await asyncio.wait_for(poisoned, LONG_S)
    assert await _results(tasks) == [0, 14]
    assert 6 not in [item for batch in doubler.batches for item in batch]


async def test_cancelled_request_takes_all_its_items_back(
    batcher: Numbers, doubler: Doubler
) -> None:
    """A caller that leaves frees the queue at once, before the engine asks for more."""
    tasks = await _held(batcher, doubler, 0)
    gone = asyncio.create_task(batcher.submit([1, 2, 3], Caller()))
    await asyncio.sleep(0)
    assert batcher.waiting(Priority.INTERACTIVE) == 3
    gone.cancel()
    await asyncio.gather(gone, return_exceptions=True)
    assert batcher.waiting(Priority.INTERACTIVE) == 0
    doubler.free.set()
    assert await _results(tasks) == [0]
    assert doubler.batches == [[0]]


async def test_interactive_goes_before_bulk_that_was_there_first(
    batcher: Numbers, doubler: Doubler
) -> None:
    """Whoever waits at a screen is run before what came earlier in bulk."""
    tasks = await _held(batcher, doubler, 0)
    tasks += await _queued(batcher, 1, 2, 3, 4, priority=Priority.BULK)
    tasks += await _queued(batcher, 5, 6, 7, 8)
    doubler.free.set()
    assert await _results(tasks) == [0, 2, 4, 6, 8, 10, 12, 14, 16]
    assert doubler.batches == [[0], [5, 6, 7, 8], [1, 2, 3, 4]]


async def test_thousand_pictures_of_one_client_delay_another_by_one_batch(
    batcher: Numbers, doubler: Doubler
) -> None:
    """However much one client has queued, the first item of another is in the next batch."""
    tasks = await _held(batcher, doubler, 0)
    many = await _queued(batcher, *range(100, 1100), client="many")
    (one,) = await _queued(batcher, 5000, client="one")
    doubler.free.set()
    assert await _results([*tasks, one]) == [0, 10000]
    assert [5000 in batch for batch in doubler.batches[:3]].count(True) == 1
    assert await _results(many) == [2 * item for item in range(100, 1100)]


async def test_deadline_is_told_while_the_engine_is_busy(
    batcher: Numbers, doubler: Doubler
) -> None:
    """Who waits behind a long run hears at the deadline that it passed, not after the run."""
    tasks = await _held(batcher, doubler, 0)
    (late,) = await _queued(batcher, 1, deadline_s=time.monotonic() + 0.01)
    with pytest.raises(DeadlinePassedError):
        await asyncio.wait_for(late, LONG_S)
    assert not tasks[0].done()
    assert batcher.waiting(Priority.INTERACTIVE) == 0
    doubler.free.set()
    assert await _results(tasks) == [0]


class _Patient(FixedLayout[int, int]):
    """Waits once for a moment before anything is run."""

    paused = False

    def next_turn(self, waiting: int, free: int) -> Turn[int, int] | Pause | None:  # type: ignore[override]
        if waiting and not self.paused:
            self.paused = True
            return Pause(seconds_s=0.01)
        return super().next_turn(waiting, free)


async def test_pause_of_the_layout_ends(doubler: Doubler) -> None:
    """Where it is better to wait and nothing happens, the items are run all the same."""
    layout = _Patient(doubler, 1, BatchCost(MAX_BATCH))
    with ThreadPoolExecutor(1) as executor:
        batcher: Numbers = Batcher(layout, executor)
        batcher.start()
        assert (await asyncio.wait_for(_ask(batcher, 3), LONG_S)).result == 6
        assert layout.paused
        await batcher.close()


@pytest.mark.parametrize("places", [1, 2, 5])
async def test_elastic_layout_answers_everybody(doubler: Doubler, places: int) -> None:
    """By whichever way items are run, alone or in a crowd, each caller gets its answers."""
    layout = ElasticLayout(doubler, places)
    layout.widen(doubler, one_thread_s=0.002, all_threads_s=0.001)
    ways: set[str] = set()
    with ThreadPoolExecutor(places) as executor:
        batcher: Numbers = Batcher(layout, executor, lambda turn, _: ways.add(turn.way))
        batcher.start()
        async with asyncio.timeout(LONG_S):
            for crowd in (1, 2, 3, 40):
                requests = [[100 * n, 100 * n + 1, 100 * n + 2][: 1 + n % 3] for n in range(crowd)]
                answers = await asyncio.gather(*(batcher.submit(r, Caller()) for r in requests))
                assert [[a.result for a in one] for one in answers] == [
                    [2 * item for item in request] for request in requests
                ]
        await batcher.close()
    assert "all_threads" in ways


class _Broken(FixedLayout[int, int]):
    """Cannot decide, the first time."""

    failed = False

    def next_turn(self, waiting: int, free: int) -> Turn[int, int] | None:
        if waiting and not self.failed:
            self.failed = True
            raise ZeroDivisionError
        return super().next_turn(waiting, free)


async def test_loop_outlives_a_layout_that_fails(doubler: Doubler) -> None:
    """One decision that cannot be made does not end all the others."""
    layout = _Broken(doubler, 1, BatchCost(MAX_BATCH))
    with ThreadPoolExecutor(1) as executor:
        batcher: Numbers = Batcher(layout, executor)
        batcher.start()
        first, second = await _queued(batcher, 1, 2)
        assert layout.failed or not first.done()
        (third,) = await _queued(batcher, 3)
        assert await _results([first, second, third]) == [2, 4, 6]
        await batcher.close()


async def test_places_run_at_once(doubler: Doubler) -> None:
    """Two places begin two runs before either has ended, and a third waits for a place."""
    with ThreadPoolExecutor(2) as executor:
        batcher: Numbers = Batcher(FixedLayout(doubler, 2, BatchCost(1)), executor)
        batcher.start()
        tasks = await _held(batcher, doubler, 1)
        doubler.entered.clear()
        tasks += await _queued(batcher, 2)
        assert await asyncio.to_thread(doubler.entered.wait, LONG_S)
        tasks += await _queued(batcher, 3)
        assert doubler.batches == [[1], [2]]
        assert batcher.waiting(Priority.INTERACTIVE) == 1
        doubler.free.set()
        assert await _results(tasks) == [2, 4, 6]
        await batcher.close()


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
    assert (await asyncio.wait_for(_ask(batcher, 4), LONG_S)).result == 8


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
        await _ask(batcher, 2)
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
