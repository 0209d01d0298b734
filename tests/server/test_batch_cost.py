import itertools
import time
from collections.abc import Callable

import pytest

from hunique_server.batch_cost import EXPLORE_EVERY, PROVEN_AFTER, BatchCost


class Device:
    """A device with a clock of its own, on which a run takes what it says."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, run_s: Callable[[int], float]) -> None:
        self.now_s = 0.0
        self.run_s = run_s
        self.runs: list[int] = []
        monkeypatch.setattr(time, "monotonic", lambda: self.now_s)

    def run(self, count: int) -> None:
        """Take as long as that takes."""
        self.runs.append(count)
        self.now_s += self.run_s(count)


def _serve(cost: BatchCost, run_s: Callable[[int], float], batches: int) -> list[int]:
    """A crowd, served in as large batches as are worth it."""
    limits = []
    for _ in range(batches):
        limits.append(cost.next_limit())
        cost.observe(limits[-1], run_s(limits[-1]))
    return limits


def test_until_more_is_known_batches_are_as_large_as_allowed() -> None:
    """Without any measurement the configured size holds."""
    assert BatchCost(12).limit == 12


@pytest.mark.parametrize(
    ("run_s", "limit"),
    [
        (lambda n: 0.1 * n, 1),  # nothing is won by batches
        (lambda n: 0.1 * n * (1 + 0.05 * n), 1),  # batches are slower for each
        (lambda n: 0.010 + 0.0001 * n, 16),  # a fixed price: the larger, the better
        (lambda n: 0.004 * max(n, 4), 4),  # four cost what one does, and no more
    ],
    ids=["linear", "worse", "fixed price", "four lanes"],
)
def test_size_follows_from_a_measurement_at_start(
    monkeypatch: pytest.MonkeyPatch, run_s: Callable[[int], float], limit: int
) -> None:
    """The smallest batch by which an item costs the least is taken."""
    cost, device = BatchCost(16), Device(monkeypatch, run_s)
    cost.measure(device.run, budget_s=10.0)
    assert cost.limit == limit
    assert len(device.runs) <= 5


def test_measurement_keeps_to_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """A slow device is not measured at length: the start of a server must not wait for it."""
    cost, device = BatchCost(64), Device(monkeypatch, lambda n: 0.05 + 0.01 * n)
    cost.measure(device.run, budget_s=0.3)
    assert device.runs[0] == 1
    assert device.now_s <= 0.3
    slow = Device(monkeypatch, lambda n: 9.0 * n)
    one = BatchCost(64)
    one.measure(slow.run, budget_s=0.3)
    assert slow.runs == [1]
    assert one.limit == 1


@pytest.mark.parametrize(("start", "limit"), [(1, 16), (16, 1)])
def test_size_is_refined_while_running(
    monkeypatch: pytest.MonkeyPatch, start: int, limit: int
) -> None:
    """A device that turns out otherwise than measured gets other batches, by and by."""
    by_cost = {1: lambda n: 0.1 * n, 16: lambda n: 0.1 + 0.001 * n}
    cost = BatchCost(16)
    cost.measure(Device(monkeypatch, by_cost[start]).run, budget_s=10.0)
    assert cost.limit == start
    _serve(cost, by_cost[limit] if limit == 16 else lambda n: 0.1 * n * n, 6000)
    assert cost.limit == limit


def test_other_sizes_are_tried_seldom_and_never_beyond_what_is_allowed() -> None:
    """To learn costs something: one batch in many, and the bound of the operator holds."""
    limits = _serve(BatchCost(6), lambda n: 0.1 + 0.01 * n, 30 * EXPLORE_EVERY)
    assert max(limits) == 6
    others = sum(a != b for a, b in itertools.pairwise(limits))
    assert 0 < others <= 60


def test_one_slow_run_changes_nothing() -> None:
    """A machine that was busy for a moment does not teach a wrong size."""
    cost = BatchCost(4)
    for size in (1, 2, 4):
        for _ in range(PROVEN_AFTER):
            cost.observe(size, 0.1 + 0.01 * size)
    assert cost.limit == 4
    cost.observe(4, 0.16)
    assert cost.limit == 4
