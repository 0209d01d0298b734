"""An engine that doubles numbers, and what tests of the batcher do with it."""

import asyncio
from collections.abc import Callable, Sequence
from threading import Event
from typing import Any

from hunique_server.batch_cost import BatchCost
from hunique_server.batcher import Answer, Batcher
from hunique_server.caller import Caller
from hunique_server.layout import FixedLayout

MAX_BATCH = 4
LONG_S = 60.0
POISON = 13

Numbers = Batcher[int, int]
Task = asyncio.Task[Answer[int]]


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


def layout_of(doubler: Doubler) -> FixedLayout[int, int]:
    """One place, batches of at most four."""
    return FixedLayout(doubler, 1, BatchCost(MAX_BATCH))


async def ask(batcher: Numbers, item: int, **caller: Any) -> Answer[int]:
    """Ask for one item and wait."""
    (answer,) = await batcher.submit([item], Caller(**caller))
    return answer


async def held(batcher: Numbers, doubler: Doubler, *items: int) -> list[Task]:
    """Items in a batch that the engine has begun and does not end."""
    doubler.entered.clear()
    doubler.free.clear()
    tasks = await queued(batcher, *items)
    assert await asyncio.to_thread(doubler.entered.wait, LONG_S)
    return tasks


async def queued(batcher: Numbers, *items: int, **caller: Any) -> list[Task]:
    """Items that have come as far as the queue."""
    tasks = [asyncio.create_task(ask(batcher, item, **caller)) for item in items]
    await asyncio.sleep(0)  # each of them gets as far as the queue
    return tasks


async def results(tasks: Sequence[Task]) -> list[int]:
    """What was answered, in the order of `tasks`."""
    return [answer.result for answer in await asyncio.wait_for(asyncio.gather(*tasks), LONG_S)]
