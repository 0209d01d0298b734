"""How many calls with pictures there may be at once, decided before a message is read.

Each may have one picture on its way in, or one that waits for room, which `Admission` does not
count. Nobody holds all the places alone.
"""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

import grpc

from hunique_server.admission import SHARE
from hunique_server.errors import Failure

_CALLS_PER_PLACE = 4
_LEAST_CALLS = 64
_RETRY_AFTER_MS = 1000


class OpenCalls:
    """Counts the calls of each client. For one event loop.

    Args:
        max_items: pictures that may be inside at once; there are four calls for each, and 64 at
            least.
    """

    def __init__(self, max_items: int) -> None:
        self._most = max(_LEAST_CALLS, _CALLS_PER_PLACE * max_items)
        self._of_client: Counter[str] = Counter()
        self.count = 0
        """Those that are open now."""

    def refusal(self, client: str) -> Failure | None:
        """What to tell a client for whose next call there is no room; None where there is."""
        free = self._most - self.count - 1
        own = self._of_client[client]
        if free >= 0 and (not own or own + 1 <= SHARE * free):
            return None
        return Failure(
            code=grpc.StatusCode.RESOURCE_EXHAUSTED,
            message=f"Expected at most {self._most} open calls, and {SHARE} from one client for each "
            f"that is left; found {self.count}, {own} of them from this client. Try again in "
            f"{_RETRY_AFTER_MS} ms, or send many pictures over one stream.",
            retry_after_ms=_RETRY_AFTER_MS,
        )

    @contextmanager
    def enter(self, client: str) -> Iterator[None]:
        """Count a call of a client while it is open."""
        self.count += 1
        self._of_client[client] += 1
        try:
            yield
        finally:
            self.count -= 1
            self._of_client[client] -= 1
            if not self._of_client[client]:
                del self._of_client[client]
