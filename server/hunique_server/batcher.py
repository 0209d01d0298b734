"""The batcher: one queue, one owner, pulled by the engines when they are free.

    submit -> fair queue -> a turn of the layout -> run in a thread -> answer every member

It knows neither gRPC nor pictures. An item is one look; those of one request may share a
batch with others' or be spread over several. Items whose caller is gone or whose deadline
has passed are dropped before they cost a run; every other one gets a result or an
exception; where a batch fails, its members are run one by one, so that a poisoned one
harms itself alone; the loop outlives any exception.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field
from typing import Generic, NamedTuple, TypeVar

from hunique_server.caller import Caller, Priority
from hunique_server.fair_queue import FairQueue
from hunique_server.layout import Layout, Pause, Turn

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
    deadline_s: float | None
    future: "asyncio.Future[Answer[Result]]"
    submitted_ns: int = field(default_factory=time.monotonic_ns)


class Batcher(Generic[Item, Result]):
    """Runs items in batches. For one event loop.

    Args:
        layout: says what may run now, on how many places, and learns from it.
        executor: a thread for each place of the layout.
        observe_batch: told each turn that is run, and of how many items.
        observe_run: told of how many items a run that succeeded was, and how many ns it took.
    """

    def __init__(
        self,
        layout: Layout[Item, Result],
        executor: Executor,
        observe_batch: Callable[[Turn[Item, Result], int], None] = lambda *_: None,
        observe_run: Callable[[int, int], None] = lambda *_: None,
    ) -> None:
        self._layout = layout
        self._executor = executor
        self._observe_batch = observe_batch
        self._observe_run = observe_run
        self._queue: FairQueue[_Entry[Item, Result]] = FairQueue()
        self._free = layout.places
        self._wake = asyncio.Event()
        self._look_again: asyncio.TimerHandle | None = None
        self._closed = False
        self._loop_task: asyncio.Task[None] | None = None
        self._running: set[asyncio.Task[None]] = set()

    def start(self) -> None:
        """Begin to run batches."""
        self._loop_task = asyncio.create_task(self._serve(), name="batcher")

    async def close(self) -> None:
        """Fail what has not been run, and end after the batches that are running."""
        self._closed = True
        self._wake.set()
        if self._loop_task is not None:
            await self._loop_task
        while entry := self._queue.take():
            _fail(entry, BatcherClosedError("the server is ending"))

    def waiting(self, priority: Priority) -> int:
        """Items of one priority that wait for their run."""
        return self._queue.waiting(priority)

    async def submit(self, items: Sequence[Item], caller: Caller) -> list[Answer[Result]]:
        """Queue the items of one request and wait for their answers, in order.

        Args:
            items: what to run.
            caller: for whom; whoever cancels this takes back what has not been run.

        Raises:
            BatcherClosedError: the server is ending.
            DeadlinePassedError: the deadline passed before all were answered.
            Exception: whatever was raised for one of the items; the others are not run.
        """
        if self._closed:
            raise BatcherClosedError("the server is ending")
        new_future = asyncio.get_running_loop().create_future
        entries = [
            _Entry[Item, Result](item=item, deadline_s=caller.deadline_s, future=new_future())
            for item in items
        ]
        tickets = self._queue.add(entries, caller.client, caller.priority)
        self._wake.set()
        try:
            async with asyncio.timeout_at(caller.deadline_s) as limit:
                return await asyncio.gather(*(entry.future for entry in entries))
        except TimeoutError as error:
            raise _too_late() if limit.expired() else error from None
        finally:
            for entry, ticket in zip(entries, tickets, strict=True):
                entry.future.cancel()
                self._queue.withdraw(ticket, caller.priority)

    async def _serve(self) -> None:
        while not self._closed:
            await self._wake.wait()
            self._wake.clear()
            try:
                while not self._closed and self._begin_turn():
                    pass
            except Exception:
                logger.exception("no turn could be begun")
        if self._look_again is not None:
            self._look_again.cancel()
        await asyncio.gather(*self._running)

    def _begin_turn(self) -> bool:
        """Begin what may begin now; whether more may."""
        turn = self._layout.next_turn(len(self._queue), self._free)
        if isinstance(turn, Pause):
            self._ask_again_in(turn.seconds_s)
        if turn is None or isinstance(turn, Pause):
            return False
        batch = self._collect(turn.most)
        if not batch:
            return False
        self._free -= turn.places
        self._layout.began(turn, len(batch))
        task = asyncio.create_task(self._take(turn, batch))
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        return True

    def _ask_again_in(self, seconds_s: float) -> None:
        if self._look_again is not None:
            self._look_again.cancel()
        self._look_again = asyncio.get_running_loop().call_later(seconds_s, self._wake.set)

    def _collect(self, most: int) -> list[_Entry[Item, Result]]:
        """Take up to `most` entries that are still wanted."""
        batch: list[_Entry[Item, Result]] = []
        while len(batch) < most and (entry := self._queue.take()):
            if _is_wanted(entry):
                batch.append(entry)
        return batch

    async def _take(self, turn: Turn[Item, Result], batch: list[_Entry[Item, Result]]) -> None:
        run_s = None
        try:
            run_s = await self._answer(turn, batch)
        except Exception:
            logger.exception("a batch could not be answered")
            for entry in batch:
                _fail(entry, RuntimeError("the batch could not be answered"))
        finally:
            self._layout.ended(turn, len(batch), run_s)
            self._free += turn.places
            self._wake.set()

    async def _answer(
        self, turn: Turn[Item, Result], batch: list[_Entry[Item, Result]]
    ) -> float | None:
        """Run and answer a batch; its duration in seconds, None where it failed."""
        started_ns = time.monotonic_ns()
        try:
            results = await self._run_in_thread(turn, batch)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is the picture's own
            if len(batch) == 1:
                _fail(batch[0], error)
                return None
            logger.warning("a batch of %d failed; its members are run one by one", len(batch))
            for entry in batch:
                if _is_wanted(entry):
                    await self._answer(turn, [entry])
            return None
        run_ns = time.monotonic_ns() - started_ns
        self._observe_run(len(batch), run_ns)
        for entry, result in zip(batch, results, strict=True):
            if not entry.future.done():
                entry.future.set_result(Answer(result, started_ns - entry.submitted_ns, run_ns))
        return run_ns / 1e9

    async def _run_in_thread(
        self, turn: Turn[Item, Result], batch: list[_Entry[Item, Result]]
    ) -> Sequence[Result]:
        self._observe_batch(turn, len(batch))
        items = [entry.item for entry in batch]
        loop = asyncio.get_running_loop()
        results = await loop.run_in_executor(self._executor, _run_guarded, turn, items)
        if len(results) != len(items):
            raise WrongCountError(f"expected {len(items)} results, found {len(results)}")
        return results


def _run_guarded(turn: Turn[Item, Result], items: list[Item]) -> Sequence[Result]:
    """Run; what a future cannot carry to its loop unharmed becomes a plain error."""
    try:
        return turn.run(items)
    except BaseException as error:
        if isinstance(error, Exception) and not isinstance(error, StopIteration):
            raise
        raise RuntimeError(f"the engine raised {type(error).__name__}") from error


def _is_wanted(entry: _Entry[Item, Result]) -> bool:
    """Whether the caller is still there and in time; a late entry is told so."""
    if entry.future.done():
        return False
    if entry.deadline_s is not None and time.monotonic() >= entry.deadline_s:
        _fail(entry, _too_late())
        return False
    return True


def _too_late() -> DeadlinePassedError:
    return DeadlinePassedError("the deadline passed while the picture waited")


def _fail(entry: _Entry[Item, Result], error: Exception) -> None:
    if not entry.future.done():
        entry.future.set_exception(error)
