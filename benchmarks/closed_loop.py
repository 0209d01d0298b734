"""Closed loops: callers that each wait for their answer before they ask again."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

import grpc
from process_tree import ForeignCores

from hunique_proto.v1 import hand_features_pb2 as pb
from hunique_proto.v1 import hand_features_pb2_grpc as pb_grpc

T = TypeVar("T")
"""What is asked: an encoded picture, or a request."""
TIMEOUT_S = 60.0
AFTER_FAILURE_S = 0.1
"""A refused caller who asked again at once would only measure refusals."""


@dataclass(kw_only=True)
class Load:
    """What one number of callers got so far."""

    callers: int
    durations_s: list[float] = field(default_factory=list)
    """Of the calls that were answered, in the order of their answers."""
    failures: int = 0
    first_failure: str = ""
    took_s: float = 0.0
    foreign_core_s: float = 0.0
    """Core seconds that programs other than this one and its server used meanwhile."""

    @property
    def pictures_per_s(self) -> float:
        """Answered, over all measurements."""
        return len(self.durations_s) / self.took_s

    @property
    def foreign_cores(self) -> float:
        """Cores that others used on average."""
        return self.foreign_core_s / self.took_s

    def percentile_ms(self, share: float) -> float:
        """What so many calls took at most, in milliseconds."""
        if not self.durations_s:
            return float("nan")
        ordered_s = sorted(self.durations_s)
        return 1000 * ordered_s[min(len(ordered_s) - 1, int(share * len(ordered_s)))]


async def ask_in_turn(
    load: Load,
    ask: Callable[[T], Awaitable[object]],
    requests: Sequence[T],
    seconds_s: float,
    *,
    refusals: tuple[type[Exception], ...] = (grpc.aio.AioRpcError,),
) -> None:
    """Add some time of a load to what is known of it; what was asked is waited for.

    Args:
        load: what is known; how many ask.
        ask: one call.
        requests: taken in turn; each caller begins with another one.
        seconds_s: for so long calls are begun.
        refusals: what `ask` raises where a call has no result. Its caller then waits for
            `AFTER_FAILURE_S`.
    """
    began_s = time.monotonic()
    ends_s = began_s + seconds_s

    async def call(number: int) -> None:
        while time.monotonic() < ends_s:
            started_s = time.monotonic()
            try:
                await ask(requests[number % len(requests)])
                load.durations_s.append(time.monotonic() - started_s)
            except refusals as error:
                load.failures += 1
                load.first_failure = load.first_failure or f"{type(error).__name__}: {error}"
                await asyncio.sleep(AFTER_FAILURE_S)
            number += 1

    await asyncio.gather(*(call(first) for first in range(load.callers)))
    load.took_s += time.monotonic() - began_s


async def measure_load(
    load: Load, address: str, server_id: int, requests: list[pb.SegmentRequest], seconds_s: float
) -> None:
    """The same of a server of ours, and what else the machine did meanwhile."""
    async with grpc.aio.insecure_channel(address) as channel:
        stub = pb_grpc.HandFeaturesStub(channel)
        await stub.Segment(requests[0], timeout=TIMEOUT_S)
        foreign = ForeignCores(server_id)

        async def ask(request: pb.SegmentRequest) -> None:
            await stub.Segment(request, timeout=TIMEOUT_S)

        await ask_in_turn(load, ask, requests, seconds_s)
        load.foreign_core_s += foreign.core_s()
