"""The batcher: one queue, one owner, pulled by the engine when it is free.

    submit -> queue -> collect up to max_batch -> run in a thread -> answer every member

It knows neither gRPC nor pictures. Members whose caller is gone or whose deadline has
passed are dropped before they cost a run; every other member gets a result or an
exception; where a batch fails, its members are run one by one, so that a poisoned one
harms itself alone; the loop outlives any exception.
"""

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field
from typing import Generic, NamedTuple, TypeVar

logger = logging.getLogger(__name__)

Item = TypeVar("Item")
Result = TypeVar("Result")


class BatcherClosedError(Exception):
    """The server is ending; the item was not run."""


class DeadlinePassedError(Exception):
    """The caller's deadline passed before the item was run."""


class WrongCountError(Exception):
    """The engine gave another number of results than there were items."""


class Answer(NamedTuple, Generic[Result]):
    """A result and where its time went."""

    result: Result
    """What the engine said."""
    queue_ns: int
    """From submission to the start of the run."""
    run_ns: int
    """Duration of the run, neighbours included."""


@dataclass(kw_only=True, eq=False)
class _Entry(Generic[Item, Result]):
    item: Item
    weight: int
    deadline_s: float | None
    future: "asyncio.Future[Answer[Result]]"
    submitted_ns: int = field(default_factory=time.monotonic_ns)


class Batcher(Generic[Item, Result]):
    """Runs items in batches. For one event loop.

    Args:
        run: from a list of items to as many results, in order; called in `executor`.
        executor: runs `run`; one batch at a time is given to it.
        max_batch: most weight of a batch; a heavier item is run alone.
        observe_batch: told the weight of each batch that was run.
    """

    def __init__(
        self,
        run: Callable[[list[Item]], Sequence[Result]],
        executor: Executor,
        max_batch: int,
        observe_batch: Callable[[int], None] = lambda _: None,
    ) -> None:
        self._run = run
        self._executor = executor
        self._max_batch = max_batch
        self._observe_batch = observe_batch
        self._queue: deque[_Entry[Item, Result]] = deque()
        self._wake = asyncio.Event()
        self._closed = False
        self._loop_task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to run batches."""
        self._loop_task = asyncio.create_task(self._serve(), name="batcher")

    async def close(self) -> None:
        """Fail what has not been run, and end after the batch that is running."""
        self._closed = True
        self._wake.set()
        if self._loop_task is not None:
            await self._loop_task
        while self._queue:
            _fail(self._queue.popleft(), BatcherClosedError("the server is ending"))

    async def submit(
        self, item: Item, *, weight: int = 1, deadline_s: float | None = None
    ) -> Answer[Result]:
        """Queue an item and wait for its answer.

        Args:
            item: what to run.
            weight: its share of `max_batch`.
            deadline_s: on the monotonic clock; later, it is no longer run.

        Raises:
            BatcherClosedError: the server is ending.
            DeadlinePassedError: the deadline passed in the queue.
            Exception: whatever `run` raised for this item.
        """
        if self._closed:
            raise BatcherClosedError("the server is ending")
        future: asyncio.Future[Answer[Result]] = asyncio.get_running_loop().create_future()
        entry = _Entry(item=item, weight=weight, deadline_s=deadline_s, future=future)
        self._queue.append(entry)
        self._wake.set()
        return await future

    async def _serve(self) -> None:
        while not self._closed:
            await self._wake.wait()
            self._wake.clear()
            while not self._closed and (batch := self._collect()):
                try:
                    await self._answer(batch)
                except Exception:
                    logger.exception("a batch could not be answered")
                    for entry in batch:
                        _fail(entry, RuntimeError("the batch could not be answered"))

    def _collect(self) -> list[_Entry[Item, Result]]:
        """Take entries from the front of the queue, up to `max_batch` in weight."""
        batch: list[_Entry[Item, Result]] = []
        weight = 0
        while self._queue:
            entry = self._queue[0]
            if not _is_wanted(entry):
                self._queue.popleft()
                continue
            if batch and weight + entry.weight > self._max_batch:
                break
            batch.append(self._queue.popleft())
            weight += entry.weight
        return batch

    async def _answer(self, batch: list[_Entry[Item, Result]]) -> None:
        started_ns = time.monotonic_ns()
        try:
            results = await self._run_in_thread(batch)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is the picture's own
            if len(batch) == 1:
                _fail(batch[0], error)
                return
            logger.warning("a batch of %d failed; its members are run one by one", len(batch))
            for entry in batch:
                if _is_wanted(entry):
                    await self._answer([entry])
            return
        run_ns = time.monotonic_ns() - started_ns
        for entry, result in zip(batch, results, strict=True):
            if not entry.future.done():
                entry.future.set_result(Answer(result, started_ns - entry.submitted_ns, run_ns))

    async def _run_in_thread(self, batch: list[_Entry[Item, Result]]) -> Sequence[Result]:
        self._observe_batch(sum(entry.weight for entry in batch))
        items = [entry.item for entry in batch]
        loop = asyncio.get_running_loop()
        results = await loop.run_in_executor(self._executor, self._run_guarded, items)
        if len(results) != len(items):
            raise WrongCountError(f"expected {len(items)} results, found {len(results)}")
        return results

    def _run_guarded(self, items: list[Item]) -> Sequence[Result]:
        """Run; what a future cannot carry to its loop unharmed becomes a plain error."""
        try:
            return self._run(items)
        except BaseException as error:
            if isinstance(error, Exception) and not isinstance(error, StopIteration):
                raise
            raise RuntimeError(f"the engine raised {type(error).__name__}") from error


def _is_wanted(entry: _Entry[Item, Result]) -> bool:
    """Whether the caller is still there and in time; a late entry is told so."""
    if entry.future.done():
        return False
    if entry.deadline_s is not None and time.monotonic() >= entry.deadline_s:
        _fail(entry, DeadlinePassedError("the deadline passed while the picture waited"))
        return False
    return True


def _fail(entry: _Entry[Item, Result], error: Exception) -> None:
    if not entry.future.done():
        entry.future.set_exception(error)
