"""Who may come in: decided before a picture costs anything but its bytes.

Nobody fills the server alone: whoever is inside may hold `SHARE` times what is left free, so
that there is always room for somebody else, or for the same client's interactive pictures
beside its bulk. Whoever holds nothing comes in wherever there is room.

Who waits stands in line. What is small may pass what is large and does not fit yet, so that
no place stays empty for long, but only so often: then everybody waits until it fits.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass

from hunique_server.caller import NOBODY, Caller, Priority

SHARE = 3
"""What one holder may have inside, in times of what is free: alone, three quarters of all."""
PASSED = 4
"""Pictures that may come in before one that waits, for each of its own: it gets one in five."""


class QueueFullError(Exception):
    """There is no room now; `retry_after_ms` says when there may be."""

    def __init__(self, reason: str, retry_after_ms: int) -> None:
        super().__init__(
            f"The server is full ({reason}). Try again in {retry_after_ms} ms, or send fewer "
            "pictures at once."
        )
        self.retry_after_ms = retry_after_ms


@dataclass
class _Held:
    """What one client has inside of one priority."""

    items: int = 0
    bytes: int = 0


@dataclass(kw_only=True, eq=False)
class _Request:
    """What comes in together."""

    size_bytes: int
    items: int
    caller: Caller
    passed: int = 0
    """Pictures that came in while it waited, and came later."""

    @property
    def holder(self) -> tuple[str, Priority]:
        """Whose share it is taken from."""
        return self.caller.client, self.caller.priority

    @property
    def was_passed_enough(self) -> bool:
        """Whether it is its turn, as soon as it fits."""
        return self.passed >= PASSED * self.items


@dataclass(kw_only=True, eq=False)
class _Waiting(_Request):
    """The same in line; its place is its own once the future has a result."""

    entered: "asyncio.Future[None]"


class Admission:
    """Counts pictures and bytes admitted and not yet answered. For one event loop.

    Args:
        max_items: most pictures; more of them at once never get in.
        max_bytes: most bytes of encoded images.
    """

    def __init__(self, max_items: int, max_bytes: int) -> None:
        self.max_items = max_items
        self._max_bytes = max_bytes
        self._held: dict[tuple[str, Priority], _Held] = {}
        self.items = 0
        """Pictures inside."""
        self.bytes = 0
        """Their encoded bytes."""
        self._line: list[_Waiting] = []
        self.mean_service_ms = 100.0
        """Moving mean of the time a picture is inside, for retry hints."""

    @property
    def waiting_items(self) -> int:
        """Pictures that wait for room."""
        return sum(one.items for one in tuple(self._line))

    @property
    def waiting_bytes(self) -> int:
        """Their encoded bytes."""
        return sum(one.size_bytes for one in tuple(self._line))

    @contextmanager
    def admit(self, size_bytes: int, items: int = 1, caller: Caller = NOBODY) -> Iterator[None]:
        """Room for one picture, or for several together, or an error at once.

        Raises:
            QueueFullError: no room, none for this client, or it is the turn of others.
        """
        request = _Request(size_bytes=size_bytes, items=items, caller=caller)
        if hindrance := self._hindrance(request):
            # in half the time that a picture is inside, half of the places change hands
            raise QueueFullError(hindrance, max(10, round(self.mean_service_ms / 2)))
        self._enter(request)
        try:
            yield
        finally:
            self._leave(request)

    @asynccontextmanager
    async def wait(
        self, size_bytes: int, items: int = 1, caller: Caller = NOBODY
    ) -> AsyncIterator[None]:
        """Room for one picture, or for several together, as soon as there is."""
        entered: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        request = _Waiting(size_bytes=size_bytes, items=items, caller=caller, entered=entered)
        if self._hindrance(request):
            await self._wait_in_line(request)
        else:
            self._enter(request)
        try:
            yield
        finally:
            self._leave(request)

    def observe(self, service_s: float) -> None:
        """Learn from one answered picture."""
        self.mean_service_ms += 0.05 * (service_s * 1000 - self.mean_service_ms)

    async def _wait_in_line(self, request: _Waiting) -> None:
        self._line.append(request)
        try:
            await request.entered
        except asyncio.CancelledError:
            if request.entered.cancelled():
                self._line = [one for one in self._line if one is not request]
                self._let_in()  # whom it kept out
            else:
                self._leave(request)  # it was let in as it went
            raise

    def _let_in(self) -> None:
        """Let those in, in the order of coming, whom nothing hinders any longer."""
        line, self._line = self._line, []
        for one in line:
            if one.entered.done():  # given up
                continue
            if self._hindrance(one):
                self._line.append(one)
            else:
                self._enter(one)
                one.entered.set_result(None)

    def _hindrance(self, request: _Request) -> str:
        """Why a request does not come in now, behind those in line; nothing if it may."""
        if lack := self._lack(request):
            return lack
        is_kept_out = any(self._keeps_out(one, request) for one in self._line)
        return "others have waited for long" if is_kept_out else ""

    def _keeps_out(self, earlier: _Request, later: _Request) -> bool:
        """Whether room is kept for the earlier one.

        Who lacks nothing but a larger share waits for its own pictures, and for nobody else's.
        """
        if not earlier.was_passed_enough:
            return False
        return earlier.holder == later.holder or not self._lack_of_share(earlier)

    def _lack(self, request: _Request) -> str:
        """What there is too little of, or nothing."""
        if self.items + request.items > self.max_items:
            return "items"
        if self.items and self.bytes + request.size_bytes > self._max_bytes:
            return "bytes"
        return self._lack_of_share(request)

    def _lack_of_share(self, request: _Request) -> str:
        held = self._held.get(request.holder)
        if held is None:
            return ""
        if held.items + request.items > SHARE * (self.max_items - self.items - request.items):
            return "items of one client"
        free_bytes = self._max_bytes - self.bytes - request.size_bytes
        return "bytes of one client" if held.bytes + request.size_bytes > SHARE * free_bytes else ""

    def _enter(self, request: _Request) -> None:
        for one in self._line:
            one.passed += request.items
        self.items += request.items
        self.bytes += request.size_bytes
        held = self._held.setdefault(request.holder, _Held())
        held.items += request.items
        held.bytes += request.size_bytes

    def _leave(self, request: _Request) -> None:
        self.items -= request.items
        self.bytes -= request.size_bytes
        held = self._held[request.holder]
        held.items -= request.items
        held.bytes -= request.size_bytes
        if not held.items:
            del self._held[request.holder]
        self._let_in()
