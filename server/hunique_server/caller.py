"""On whose behalf, how urgently and until when: what queue and batcher know of a call.

A leaf: it imports nothing of the package.
"""

from dataclasses import dataclass
from enum import StrEnum


class Priority(StrEnum):
    """Which of two lines a request waits in."""

    INTERACTIVE = "interactive"
    """Somebody looks at the screen: before all that is bulk."""
    BULK = "bulk"
    """Somebody has many: whatever time is left, and never less than a small share."""


@dataclass(frozen=True, kw_only=True)
class Caller:
    """Who waits for an answer."""

    client: str = ""
    """Requests of one name share one client's share."""
    priority: Priority = Priority.INTERACTIVE
    """How urgent it is."""
    deadline_s: float | None = None
    """On the monotonic clock; later, nobody wants the answer."""


NOBODY = Caller()
"""A caller of whom nothing is known."""
