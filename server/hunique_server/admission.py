"""Who may come in: decided before a picture costs anything but its bytes.

Nobody fills the server alone: whoever is inside may hold `SHARE` times what is left free, so
that there is always room for somebody else, or for the same client's interactive pictures
beside its bulk. Whoever holds nothing comes in wherever there is room.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass

from hunique_server.caller import NOBODY, Caller, Priority

SHARE = 3
"""What one holder may have inside, in times of what is free: alone, three quarters of all."""


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
        self.waiting: list[asyncio.Future[None]] = []
        """Who waits for room; each is woken when somebody leaves."""
        self.mean_service_ms = 100.0
        """Moving mean of the time a picture is inside, for retry hints."""

    @contextmanager
    def admit(self, size_bytes: int, items: int = 1, caller: Caller = NOBODY) -> Iterator[None]:
        """Room for one picture, or for several together, or an error at once.

        Raises:
            QueueFullError: no room, or none for this client.
        """
        if full := self._lacks(size_bytes, items, caller):
            # in half the time that a picture is inside, half of the places change hands
            raise QueueFullError(full, max(10, round(self.mean_service_ms / 2)))
        self._enter(size_bytes, items, caller)
        try:
            yield
        finally:
            self._leave(size_bytes, items, caller)

    @asynccontextmanager
    async def wait(
        self, size_bytes: int, items: int = 1, caller: Caller = NOBODY
    ) -> AsyncIterator[None]:
        """Room for one picture, or for several together, as soon as there is."""
        while self._lacks(size_bytes, items, caller):
            left: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self.waiting.append(left)
            try:
                await left
            except asyncio.CancelledError:
                if left in self.waiting:
                    self.waiting.remove(left)
                raise
        self._enter(size_bytes, items, caller)
        try:
            yield
        finally:
            self._leave(size_bytes, items, caller)

    def observe(self, service_s: float) -> None:
        """Learn from one answered picture."""
        self.mean_service_ms += 0.05 * (service_s * 1000 - self.mean_service_ms)

    def _lacks(self, size_bytes: int, items: int, caller: Caller) -> str:
        """What there is too little of, or nothing."""
        free_items = self.max_items - self.items - items
        if free_items < 0:
            return "items"
        free_bytes = self._max_bytes - self.bytes - size_bytes
        if self.items and free_bytes < 0:
            return "bytes"
        held = self._held.get((caller.client, caller.priority))
        if held is None:
            return ""
        if held.items + items > SHARE * free_items:
            return "items of one client"
        return "bytes of one client" if held.bytes + size_bytes > SHARE * free_bytes else ""

    def _enter(self, size_bytes: int, items: int, caller: Caller) -> None:
        self.items += items
        self.bytes += size_bytes
        held = self._held.setdefault((caller.client, caller.priority), _Held())
        held.items += items
        held.bytes += size_bytes

    def _leave(self, size_bytes: int, items: int, caller: Caller) -> None:
        self.items -= items
        self.bytes -= size_bytes
        held = self._held[caller.client, caller.priority]
        held.items -= items
        held.bytes -= size_bytes
        if not held.items:
            del self._held[caller.client, caller.priority]
        for waiting in self.waiting:
            if not waiting.done():
                waiting.set_result(None)
        self.waiting.clear()
