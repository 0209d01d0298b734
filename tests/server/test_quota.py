"""Shares of callers, on a clock that a test winds."""

import asyncio

import pytest

from hunique_server.quota import Bucket, QuotaExceededError, Quotas


class Clock:
    """Stands still until told."""

    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        """Seconds."""
        return self.now_s


def _refused_for_ms(quotas: Quotas, name: str) -> int:
    with pytest.raises(QuotaExceededError) as refused:
        quotas.take(name)
    assert str(refused.value.retry_after_ms) in str(refused.value)
    return refused.value.retry_after_ms


def test_a_minute_holds_so_many_requests_and_no_more() -> None:
    """The share is spent in one go, comes back evenly, and never piles up beyond a minute's."""
    clock = Clock()
    quotas = Quotas(6, 0, clock)
    for _ in range(6):
        quotas.take("a")
    assert _refused_for_ms(quotas, "a") == 10_000
    clock.now_s += 9.0
    assert _refused_for_ms(quotas, "a") == 1_000
    clock.now_s += 1.0
    quotas.take("a")
    clock.now_s += 86_400.0
    for _ in range(6):
        quotas.take("a")
    assert _refused_for_ms(quotas, "a") == 10_000


def test_one_callers_share_is_not_anothers() -> None:
    """Who has had theirs leaves the others alone."""
    quotas = Quotas(1, 0, Clock())
    quotas.take("a")
    _refused_for_ms(quotas, "a")
    quotas.take("b")


def test_pixels_are_owed_and_paid_off() -> None:
    """A picture larger than what is left is served, and then its caller waits for the debt."""
    clock = Clock()
    quotas = Quotas(0, 6_000, clock)
    quotas.take("a")
    quotas.spend_pixels("a", 8_000)
    # 2,000 owed at 100 a second, and one pixel must be there
    assert _refused_for_ms(quotas, "a") == 20_010
    clock.now_s += 20.01
    quotas.take("a")


def test_refused_request_costs_nothing() -> None:
    """Asking too early does not push back the time at which one may."""
    clock = Clock()
    quotas = Quotas(1, 0, clock)
    quotas.take("a")
    for _ in range(50):
        _refused_for_ms(quotas, "a")
    clock.now_s += 60.0
    quotas.take("a")


def test_clock_that_goes_back_gives_and_takes_nothing() -> None:
    """A share is neither filled nor emptied by it."""
    bucket = Bucket(60, 100.0)
    bucket.spend(60, 100.0)
    assert bucket.wait_s(1, 50.0) == 1.0


async def test_waiting_ends_when_there_is_more(monkeypatch: pytest.MonkeyPatch) -> None:
    """A stream is slowed down to its share instead of being refused."""
    clock, slept_s = Clock(), []

    async def sleep(seconds: float) -> None:
        slept_s.append(seconds)
        clock.now_s += seconds

    monkeypatch.setattr(asyncio, "sleep", sleep)
    quotas = Quotas(60, 0, clock)
    for _ in range(62):
        await quotas.wait("a")
    assert slept_s == [1.0, 1.0]


def test_crowds_of_names_do_not_fill_the_memory() -> None:
    """Only the latest callers are remembered."""
    quotas = Quotas(1, 0, Clock())
    for number in range(10_001):
        quotas.take(f"caller {number}")
    quotas.take("caller 0")
    _refused_for_ms(quotas, "caller 10000")


def test_no_quota_is_no_limit() -> None:
    """Zero means any number."""
    quotas = Quotas(0, 0, Clock())
    assert not quotas.limits
    quotas.spend_pixels("a", 10**12)
    for _ in range(1_000):
        quotas.take("a")
