"""How many pictures are worked on at once: enough to keep every core busy, and no more.

    enter -> room, or a line that is fair and knows priorities -> decode, run, finish -> leave

A decoded picture takes many times the memory of its file. Were all that were admitted
decoded at once, memory would grow with the load, and whoever comes last would wait for all
of them whatever its priority. One place is kept from bulk, so that an interactive picture
does not wait for a bulk one to end.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import NamedTuple

from hunique_server.batcher import DeadlinePassedError
from hunique_server.caller import Caller, Priority
from hunique_server.fair_queue import FairQueue


class InWork:
    """The pictures that are worked on. For one event loop.

    Args:
        room: how many there may be now, at least two.
    """

    def __init__(self, room: Callable[[], int]) -> None:
        self._room = room
        self._waiting: FairQueue[_Turn] = FairQueue()
        self._inside = dict.fromkeys(Priority, 0)

    @asynccontextmanager
    async def enter(self, caller: Caller) -> AsyncIterator[None]:
        """Be worked on, once there is room.

        Raises:
            DeadlinePassedError: the caller's deadline passed before.
        """
        await self._wait(caller)
        try:
            yield
        finally:
            self._leave(caller.priority)

    async def _wait(self, caller: Caller) -> None:
        turn = _Turn(caller.priority, asyncio.get_running_loop().create_future())
        (ticket,) = self._waiting.add([turn], caller.client, caller.priority)
        self._let_in()
        try:
            async with asyncio.timeout_at(caller.deadline_s):
                await turn.come
        except BaseException as error:
            self._waiting.withdraw(ticket, caller.priority)
            if turn.come.done() and not turn.come.cancelled():
                self._leave(caller.priority)  # it was let in as it went
            if isinstance(error, TimeoutError):
                raise DeadlinePassedError("the deadline passed before the picture's turn") from None
            raise

    def _let_in(self) -> None:
        while (room := self._room() - sum(self._inside.values())) > 0:
            bulk_too = room > 1 or not self._inside[Priority.BULK]
            turn = self._waiting.take(bulk_too=bulk_too)
            if turn is None:
                return
            if not turn.come.done():
                self._inside[turn.priority] += 1
                turn.come.set_result(None)

    def _leave(self, priority: Priority) -> None:
        self._inside[priority] -= 1
        self._let_in()


class _Turn(NamedTuple):
    priority: Priority
    come: "asyncio.Future[None]"
