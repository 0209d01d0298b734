"""Whose turn it is, by work and priority."""

from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hunique_server.caller import Priority
from hunique_server.fair_queue import INTERACTIVE_IN_A_ROW, FairQueue, Ticket

INTERACTIVE, BULK = Priority.INTERACTIVE, Priority.BULK


def _drain(queue: FairQueue[Any]) -> list[Any]:
    taken = []
    while (item := queue.take()) is not None:
        taken.append(item)
    assert len(queue) == 0
    return taken


def test_one_client_is_served_in_order() -> None:
    """First come, first served, within a request and from request to request."""
    queue: FairQueue[int] = FairQueue()
    queue.add([1, 2, 3], "a", INTERACTIVE)
    queue.add([4], "a", INTERACTIVE)
    assert queue.take() == 1
    queue.add([5, 6], "a", INTERACTIVE)
    assert _drain(queue) == [2, 3, 4, 5, 6]


def test_requests_stay_in_one_piece() -> None:
    """Two requests that came together are done one after the other, not both at the end."""
    queue: FairQueue[str] = FairQueue()
    queue.add(["a1", "a2", "a3"], "a", INTERACTIVE)
    queue.add(["b1", "b2", "b3"], "b", INTERACTIVE)
    assert _drain(queue) == ["a1", "a2", "a3", "b1", "b2", "b3"]


@pytest.mark.parametrize("queued", [1, 10, 1000])
def test_wait_of_a_newcomer_does_not_depend_on_what_others_have_queued(queued: int) -> None:
    """Behind one client's crowd another's picture waits for one of its requests, no more."""
    queue: FairQueue[str] = FairQueue()
    for _ in range(queued):
        queue.add(["many"] * 7, "many", INTERACTIVE)
    assert queue.take() == "many"
    queue.add(["one"] * 7, "one", INTERACTIVE)
    order = _drain(queue)
    assert order.index("one") <= 6
    assert order[order.index("one") :][:7] == ["one"] * 7


def test_shares_go_by_work_not_by_pictures() -> None:
    """A client of large pictures and one of small ones get the same work done."""
    queue: FairQueue[str] = FairQueue()
    for _ in range(100):
        queue.add(["large"] * 10, "large", INTERACTIVE)
    for _ in range(1000):
        queue.add(["small"], "small", INTERACTIVE)
    counts = Counter(queue.take() for _ in range(400))
    assert abs(counts["large"] - counts["small"]) <= 10


def test_client_that_always_has_one_waiting_gets_its_share_and_no_more() -> None:
    """Whoever asks again as soon as it is served does not pass those with a long queue."""
    queue: FairQueue[str] = FairQueue()
    for _ in range(100):
        queue.add(["long"], "long", INTERACTIVE)
    queue.add(["quick"], "quick", INTERACTIVE)
    counts: Counter[str | None] = Counter()
    for _ in range(60):
        item = queue.take()
        counts[item] += 1
        if item == "quick":
            queue.add(["quick"], "quick", INTERACTIVE)
    assert abs(counts["long"] - counts["quick"]) <= 1


def test_bulk_is_passed_but_never_starved() -> None:
    """However many interactive items come, bulk gets one item in five."""
    queue: FairQueue[str] = FairQueue()
    queue.add(["bulk"] * 20, "b", BULK)
    queue.add(["screen"] * 200, "a", INTERACTIVE)
    order = [queue.take() for _ in range(100)]
    assert order[0] == "screen"
    turns = [place for place, item in enumerate(order) if item == "bulk"]
    assert turns == list(range(INTERACTIVE_IN_A_ROW, 100, INTERACTIVE_IN_A_ROW + 1))


def test_bulk_alone_does_not_wait() -> None:
    """Where nothing is interactive, bulk gets everything."""
    queue: FairQueue[int] = FairQueue()
    queue.add([1, 2], "b", BULK)
    assert queue.take(bulk_too=False) is None
    assert _drain(queue) == [1, 2]


def test_what_is_withdrawn_is_not_held_against_its_client() -> None:
    """Who cancels a thousand pictures is not behind everybody afterwards."""
    queue: FairQueue[str] = FairQueue()
    queue.add(["other"] * 5, "other", INTERACTIVE)
    tickets = [queue.add(["gone"], "a", INTERACTIVE)[0] for _ in range(1000)]
    for ticket in tickets:
        queue.withdraw(ticket, INTERACTIVE)
        queue.withdraw(ticket, INTERACTIVE)  # the second time nothing happens
    assert len(queue) == 5
    queue.add(["other"] * 5, "other", INTERACTIVE)
    queue.add(["wanted"], "a", INTERACTIVE)
    assert _drain(queue).index("wanted") <= 5


def test_clients_that_are_gone_are_forgotten() -> None:
    """Memory does not grow with everyone who ever called, even if the queue is never empty."""
    queue: FairQueue[int] = FairQueue()
    queue.add([0] * 3, "stays", BULK)
    queue.add([0] * 3, "stays", INTERACTIVE)
    for number in range(5000):
        queue.add([number], f"client {number}", INTERACTIVE)
        queue.take()
        queue.take()
        queue.add([number], "stays", INTERACTIVE)
    line = queue._lines[INTERACTIVE]
    assert len(line._ends) < 1000


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["add", "take", "withdraw"]),
            st.sampled_from("abc"),
            st.sampled_from(Priority),
            st.integers(1, 4),
        ),
        max_size=60,
    )
)
def test_nothing_is_lost_or_given_twice(steps: list[tuple[str, str, Priority, int]]) -> None:
    """In any order of coming, leaving and taking each item is taken once or withdrawn."""
    queue: FairQueue[int] = FairQueue()
    open_tickets: dict[int, tuple[Ticket[int], Priority]] = {}
    came = 0
    for action, client, priority, count in steps:
        if action == "add":
            items = list(range(came + 1, came + 1 + count))
            came += count
            for item, ticket in zip(items, queue.add(items, client, priority), strict=True):
                open_tickets[item] = ticket, priority
        elif action == "take":
            taken = queue.take()
            assert (taken is None) == (not open_tickets)
            if taken is not None:
                open_tickets.pop(taken)
        elif open_tickets:
            queue.withdraw(*open_tickets.pop(next(iter(open_tickets))))
        assert len(queue) == len(open_tickets)
    assert sorted(_drain(queue)) == sorted(open_tickets)
