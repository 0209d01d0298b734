"""Closed loops: callers that each wait for their answer before they ask again."""

import asyncio
import time
from dataclasses import dataclass, field

import grpc
from process_tree import ForeignCores

from hunique_proto.v1 import hand_features_pb2 as pb
from hunique_proto.v1 import hand_features_pb2_grpc as pb_grpc


@dataclass(kw_only=True)
class Load:
    """What one number of callers got so far."""

    callers: int
    durations_s: list[float] = field(default_factory=list)
    """Of the calls that were answered, in the order of their answers."""
    failures: int = 0
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


async def measure_load(
    load: Load, address: str, server_id: int, requests: list[pb.SegmentRequest], seconds_s: float
) -> None:
    """Add some time of a load to what is known of it."""

    async def call(stub: pb_grpc.HandFeaturesStub, first: int) -> None:
        asked = first
        while time.monotonic() < ends_s:
            started_s = time.monotonic()
            try:
                await stub.Segment(requests[asked % len(requests)], timeout=60)
                load.durations_s.append(time.monotonic() - started_s)
            except grpc.aio.AioRpcError:
                load.failures += 1
            asked += 1

    async with grpc.aio.insecure_channel(address) as channel:
        stub = pb_grpc.HandFeaturesStub(channel)
        await stub.Segment(requests[0], timeout=60)
        foreign = ForeignCores(server_id)
        began_s = time.monotonic()
        ends_s = began_s + seconds_s
        await asyncio.gather(*(call(stub, first) for first in range(load.callers)))
        load.took_s += time.monotonic() - began_s
        load.foreign_core_s += foreign.core_s()
