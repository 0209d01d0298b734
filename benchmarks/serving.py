"""How much of this machine a server turns into answers.

    drawn hands -> JPEG -> ceilings: pipeline and engine in loops, in this process
                        -> served: a private server, closed loops of 1, 4 and 16 callers

Both sides are measured by turns in one run of about three minutes, so that their ratios mean
something on a machine whose speed nobody knows and which changes meanwhile. The README beside
this file says how to read them.
"""

import asyncio
import tempfile
from dataclasses import dataclass
from pathlib import Path

import click
from ceiling import Ceiling, usable_cores
from closed_loop import Load, measure_load
from drawn_pictures import drawn_jpegs
from private_server import private_server
from rows import ServingRow, append_rows

from hunique_models.bundle import Bundle, default_bundle_path
from hunique_models.geometry import Detail
from hunique_proto.v1 import hand_features_pb2 as pb

ROWS = Path(__file__).parent / "rows.csv"
CALLERS = (1, 4, 16)
DETAILS = {
    "fast": (Detail.FAST, pb.DETAIL_FAST),
    "standard": (Detail.STANDARD, pb.DETAIL_STANDARD),
    "fine": (Detail.FINE, pb.DETAIL_FINE),
}


@dataclass(frozen=True, kw_only=True)
class Row(ServingRow):
    """One line of rows.csv."""

    callers: int
    pictures_per_s: float
    latency_loop_pictures_per_s: float
    throughput_loop_pictures_per_s: float
    of_latency_loop: float
    of_throughput_loop: float
    p50_ms: float
    p99_ms: float
    server_peak_mb: int
    failures: int
    foreign_cores: float


@dataclass(frozen=True, kw_only=True)
class Loops:
    """The two ceilings."""

    latency: Ceiling
    throughput: Ceiling


@dataclass(frozen=True, kw_only=True)
class Choices:
    """How long to measure."""

    seconds_s: float
    rounds: int


def _peak_mb(process_id: int) -> int:
    """The most memory that a process has had, in MB (Linux)."""
    try:
        lines = Path(f"/proc/{process_id}/status").read_text().splitlines()
        return int(next(line.split()[1] for line in lines if line.startswith("VmHWM"))) // 1000
    except (OSError, StopIteration):
        return 0


def _row(bundle: Bundle, detail: str, loops: Loops, load: Load, peak_mb: int) -> Row:
    served, one_by_one, side_by_side = (
        part.pictures_per_s for part in (load, loops.latency, loops.throughput)
    )
    return Row(
        model=f"{bundle.manifest.name} {bundle.manifest.version}",
        detail=detail,
        callers=load.callers,
        pictures_per_s=round(served, 2),
        latency_loop_pictures_per_s=round(one_by_one, 2),
        throughput_loop_pictures_per_s=round(side_by_side, 2),
        of_latency_loop=round(served / one_by_one, 3),
        of_throughput_loop=round(served / side_by_side, 3),
        p50_ms=round(load.percentile_ms(0.50)),
        p99_ms=round(load.percentile_ms(0.99)),
        server_peak_mb=peak_mb,
        failures=load.failures,
        foreign_cores=round(load.foreign_cores, 2),
    )


def _show(rows: list[Row]) -> None:
    first = rows[0]
    click.echo(f"{first.hardware}, {first.model}, detail {first.detail}")
    click.echo(
        f"in process: {first.latency_loop_pictures_per_s} pictures/s one by one (latency loop), "
        f"{first.throughput_loop_pictures_per_s} side by side (throughput loop)"
    )
    click.echo(
        "callers  pictures/s  of latency loop  of throughput loop  p50 ms  p99 ms  peak MB  "
        "failures  foreign cores"
    )
    for row in rows:
        click.echo(
            f"{row.callers:7}  {row.pictures_per_s:10}  {row.of_latency_loop:15}  "
            f"{row.of_throughput_loop:18}  {row.p50_ms:6}  {row.p99_ms:6}  "
            f"{row.server_peak_mb:7}  {row.failures:8}  {row.foreign_cores:13}"
        )


def _measure(
    loops: Loops, server: tuple[str, int], requests: list[pb.SegmentRequest], choices: Choices
) -> list[Load]:
    """Each part for some seconds, then each again: what the machine does is everybody's."""
    loads = [Load(callers=callers) for callers in CALLERS]
    for _ in range(choices.rounds):
        loops.latency.measure(choices.seconds_s)
        for load in loads:
            if load.callers > 1:
                loops.throughput.measure(choices.seconds_s / (len(loads) - 1))
            asyncio.run(measure_load(load, *server, requests, choices.seconds_s))
    return loads


@click.command()
@click.option("--bundle", type=click.Path(path_type=Path), default=default_bundle_path(),
              help="What to serve. Default: the model that comes with hunique.")  # fmt: skip
@click.option("--detail", type=click.Choice(list(DETAILS)), default="standard", show_default=True)
@click.option("--seconds-s", type=click.FloatRange(min=0.5), default=8.0, show_default=True,
              help="Length of each measurement.")  # fmt: skip
@click.option("--rounds", type=click.IntRange(min=1), default=3, show_default=True,
              help="How often everything is measured in turn.")  # fmt: skip
@click.option("--record", is_flag=True, help="Append the result to rows.csv.")
def main(bundle: Path, detail: str, seconds_s: float, rounds: int, record: bool) -> None:
    """Measure a private server beside what the machine could do without one."""
    model, pictures = Bundle.open(bundle), drawn_jpegs()
    for_pipeline, for_wire = DETAILS[detail]
    loops = Loops(
        latency=Ceiling(model, pictures, for_pipeline, 1),
        throughput=Ceiling(model, pictures, for_pipeline, usable_cores()),
    )
    requests = [pb.SegmentRequest(image=picture, detail=for_wire) for picture in pictures]
    with (
        tempfile.TemporaryDirectory() as folder,
        private_server(bundle, Path(folder)) as server,
    ):
        loads = _measure(loops, server, requests, Choices(seconds_s=seconds_s, rounds=rounds))
        peak_mb = _peak_mb(server[1])
    rows = [_row(model, detail, loops, load, peak_mb) for load in loads]
    _show(rows)
    if record:
        append_rows(ROWS, rows)
        click.echo(f"recorded in {ROWS.name}")


if __name__ == "__main__":
    main()
