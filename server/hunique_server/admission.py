"""Who may come in: decided before a picture costs anything but its bytes."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager


class QueueFullError(Exception):
    """There is no room now; `retry_after_ms` says when there may be."""

    def __init__(self, reason: str, retry_after_ms: int) -> None:
        super().__init__(
            f"The server is full ({reason}). Try again in {retry_after_ms} ms, or send fewer "
            "pictures at once."
        )
        self.retry_after_ms = retry_after_ms


class Admission:
    """Counts pictures and bytes admitted and not yet answered. For one event loop.

    Args:
        max_items: most pictures; more of them at once never get in.
        max_bytes: most bytes of encoded images.
    """

    def __init__(self, max_items: int, max_bytes: int) -> None:
        self.max_items = max_items
        self._max_bytes = max_bytes
        self.items = 0
        """Pictures inside."""
        self.bytes = 0
        """Their encoded bytes."""
        self.waiting: list[asyncio.Future[None]] = []
        """Who waits for room; each is woken when somebody leaves."""
        self.mean_service_ms = 100.0
        """Moving mean of the time a picture takes, for retry hints."""

    @contextmanager
    def admit(self, size_bytes: int, items: int = 1) -> Iterator[None]:
        """Room for one picture, or for several together, or an error at once.

        Raises:
            QueueFullError: no room.
        """
        if not self._fits(size_bytes, items):
            full = "items" if self.items + items > self.max_items else "bytes"
            retry_after_ms = max(10, round(self.mean_service_ms * self.items / 2))
            raise QueueFullError(full, retry_after_ms)
        self._enter(size_bytes, items)
        try:
            yield
        finally:
            self._leave(size_bytes, items)

    @asynccontextmanager
    async def wait(self, size_bytes: int, items: int = 1) -> AsyncIterator[None]:
        """Room for one picture, or for several together, as soon as there is."""
        while not self._fits(size_bytes, items):
            left: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self.waiting.append(left)
            try:
                await left
            except asyncio.CancelledError:
                if left in self.waiting:
                    self.waiting.remove(left)
                raise
        self._enter(size_bytes, items)
        try:
            yield
        finally:
            self._leave(size_bytes, items)

    def observe(self, service_s: float) -> None:
        """Learn from one answered picture."""
        self.mean_service_ms += 0.05 * (service_s * 1000 - self.mean_service_ms)

    def _fits(self, size_bytes: int, items: int) -> bool:
        return self.items + items <= self.max_items and (
            self.items == 0 or self.bytes + size_bytes <= self._max_bytes
        )

    def _enter(self, size_bytes: int, items: int) -> None:
        self.items += items
        self.bytes += size_bytes

    def _leave(self, size_bytes: int, items: int) -> None:
        self.items -= items
        self.bytes -= size_bytes
        for waiting in self.waiting:
            if not waiting.done():
                waiting.set_result(None)
        self.waiting.clear()
