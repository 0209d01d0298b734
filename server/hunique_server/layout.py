"""How runs share the cores: what a free place does next.

    batcher: so many wait, so many places are free -> layout: a turn, a pause, or nothing

A place is a core on the CPU; where the device decides for itself there is one place.
"""

import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from hunique_server.batch_cost import BatchCost

PATIENCE = 0.25
"""Share of a one-thread run by which another run may be late before it is no longer awaited."""
EXPLORE_EVERY = 64
"""One turn from rest in so many goes the other way, to learn what that costs now; at first
some more do, as what was measured at the start was measured beside whatever else started."""
_NEW_SHARE = 0.1

Item = TypeVar("Item")
Result = TypeVar("Result")


@dataclass(frozen=True, kw_only=True, eq=False)
class Turn(Generic[Item, Result]):
    """A run that may begin."""

    run: Callable[[list[Item]], Sequence[Result]]
    """Runs items, in a thread."""
    places: int
    """Places that it takes."""
    most: int
    """Items that it should have at most."""
    way: str
    """`one_thread`, `all_threads` or `fixed`, for metrics."""


@dataclass(frozen=True, kw_only=True)
class Pause:
    """Better than any run now is to wait: until another one ends, but not for long."""

    seconds_s: float
    """When to ask again at the latest."""


class Layout(Protocol[Item, Result]):
    """Decides turns. For one thread."""

    places: int
    """Runs that may go on at once, if each takes one."""

    def pictures_ahead(self) -> int:
        """Pictures of one look each that keep all places busy while others are decoded."""
        ...

    def next_turn(self, waiting: int, free: int) -> Turn[Item, Result] | Pause | None:
        """What to do with `free` places while `waiting` items wait."""
        ...

    def began(self, turn: Turn[Item, Result], count: int) -> None:
        """Hear that a turn began with so many items."""
        ...

    def ended(self, turn: Turn[Item, Result], count: int, run_s: float | None) -> None:
        """Hear that it ended; None where its duration says nothing."""
        ...


class FixedLayout(Generic[Item, Result]):
    """Every run takes one place, with as many items as are worth it.

    Args:
        run: runs items.
        places: runs that go on at once.
        cost: learns how large a batch should be.
    """

    def __init__(
        self, run: Callable[[list[Item]], Sequence[Result]], places: int, cost: BatchCost
    ) -> None:
        self.places = places
        self.cost = cost
        self._run = run

    def pictures_ahead(self) -> int:
        """A batch for each place, and the next one."""
        return 2 * self.places * self.cost.limit

    def next_turn(self, waiting: int, free: int) -> Turn[Item, Result] | None:
        """A run, if there is anything to run and a place for it."""
        if not waiting or not free:
            return None
        return Turn(run=self._run, places=1, most=self.cost.next_limit(), way="fixed")

    def began(self, turn: Turn[Item, Result], count: int) -> None:
        """Nothing to remember."""

    def ended(self, turn: Turn[Item, Result], count: int, run_s: float | None) -> None:  # noqa: ARG002
        """Learn what a batch costs."""
        if run_s is not None:
            self.cost.observe(count, run_s)


class ElasticLayout(Generic[Item, Result]):
    """A few items get all cores for each of them, a crowd gets one core for each.

    Both take one item a run: engines of this kind run a batch item by item, so that more in
    one run would only wait for one another.

    Args:
        one_thread: runs an item on one core; the only way until `widen` is called.
        places: cores.
    """

    def __init__(self, one_thread: Callable[[list[Item]], Sequence[Result]], places: int) -> None:
        self.places = places
        self._narrow = Turn(run=one_thread, places=1, most=1, way="one_thread")
        self._wide: Turn[Item, Result] | None = None
        self._run_s: dict[Turn[Item, Result], float] = {}
        self._runs: Counter[Turn[Item, Result]] = Counter()
        self._ends_s: list[float] = []
        """When the runs that go on should end, in the order of their beginning."""
        self._choices = 0

    def widen(
        self,
        all_threads: Callable[[list[Item]], Sequence[Result]],
        *,
        one_thread_s: float,
        all_threads_s: float,
    ) -> None:
        """From now on there is another way.

        Args:
            all_threads: runs an item on all cores.
            one_thread_s: what a run on one core takes, as measured.
            all_threads_s: what one on all cores takes.
        """
        self._wide = Turn(run=all_threads, places=self.places, most=1, way="all_threads")
        self._run_s = {self._narrow: one_thread_s, self._wide: all_threads_s}

    def pictures_ahead(self) -> int:
        """One for each core, and the next one."""
        return self.places + 1

    def next_turn(self, waiting: int, free: int) -> Turn[Item, Result] | Pause | None:
        """The choice by which the items that wait should be done first."""
        if not waiting or not free:
            return None
        if self._wide is None:
            return self._narrow
        narrow_s, wide_s = self._run_s[self._narrow], self._run_s[self._wide]
        if free < self.places:
            return self._beside_others(waiting, narrow_s, wide_s)
        best, other = self._narrow, self._wide
        if min(waiting, self.places) * wide_s < narrow_s:
            best, other = other, best
        self._choices += 1
        return other if _explores(self._choices) else best

    def _beside_others(
        self, waiting: int, narrow_s: float, wide_s: float
    ) -> Turn[Item, Result] | Pause:
        """Few items may be done sooner once the others have ended, on all cores."""
        left_s = max(self._ends_s) - time.monotonic()
        late_s = PATIENCE * narrow_s
        if waiting < self.places and left_s > -late_s and left_s + waiting * wide_s < narrow_s:
            return Pause(seconds_s=left_s + late_s)
        return self._narrow

    def began(self, turn: Turn[Item, Result], count: int) -> None:
        """Remember when it should end."""
        self._ends_s.append(time.monotonic() + count * self._run_s.get(turn, 0.0))

    def ended(self, turn: Turn[Item, Result], count: int, run_s: float | None) -> None:
        """Learn what such a run takes now."""
        self._ends_s.pop(0)
        if run_s is not None and turn in self._run_s:
            self._runs[turn] += 1
            share = max(_NEW_SHARE, 1 / self._runs[turn])  # at first the mean of all runs
            self._run_s[turn] += share * (run_s / count - self._run_s[turn])


def _explores(choice: int) -> bool:
    """Whether the choice of this number, from 1 on, goes the other way: 8, 16, 32, then evenly."""
    is_power_of_two = choice & (choice - 1) == 0
    return choice % EXPLORE_EVERY == 0 or (choice >= 8 and is_power_of_two)
