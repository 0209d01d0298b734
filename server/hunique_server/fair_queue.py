"""Who is next: interactive before bulk, every client its share, every request in one piece.

    add -> the line of its priority, by start tags -> take

A line is fair by work (start-time fair queueing). Its clock stands at the tag of what was
taken last. A request's tag is the clock, or where the client's previous request ends on it,
if that is later; each item is one step. So whoever has a thousand items waiting is a
thousand steps ahead of the clock, and somebody else's first request goes before all of them
but the one whose turn it is.
"""

import heapq
from collections.abc import Sequence
from typing import Generic, TypeVar

from hunique_server.caller import Priority

INTERACTIVE_IN_A_ROW = 4
"""Interactive items that may pass a waiting bulk item before it is bulk's turn: under whatever
load, bulk gets one item in five."""
_REMEMBERED_CLIENTS = 256

Item = TypeVar("Item")


class Ticket(Generic[Item]):
    """An item's place in the queue.

    Args:
        item: what waits.
        client: for whom.
        order: the start tag, then the order of coming.
    """

    __slots__ = ("client", "item", "order")

    def __init__(self, item: Item, client: str, order: tuple[float, int]) -> None:
        self.item: Item | None = item
        self.client = client
        self.order = order

    def __lt__(self, other: "Ticket[Item]") -> bool:
        return self.order < other.order


class FairQueue(Generic[Item]):
    """Two lines of items, and whose turn it is."""

    def __init__(self) -> None:
        self._lines = {priority: _Line[Item]() for priority in Priority}
        self._passed_bulk = 0

    def __len__(self) -> int:
        return sum(line.count for line in self._lines.values())

    def waiting(self, priority: Priority) -> int:
        """Items in the line of one priority."""
        return self._lines[priority].count

    def add(self, items: Sequence[Item], client: str, priority: Priority) -> list[Ticket[Item]]:
        """Queue the items of one request, which follow one another."""
        return self._lines[priority].add(items, client)

    def withdraw(self, ticket: Ticket[Item], priority: Priority) -> None:
        """Let go of an item that still waits; one that was taken is no longer the queue's."""
        self._lines[priority].withdraw(ticket)

    def take(self, *, bulk_too: bool = True) -> Item | None:
        """The next item, or None where nothing waits.

        Args:
            bulk_too: whether it may be bulk's turn; False where what is left is not for bulk.
        """
        bulk, interactive = self._lines[Priority.BULK], self._lines[Priority.INTERACTIVE]
        bulk_waits = bulk_too and bulk.count > 0
        if bulk_waits and (not interactive.count or self._passed_bulk >= INTERACTIVE_IN_A_ROW):
            self._passed_bulk = 0
            return bulk.take()
        if bulk_waits:
            self._passed_bulk += 1
        return interactive.take()


class _Line(Generic[Item]):
    """One priority's items, fair among clients."""

    def __init__(self) -> None:
        self.count = 0
        self._heap: list[Ticket[Item]] = []
        self._came = 0
        self._clock = 0.0
        self._ends: dict[str, float] = {}
        """Where the last request of each client ends on the clock."""

    def add(self, items: Sequence[Item], client: str) -> list[Ticket[Item]]:
        start = max(self._clock, self._ends.get(client, 0.0))
        self._ends[client] = start + len(items)
        tickets = [
            Ticket(item, client, (start, number)) for number, item in enumerate(items, self._came)
        ]
        self._came += len(items)
        for ticket in tickets:
            heapq.heappush(self._heap, ticket)
        self.count += len(tickets)
        return tickets

    def withdraw(self, ticket: Ticket[Item]) -> None:
        if ticket.item is None:
            return
        ticket.item = None
        self.count -= 1
        if ticket.client in self._ends:  # what was not worked on is not held against them
            self._ends[ticket.client] -= 1
        self._forget()

    def take(self) -> Item | None:
        while self._heap:
            ticket = heapq.heappop(self._heap)
            item, ticket.item = ticket.item, None
            if item is not None:
                self._clock = max(self._clock, ticket.order[0])
                self.count -= 1
                self._forget()
                return item
        return None

    def _forget(self) -> None:
        """Remember no more than fairness needs."""
        if not self.count:
            self._heap.clear()
            self._ends.clear()
            self._clock = 0.0
        elif len(self._ends) > _REMEMBERED_CLIENTS + self.count:
            self._ends = {c: end for c, end in self._ends.items() if end > self._clock}
