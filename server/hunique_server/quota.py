"""Shares of callers: pictures and pixels a minute, for each identity a bucket that fills up.

A picture's pixels are known once it is decoded. So they are spent after the fact: a bucket
may owe, and until it no longer does its identity is told when to come back.
"""

import asyncio
import math
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

_MOST_IDENTITIES = 10_000
_MINUTE_S = 60.0
_ROUNDING = 1e-6


class QuotaExceededError(Exception):
    """An identity has had its share; `retry_after_ms` says when there is more."""

    def __init__(self, retry_after_s: float) -> None:
        self.retry_after_ms = max(1, math.ceil(retry_after_s * 1000 - _ROUNDING))
        super().__init__(
            f"This caller has had its share of this server. Try again in {self.retry_after_ms} ms."
        )


class Bucket:
    """Holds what may be spent: at most a minute's worth, filled at an even rate.

    Args:
        per_minute: how much a minute.
        now_s: on the clock of the other methods.
    """

    def __init__(self, per_minute: float, now_s: float) -> None:
        self._per_s = per_minute / _MINUTE_S
        self._most = float(per_minute)
        self._level = self._most
        self._filled_s = now_s

    def wait_s(self, amount: float, now_s: float) -> float:
        """Seconds until that much is there; 0 where it is. At most the whole is waited for."""
        self._fill(now_s)
        missing = min(amount, self._most) - self._level
        return missing / self._per_s if missing > _ROUNDING else 0.0

    def spend(self, amount: float, now_s: float) -> None:
        """Take it, also where that means to owe."""
        self._fill(now_s)
        self._level -= amount

    def _fill(self, now_s: float) -> None:
        passed_s = max(0.0, now_s - self._filled_s)
        self._level = min(self._most, self._level + passed_s * self._per_s)
        self._filled_s = now_s


@dataclass
class _Share:
    requests: Bucket | None
    pixels: Bucket | None


class Quotas:
    """The shares of all identities. For one event loop.

    Args:
        requests_per_minute: pictures or requests of one identity; 0: any number.
        pixels_per_minute: of one identity; 0: any number.
        clock_s: monotonic.
    """

    def __init__(
        self,
        requests_per_minute: int,
        pixels_per_minute: int,
        clock_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._requests_per_minute = requests_per_minute
        self._pixels_per_minute = pixels_per_minute
        self._clock_s = clock_s
        self._shares: OrderedDict[str, _Share] = OrderedDict()

    @property
    def limits(self) -> bool:
        """Whether there are any."""
        return bool(self._requests_per_minute or self._pixels_per_minute)

    def take(self, name: str) -> None:
        """Spend one request of an identity.

        Raises:
            QuotaExceededError: it has had its share.
        """
        now_s, share = self._clock_s(), self._share(name)
        waits_s = [
            bucket.wait_s(1, now_s)
            for bucket in (share.requests, share.pixels)
            if bucket is not None
        ]
        if any(waits_s):
            raise QuotaExceededError(max(waits_s))
        if share.requests is not None:
            share.requests.spend(1, now_s)

    async def wait(self, name: str) -> None:
        """Spend one request of an identity as soon as it may."""
        while True:
            try:
                self.take(name)
            except QuotaExceededError as error:
                await asyncio.sleep(error.retry_after_ms / 1000)
            else:
                return

    def spend_pixels(self, name: str, count: int) -> None:
        """Spend pixels that were decoded for an identity."""
        share = self._share(name)
        if share.pixels is not None:
            share.pixels.spend(count, self._clock_s())

    def _share(self, name: str) -> _Share:
        share = self._shares.get(name)
        if share is None:
            now_s = self._clock_s()
            share = _Share(
                Bucket(self._requests_per_minute, now_s) if self._requests_per_minute else None,
                Bucket(self._pixels_per_minute, now_s) if self._pixels_per_minute else None,
            )
            self._shares[name] = share
            if len(self._shares) > _MOST_IDENTITIES:
                self._shares.popitem(last=False)
        self._shares.move_to_end(name)
        return share
