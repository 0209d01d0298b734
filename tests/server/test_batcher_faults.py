"""The batcher when callers leave, engines fail, and time runs out: nobody else is harmed."""

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from doubling import LONG_S, MAX_BATCH, POISON, Doubler, Numbers, ask, held, queued, results

from hunique_server.batch_cost import BatchCost
from hunique_server.batcher import Batcher, BatcherClosedError, DeadlinePassedError, WrongCountError
from hunique_server.caller import Caller, Priority
from hunique_server.layout import FixedLayout, Turn


async def test_request_with_a_poisoned_item_costs_no_more_runs(
    batcher: Numbers, doubler: Doubler
) -> None:
    """Where one item fails its request fails, and what is left of it is not run."""
    tasks = await held(batcher, doubler, 0)
    poisoned = asyncio.create_task(batcher.submit([1, POISON, 3, 4, 5, 6], Caller()))
    await asyncio.sleep(0)
    tasks += await queued(batcher, 7)
    doubler.free.set()
    with pytest.raises(ValueError, match="poison"):
        await asyncio.wait_for(poisoned, LONG_S)
    assert await results(tasks) == [0, 14]
    assert 6 not in [item for batch in doubler.batches for item in batch]


async def test_cancelled_request_takes_all_its_items_back(
    batcher: Numbers, doubler: Doubler
) -> None:
    """A caller that leaves frees the queue at once, before the engine asks for more."""
    tasks = await held(batcher, doubler, 0)
    gone = asyncio.create_task(batcher.submit([1, 2, 3], Caller()))
    await asyncio.sleep(0)
    assert batcher.waiting(Priority.INTERACTIVE) == 3
    gone.cancel()
    await asyncio.gather(gone, return_exceptions=True)
    assert batcher.waiting(Priority.INTERACTIVE) == 0
    doubler.free.set()
    assert await results(tasks) == [0]
    assert doubler.batches == [[0]]


async def test_deadline_is_told_while_the_engine_is_busy(
    batcher: Numbers, doubler: Doubler
) -> None:
    """Who waits behind a long run hears at the deadline that it passed, not after the run."""
    tasks = await held(batcher, doubler, 0)
    (late,) = await queued(batcher, 1, deadline_s=time.monotonic() + 0.01)
    with pytest.raises(DeadlinePassedError):
        await asyncio.wait_for(late, LONG_S)
    assert not tasks[0].done()
    assert batcher.waiting(Priority.INTERACTIVE) == 0
    doubler.free.set()
    assert await results(tasks) == [0]


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
        first, second = await queued(batcher, 1, 2)
        assert layout.failed or not first.done()
        (third,) = await queued(batcher, 3)
        assert await results([first, second, third]) == [2, 4, 6]
        await batcher.close()


async def test_caller_that_leaves_mid_batch_harms_nobody(
    batcher: Numbers, doubler: Doubler
) -> None:
    """One of a running batch is cancelled: the others get their answers."""
    first, gone, last = await held(batcher, doubler, 1, 2, 3)
    gone.cancel()
    doubler.free.set()
    assert await results([first, last]) == [2, 6]
    assert gone.cancelled()
    assert doubler.batches == [[1, 2, 3]]


async def test_caller_that_leaves_the_queue_costs_no_run(
    batcher: Numbers, doubler: Doubler
) -> None:
    """Who is gone before the run is not run, and nobody else waits for it."""
    tasks = await held(batcher, doubler, 0)
    gone, *waiting = await queued(batcher, 1, 2, 3, 4, 5)
    gone.cancel()
    doubler.free.set()
    assert await results([*tasks, *waiting]) == [0, 4, 6, 8, 10]
    assert doubler.batches == [[0], [2, 3, 4, 5]]


async def test_poison_harms_itself_alone(batcher: Numbers, doubler: Doubler) -> None:
    """One item fails the batch: its neighbours are run again and answered."""
    tasks = await held(batcher, doubler, 0)
    first, poisoned, last = await queued(batcher, 1, POISON, 2)
    doubler.free.set()
    assert await results([*tasks, first, last]) == [0, 2, 4]
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
    tasks = await held(batcher, doubler, 1)
    tasks += await queued(batcher, 2, 3)
    doubler.free.set()
    told = await asyncio.wait_for(asyncio.gather(*tasks, return_exceptions=True), LONG_S)
    assert all(isinstance(error, Exception) for error in told)
    doubler.failure = None
    assert (await asyncio.wait_for(ask(batcher, 4), LONG_S)).result == 8


@pytest.mark.parametrize("answers", [[], [1], [1, 2, 3], None])
async def test_wrong_count_is_nobodys_answer(
    batcher: Numbers, doubler: Doubler, answers: list[int] | None
) -> None:
    """An engine that gives too few or too many results: no caller gets another's."""
    doubler.answers = lambda items: answers if len(items) == 2 else [2 * i for i in items][:0]
    tasks = await held(batcher, doubler, 0)
    tasks += await queued(batcher, 5, 6)
    doubler.free.set()
    told = await asyncio.wait_for(asyncio.gather(*tasks, return_exceptions=True), LONG_S)
    assert [type(error) for error in told] == [WrongCountError] * 3
    assert doubler.batches == [[0], [5, 6], [5], [6]]


async def test_late_item_is_told_and_not_run(batcher: Numbers, doubler: Doubler) -> None:
    """A deadline that passes in the queue: no run is wasted, the others are served."""
    tasks = await held(batcher, doubler, 0)
    (late,) = await queued(batcher, 1, deadline_s=time.monotonic())
    tasks += await queued(batcher, 2, deadline_s=time.monotonic() + LONG_S)
    doubler.free.set()
    assert await results(tasks) == [0, 4]
    with pytest.raises(DeadlinePassedError):
        await late
    assert doubler.batches == [[0], [2]]


async def test_drain_ends_after_the_running_batch(batcher: Numbers, doubler: Doubler) -> None:
    """At the end: what runs is answered, what waits is told, what comes is refused."""
    running = await held(batcher, doubler, 0)
    waiting = await queued(batcher, 1)
    closing = asyncio.create_task(batcher.close())
    await asyncio.sleep(0)
    with pytest.raises(BatcherClosedError):
        await ask(batcher, 2)
    doubler.free.set()
    await asyncio.wait_for(closing, LONG_S)
    assert await results(running) == [0]
    with pytest.raises(BatcherClosedError):
        await asyncio.wait_for(waiting[0], LONG_S)
    assert doubler.batches == [[0]]
