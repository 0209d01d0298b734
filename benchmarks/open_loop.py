"""How long answers take at four fifths of what a server can do, for callers that do not wait.

    closed loop of some callers   -> what the server can do
    0.8 of that, exponential gaps -> p50, p99
    0.8 of that, even gaps        -> p50, p99

In an open loop pictures come when they come, whether or not others have been answered. A call is
timed from the moment when it was due, so a late one is not forgiven. Exponential gaps are those of
many callers who know nothing of each other; they are drawn from a fixed seed and stretched to fill
the time, so that every run offers the same. Even gaps are those of a machine that feeds pictures.

What a perfect server would do with the same arrivals is told beside it: a place for each core, a
picture on it as long as the closed loop says, the next one in order without a pause. Pictures that
come in bunches wait there too.
"""

import asyncio
import heapq
import os
import random
import tempfile
import time
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path

import click
import grpc
from closed_loop import Load, measure_load
from drawn_pictures import drawn_jpegs
from private_server import private_server
from process_tree import ForeignCores
from rows import ServingRow, append_rows
from serving import DETAILS

from hunique_models.bundle import Bundle, default_bundle_path
from hunique_proto.v1 import hand_features_pb2 as pb
from hunique_proto.v1 import hand_features_pb2_grpc as pb_grpc

ROWS = Path(__file__).parent / "open_loop_rows.csv"
SHARE = 0.8
SEED = 7
ARRIVALS = ("exponential", "even")


@dataclass(frozen=True, kw_only=True)
class Row(ServingRow):
    """One line of open_loop_rows.csv."""

    arrivals: str
    closed_loop_callers: int
    closed_loop_pictures_per_s: float
    offered_pictures_per_s: float
    requests: int
    p50_ms: float
    p99_ms: float
    p99_of_p50: float
    ideal_p99_of_p50: float
    failures: int
    foreign_cores: float


@dataclass(frozen=True, kw_only=True)
class Choices:
    """How much to measure."""

    callers: int
    closed_seconds_s: float
    seconds_s: float
    rounds: int


def due_s(arrivals: str, count: int, seconds_s: float, seed: int) -> list[float]:
    """When so many pictures come, in seconds from the beginning, spread over the whole time."""
    draw = random.Random(seed)
    gaps = [draw.expovariate(1) if arrivals == "exponential" else 1.0 for _ in range(count + 1)]
    stretch = seconds_s / sum(gaps)
    return [moment * stretch for moment in accumulate(gaps[:-1])]


def ideal_waits_s(due: list[float], places: int, picture_s: float) -> list[float]:
    """How long pictures are in a queue without any loss, where each takes a place `picture_s`."""
    free_at_s, times_s = [0.0] * places, []
    for moment_s in due:
        done_s = max(moment_s, heapq.heappop(free_at_s)) + picture_s
        heapq.heappush(free_at_s, done_s)
        times_s.append(done_s - moment_s)
    return times_s


async def offer(
    load: Load, address: str, server_id: int, requests: list[pb.SegmentRequest], due: list[float]
) -> None:
    """Send pictures when they are due, and add what came of them to what is known."""

    async def call(stub: pb_grpc.HandFeaturesStub, number: int) -> None:
        due_at_s = began_s + due[number]
        await asyncio.sleep(due_at_s - time.monotonic())
        try:
            await stub.Segment(requests[number % len(requests)], timeout=120)
            load.durations_s.append(time.monotonic() - due_at_s)
        except grpc.aio.AioRpcError:
            load.failures += 1

    async with grpc.aio.insecure_channel(address) as channel:
        stub = pb_grpc.HandFeaturesStub(channel)
        await stub.Segment(requests[0], timeout=60)
        foreign = ForeignCores(server_id)
        began_s = time.monotonic()
        await asyncio.gather(*(call(stub, number) for number in range(len(due))))
        load.took_s += time.monotonic() - began_s
        load.foreign_core_s += foreign.core_s()


def _ideal_ratio(arrivals: str, closed: Load, choices: Choices) -> float:
    """p99/p50 of the ideal server, over the arrivals of all rounds."""
    places = len(os.sched_getaffinity(0))
    ideal = Load(callers=0)
    count = max(1, round(SHARE * closed.pictures_per_s * choices.seconds_s))
    for number in range(choices.rounds):
        due = due_s(arrivals, count, choices.seconds_s, SEED + number)
        ideal.durations_s += ideal_waits_s(due, places, places / closed.pictures_per_s)
    return ideal.percentile_ms(0.99) / ideal.percentile_ms(0.50)


def _measure(
    server: tuple[str, int], requests: list[pb.SegmentRequest], choices: Choices
) -> tuple[Load, dict[str, Load]]:
    """The closed loop, then each kind of arrivals at a share of it; all that several times."""
    closed = Load(callers=choices.callers)
    loads = {arrivals: Load(callers=0) for arrivals in ARRIVALS}
    for number in range(choices.rounds):
        asyncio.run(measure_load(closed, *server, requests, choices.closed_seconds_s))
        count = max(1, round(SHARE * closed.pictures_per_s * choices.seconds_s))
        for arrivals, load in loads.items():
            due = due_s(arrivals, count, choices.seconds_s, SEED + number)
            asyncio.run(offer(load, *server, requests, due))
            click.echo(
                f"round {number + 1} of {choices.rounds}: {closed.pictures_per_s:.2f} pictures/s in "
                f"the closed loop; {count} {arrivals}: p50 {load.percentile_ms(0.5):.0f} ms, "
                f"p99 {load.percentile_ms(0.99):.0f} ms so far"
            )
    return closed, loads


def _row(names: tuple[str, str, str], closed: Load, load: Load, choices: Choices) -> Row:
    model, detail, arrivals = names
    asked = len(load.durations_s) + load.failures
    p50_ms, p99_ms = load.percentile_ms(0.50), load.percentile_ms(0.99)
    offered_s = choices.seconds_s * choices.rounds
    return Row(
        model=model,
        detail=detail,
        arrivals=arrivals,
        closed_loop_callers=closed.callers,
        closed_loop_pictures_per_s=round(closed.pictures_per_s, 2),
        offered_pictures_per_s=round(asked / offered_s, 2),
        requests=asked,
        p50_ms=round(p50_ms),
        p99_ms=round(p99_ms),
        p99_of_p50=round(p99_ms / p50_ms, 2),
        ideal_p99_of_p50=round(_ideal_ratio(arrivals, closed, choices), 2),
        failures=load.failures,
        foreign_cores=round(load.foreign_cores, 2),
    )


@click.command()
@click.option("--bundle", type=click.Path(path_type=Path), default=default_bundle_path(),
              help="What to serve. Default: the model that comes with hunique.")  # fmt: skip
@click.option("--detail", type=click.Choice(list(DETAILS)), default="standard", show_default=True)
@click.option("--callers", type=click.IntRange(min=1), default=4, show_default=True,
              help="Callers of the closed loop.")  # fmt: skip
@click.option("--closed-seconds-s", type=click.FloatRange(min=0.5), default=15.0,
              show_default=True, help="Length of each closed loop.")  # fmt: skip
@click.option("--seconds-s", type=click.FloatRange(min=0.5), default=60.0, show_default=True,
              help="Length of each open loop.")  # fmt: skip
@click.option("--rounds", type=click.IntRange(min=1), default=3, show_default=True)
@click.option("--record", is_flag=True, help="Append the result to open_loop_rows.csv.")
def main(bundle: Path, detail: str, record: bool, **numbers: object) -> None:
    """Measure a private server at four fifths of what it can do."""
    choices = Choices(**numbers)  # type: ignore[arg-type] # click has checked them
    requests = [pb.SegmentRequest(image=one, detail=DETAILS[detail][1]) for one in drawn_jpegs()]
    with (
        tempfile.TemporaryDirectory() as folder,
        private_server(bundle, Path(folder)) as server,
    ):
        closed, loads = _measure(server, requests, choices)
    manifest = Bundle.open(bundle).manifest
    model = f"{manifest.name} {manifest.version}"
    rows = [
        _row((model, detail, arrivals), closed, load, choices) for arrivals, load in loads.items()
    ]
    for row in rows:
        click.echo(
            f"{row.arrivals:11}: {row.offered_pictures_per_s} of {row.closed_loop_pictures_per_s} "
            f"pictures/s, p50 {row.p50_ms} ms, p99 {row.p99_ms} ms, p99/p50 {row.p99_of_p50} "
            f"(target: at most 2; a perfect server's: {row.ideal_p99_of_p50}), {row.failures} failures, {row.foreign_cores} foreign cores"
        )
    if record:
        append_rows(ROWS, rows)
        click.echo(f"recorded in {ROWS.name}")


if __name__ == "__main__":
    main()
