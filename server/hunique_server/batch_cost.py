"""How large a batch is worth it: what an item costs in batches of each size, as measured.

Of sizes that cost the same per item the smallest is best, for everybody in a batch waits
for all of it. On most CPUs that is one; on a GPU it may be whatever fits.
"""

import time
from collections.abc import Callable

WORTH_IT = 1.05
"""A smaller batch is preferred until an item costs this many times the cheapest."""
PROVEN_AFTER = 8
"""Runs of a size before it is compared with others."""
EXPLORE_EVERY = 16
"""One batch in so many may have another size, to learn what that costs."""
_NEW_SHARE = 0.2


class BatchCost:
    """The largest batch worth running, learned. For one thread.

    Args:
        most: the largest batch allowed, and what is taken until more is known.
    """

    def __init__(self, most: int) -> None:
        self._sizes = [size for size in (2**n for n in range(most.bit_length())) if size < most]
        self._sizes.append(most)
        self._item_s: dict[int, float] = {}
        self._runs: dict[int, int] = dict.fromkeys(self._sizes, 0)
        self._asked = 0
        self.limit = most
        """Items of a batch that are worth running together."""

    def next_limit(self) -> int:
        """How many items the next batch may have: the limit, now and then its neighbours."""
        self._asked += 1
        if self._asked % EXPLORE_EVERY:
            return self.limit
        step = 1 if self._asked // EXPLORE_EVERY % 2 else -1
        index = self._sizes.index(self._size_of(self.limit)) + step
        return self._sizes[min(max(index, 0), len(self._sizes) - 1)]

    def observe(self, count: int, run_s: float) -> None:
        """Learn from one run of `count` items."""
        size = self._size_of(count)
        item_s = run_s / count
        known_s = self._item_s.get(size, item_s)
        self._item_s[size] = known_s + _NEW_SHARE * (item_s - known_s)
        self._runs[size] += 1
        self._choose(PROVEN_AFTER)

    def measure(self, run: Callable[[int], object], budget_s: float) -> None:
        """Learn from runs made for it: larger and larger, while that helps and time is left.

        Args:
            run: runs so many items.
            budget_s: no run is begun that may end later; the first is.
        """
        began_s = time.monotonic()
        for size in self._sizes:
            started_s = time.monotonic()
            run(size)
            ended_s = time.monotonic()
            self._item_s[size] = (ended_s - started_s) / size
            helps = self._item_s[size] * WORTH_IT < min(
                (s for n, s in self._item_s.items() if n != size), default=float("inf")
            )
            if not helps or ended_s - began_s + 2 * (ended_s - started_s) > budget_s:
                break
        self._choose(0)

    def _choose(self, proven_after: int) -> None:
        proven = {
            size: self._item_s[size]
            for size in self._sizes
            if size in self._item_s and self._runs[size] >= proven_after
        }
        if len(proven) > 1 or not proven_after:
            most_s = min(proven.values()) * WORTH_IT
            self.limit = min(size for size, item_s in proven.items() if item_s <= most_s)

    def _size_of(self, count: int) -> int:
        return max(size for size in self._sizes if size <= count)
