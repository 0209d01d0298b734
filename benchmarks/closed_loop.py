"""Closed loops: callers that each wait for their answer before they ask again."""

import asyncio
import os
import time
from dataclasses import dataclass
from pathlib import Path

import grpc

from hunique_proto.v1 import hand_features_pb2 as pb
from hunique_proto.v1 import hand_features_pb2_grpc as pb_grpc


@dataclass(frozen=True, kw_only=True)
class Load:
    """What one number of callers got."""

    callers: int
    pictures_per_s: float
    p50_ms: float
    p99_ms: float
    failures: int
    foreign_cores: float
    """Cores that programs other than this one and its server used meanwhile."""


async def measure_load(
    address: str, server_id: int, callers: int, requests: list[pb.SegmentRequest], seconds_s: float
) -> Load:
    """Callers that each wait for their answer before they ask again."""
    durations_s: list[float] = []
    failures = 0

    async def call(stub: pb_grpc.HandFeaturesStub, first: int) -> None:
        nonlocal failures
        asked = first
        while time.monotonic() < ends_s:
            started_s = time.monotonic()
            try:
                await stub.Segment(requests[asked % len(requests)], timeout=60)
                durations_s.append(time.monotonic() - started_s)
            except grpc.aio.AioRpcError:
                failures += 1
            asked += 1

    async with grpc.aio.insecure_channel(address) as channel:
        stub = pb_grpc.HandFeaturesStub(channel)
        await stub.Segment(requests[0], timeout=60)
        busy = _BusyCores(server_id)
        began_s = time.monotonic()
        ends_s = began_s + seconds_s
        await asyncio.gather(*(call(stub, first) for first in range(callers)))
        took_s = time.monotonic() - began_s
    durations_s.sort()
    return Load(
        callers=callers,
        pictures_per_s=len(durations_s) / took_s,
        p50_ms=_percentile_ms(durations_s, 0.50),
        p99_ms=_percentile_ms(durations_s, 0.99),
        failures=failures,
        foreign_cores=busy.foreign(took_s),
    )


def _percentile_ms(sorted_s: list[float], share: float) -> float:
    if not sorted_s:
        return float("nan")
    return 1000 * sorted_s[min(len(sorted_s) - 1, int(share * len(sorted_s)))]


class _BusyCores:
    """Processor time of the machine that is neither ours nor the server's (Linux)."""

    def __init__(self, server_id: int) -> None:
        self._stat = Path(f"/proc/{server_id}/stat")
        self._began = self._foreign_s()

    def _foreign_s(self) -> float:
        try:
            machine = Path("/proc/stat").read_text().splitlines()[0].split()[1:]
            server = self._stat.read_text().rpartition(")")[2].split()[11:13]
        except OSError:
            return float("nan")
        busy = sum(map(int, machine[:3])) + sum(map(int, machine[5:8]))
        ticks_per_s = os.sysconf("SC_CLK_TCK")
        return (busy - sum(map(int, server))) / ticks_per_s - time.process_time()

    def foreign(self, took_s: float) -> float:
        """Cores that others used on average since the beginning."""
        return max(0.0, (self._foreign_s() - self._began) / took_s)
