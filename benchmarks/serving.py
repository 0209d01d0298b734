"""How much of this machine a server turns into answers.

    drawn hands -> JPEG -> ceiling: pipeline and engine in a loop, in this process
                        -> served: a private server, closed loops of 1, 4 and 16 callers

Both sides are measured in one run of about a minute, so that their ratio means something
on a machine whose speed nobody knows. The README beside this file says how to read it.
"""

import asyncio
import csv
import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path

import click
import grpc
from ceiling import measure_ceiling
from closed_loop import Load, measure_load
from grpc_health.v1 import health_pb2, health_pb2_grpc
from PIL import Image

from hunique_models.bundle import Bundle, default_bundle_path
from hunique_models.drawn import draw_hand
from hunique_models.geometry import Detail
from hunique_proto.v1 import hand_features_pb2 as pb

ROWS = Path(__file__).parent / "rows.csv"
CALLERS = (1, 4, 16)
PICTURE_SIZE_PX = (960, 1280)
PICTURE_COUNT = 8
DETAILS = {
    "fast": (Detail.FAST, pb.DETAIL_FAST),
    "standard": (Detail.STANDARD, pb.DETAIL_STANDARD),
    "fine": (Detail.FINE, pb.DETAIL_FINE),
}


@dataclass(frozen=True, kw_only=True)
class Row:
    """One line of rows.csv."""

    date_utc: str
    commit: str
    hardware: str
    model: str
    detail: str
    callers: int
    pictures_per_s: float
    ceiling_pictures_per_s: float
    ratio: float
    p50_ms: float
    p99_ms: float
    failures: int
    foreign_cores: float


def drawn_jpegs() -> list[bytes]:
    """Drawn hands as JPEG files, the same ones in every run."""
    return [_jpeg(seed) for seed in range(PICTURE_COUNT)]


def _jpeg(seed: int) -> bytes:
    stream = BytesIO()
    hand = draw_hand(seed, size_px=PICTURE_SIZE_PX)
    Image.fromarray(hand.pixels).save(stream, "JPEG", quality=92)
    return stream.getvalue()


@contextmanager
def private_server(bundle_path: Path, folder: Path) -> Iterator[tuple[str, int]]:
    """A server of our own: its address, once it says SERVING, and its process id."""
    address = f"unix:{folder / 'server.sock'}"
    command = [sys.executable, "-m", "hunique_server", "--bundle", str(bundle_path)]
    command += ["--listen", address, "--admin-listen", "", "--log-level", "warning"]
    process = subprocess.Popen(command)  # noqa: S603 - our own server
    try:
        with grpc.insecure_channel(address) as channel:
            watch = health_pb2_grpc.HealthStub(channel).Watch(
                health_pb2.HealthCheckRequest(), timeout=60, wait_for_ready=True
            )
            next(s for s in watch if s.status == health_pb2.HealthCheckResponse.SERVING)
        yield address, process.pid
    finally:
        process.terminate()
        process.wait(timeout=30)


def _hardware() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        name = next(line.partition(": ")[2] for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        name = platform.processor() or platform.machine()
    return f"{len(os.sched_getaffinity(0))} x {name}"


def _commit() -> str:
    def git(*arguments: str) -> str:
        command = ["git", "-C", str(Path(__file__).parent), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()  # noqa: S603

    changed = "+" if git("status", "--porcelain", "--untracked-files=no") else ""
    return git("rev-parse", "--short", "HEAD") + changed


def _rows(bundle: Bundle, detail: str, ceiling: float, loads: list[Load]) -> list[Row]:
    date_utc, commit, hardware = datetime.now(UTC).strftime("%Y-%m-%d"), _commit(), _hardware()
    return [
        Row(
            date_utc=date_utc,
            commit=commit,
            hardware=hardware,
            model=f"{bundle.manifest.name} {bundle.manifest.version}",
            detail=detail,
            ceiling_pictures_per_s=round(ceiling, 2),
            callers=load.callers,
            pictures_per_s=round(load.pictures_per_s, 2),
            ratio=round(load.pictures_per_s / ceiling, 2),
            p50_ms=round(load.p50_ms),
            p99_ms=round(load.p99_ms),
            failures=load.failures,
            foreign_cores=round(load.foreign_cores, 2),
        )
        for load in loads
    ]


def _record(rows: list[Row]) -> None:
    is_new = not ROWS.exists()
    with ROWS.open("a", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, [field.name for field in fields(Row)])
        if is_new:
            writer.writeheader()
        writer.writerows(asdict(row) for row in rows)


def _show(rows: list[Row]) -> None:
    click.echo(f"{rows[0].hardware}, {rows[0].model}, detail {rows[0].detail}")
    click.echo(f"ceiling, in process: {rows[0].ceiling_pictures_per_s} pictures/s")
    click.echo("callers  pictures/s  of ceiling  p50 ms  p99 ms  failures  foreign cores")
    for row in rows:
        click.echo(
            f"{row.callers:7}  {row.pictures_per_s:10}  {row.ratio:10}  {row.p50_ms:6}  "
            f"{row.p99_ms:6}  {row.failures:8}  {row.foreign_cores:13}"
        )


@click.command()
@click.option("--bundle", type=click.Path(path_type=Path), default=default_bundle_path(),
              help="What to serve. Default: the model that comes with hunique.")  # fmt: skip
@click.option("--detail", type=click.Choice(list(DETAILS)), default="standard", show_default=True)
@click.option("--seconds-s", type=click.FloatRange(min=0.5), default=8.0, show_default=True,
              help="Length of each of the five measurements.")  # fmt: skip
@click.option("--record", is_flag=True, help="Append the result to rows.csv.")
def main(bundle: Path, detail: str, seconds_s: float, record: bool) -> None:
    """Measure a private server beside what the machine could do without one."""
    model, pictures = Bundle.open(bundle), drawn_jpegs()
    for_pipeline, for_wire = DETAILS[detail]
    ceiling = measure_ceiling(model, pictures, for_pipeline, seconds_s)
    requests = [pb.SegmentRequest(image=picture, detail=for_wire) for picture in pictures]
    with (
        tempfile.TemporaryDirectory() as folder,
        private_server(bundle, Path(folder)) as (address, server_id),
    ):
        loads = [
            asyncio.run(measure_load(address, server_id, callers, requests, seconds_s))
            for callers in CALLERS
        ]
    rows = _rows(model, detail, ceiling, loads)
    _show(rows)
    if record:
        _record(rows)
        click.echo(f"recorded in {ROWS.name}")


if __name__ == "__main__":
    main()
