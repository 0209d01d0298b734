"""The batcher alone: no server, no pictures, an engine that doubles numbers."""

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from doubling import LONG_S, MAX_BATCH, Doubler, Numbers, ask, held, queued, results

from hunique_server.batch_cost import BatchCost
from hunique_server.batcher import Batcher
from hunique_server.caller import Caller, Priority
from hunique_server.layout import ElasticLayout, FixedLayout, Pause, Turn


async def test_what_waits_is_run_together(batcher: Numbers, doubler: Doubler) -> None:
    """While the engine is busy a batch forms, of no more than it may hold."""
    tasks = await held(batcher, doubler, 0)
    tasks += await queued(batcher, 1, 2, 3, 4, 5)
    doubler.free.set()
    assert await results(tasks) == [0, 2, 4, 6, 8, 10]
    assert doubler.batches == [[0], [1, 2, 3, 4], [5]]


async def test_lone_item_waits_for_nobody(batcher: Numbers, doubler: Doubler) -> None:
    """Without load an item is run at once, alone."""
    assert (await asyncio.wait_for(ask(batcher, 21), LONG_S)).result == 42
    assert doubler.batches == [[21]]


async def test_requests_share_batches_and_span_them(batcher: Numbers, doubler: Doubler) -> None:
    """Items of one request fill a batch up with others', and their answers come in order."""
    tasks = await held(batcher, doubler, 0)
    requests = [
        asyncio.create_task(batcher.submit(items, Caller()))
        for items in ([1, 2, 3], [4, 5, 6, 7, 8, 9], [10])
    ]
    await asyncio.sleep(0)
    doubler.free.set()
    assert await results(tasks) == [0]
    answers = [[a.result for a in await asyncio.wait_for(r, LONG_S)] for r in requests]
    assert answers == [[2, 4, 6], [8, 10, 12, 14, 16, 18], [20]]
    assert doubler.batches == [[0], [1, 2, 3, 4], [5, 6, 7, 8], [9, 10]]


async def test_interactive_goes_before_bulk_that_was_there_first(
    batcher: Numbers, doubler: Doubler
) -> None:
    """Whoever waits at a screen is run before what came earlier in bulk."""
    tasks = await held(batcher, doubler, 0)
    tasks += await queued(batcher, 1, 2, 3, 4, priority=Priority.BULK)
    tasks += await queued(batcher, 5, 6, 7, 8)
    doubler.free.set()
    assert await results(tasks) == [0, 2, 4, 6, 8, 10, 12, 14, 16]
    assert doubler.batches == [[0], [5, 6, 7, 8], [1, 2, 3, 4]]


async def test_thousand_pictures_of_one_client_delay_another_by_one_batch(
    batcher: Numbers, doubler: Doubler
) -> None:
    """However much one client has queued, the first item of another is in the next batch."""
    tasks = await held(batcher, doubler, 0)
    many = await queued(batcher, *range(100, 1100), client="many")
    (one,) = await queued(batcher, 5000, client="one")
    doubler.free.set()
    assert await results([*tasks, one]) == [0, 10000]
    assert [5000 in batch for batch in doubler.batches[:3]].count(True) == 1
    assert await results(many) == [2 * item for item in range(100, 1100)]


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
        assert (await asyncio.wait_for(ask(batcher, 3), LONG_S)).result == 6
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


async def test_places_run_at_once(doubler: Doubler) -> None:
    """Two places begin two runs before either has ended, and a third waits for a place."""
    with ThreadPoolExecutor(2) as executor:
        batcher: Numbers = Batcher(FixedLayout(doubler, 2, BatchCost(1)), executor)
        batcher.start()
        tasks = await held(batcher, doubler, 1)
        doubler.entered.clear()
        tasks += await queued(batcher, 2)
        assert await asyncio.to_thread(doubler.entered.wait, LONG_S)
        tasks += await queued(batcher, 3)
        assert doubler.batches == [[1], [2]]
        assert batcher.waiting(Priority.INTERACTIVE) == 1
        doubler.free.set()
        assert await results(tasks) == [2, 4, 6]
        await batcher.close()


async def test_everyone_gets_their_own_answer(batcher: Numbers, doubler: Doubler) -> None:
    """Of many callers each gets the answer to its item, served first come, first served."""
    tasks = await queued(batcher, *range(100, 300))
    assert await results(tasks) == [2 * item for item in range(100, 300)]
    assert [item for batch in doubler.batches for item in batch] == list(range(100, 300))


async def test_times_say_where_an_item_waited(batcher: Numbers, doubler: Doubler) -> None:
    """The wait for the engine and the run are told apart, in nanoseconds."""
    running = await held(batcher, doubler, 0)
    waiting = await queued(batcher, 1)
    queued_ns = time.monotonic_ns()
    await asyncio.to_thread(sum, range(100_000))  # a while
    held_ns = time.monotonic_ns() - queued_ns
    doubler.free.set()
    first, second = await running[0], await waiting[0]
    assert second.queue_ns >= held_ns
    assert first.run_ns >= held_ns
    assert min(first.queue_ns, second.run_ns) > 0
