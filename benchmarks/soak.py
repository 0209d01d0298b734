"""Whether a server's memory stays as it is: many small pictures through a private server.

    small drawn hands, JPEG and PNG -> 4 callers -> a private server, detail fast
                                                 -> its resident memory, every few hundred

Memory grows until every size of picture and every thread has been there; what it has after the
warm-up is compared with what it has at the end.
"""

import asyncio
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

import click
import grpc
from drawn_pictures import small_pictures
from private_server import private_server
from process_tree import resident_mb
from rows import MeasuredRow, append_rows

from hunique_models.bundle import default_bundle_path
from hunique_proto.v1 import hand_features_pb2 as pb
from hunique_proto.v1 import hand_features_pb2_grpc as pb_grpc

ROWS = Path(__file__).parent / "soak_rows.csv"
CALLERS = 4
SAMPLE_EVERY = 250


@dataclass(frozen=True, kw_only=True)
class Row(MeasuredRow):
    """One line of soak_rows.csv."""

    requests: int
    rss_warm_mb: float
    rss_end_mb: float
    growth: float
    failures: int


@dataclass(kw_only=True)
class Soak:
    """How far it has come."""

    requests: int
    pictures: list[bytes]
    asked: int = 0
    ended: int = 0
    failures: int = 0
    rss_mb: dict[int, float] = field(default_factory=dict)
    """By the number of calls that had ended."""
    began_s: float = field(default_factory=time.monotonic)

    def progress(self) -> str:
        """What there is to say so far."""
        per_s = self.ended / (time.monotonic() - self.began_s)
        left_min = (self.requests - self.ended) / per_s / 60
        return (
            f"{self.ended:6} of {self.requests} requests, {per_s:5.1f}/s, {left_min:5.1f} min "
            f"left, server {self.rss_mb[self.ended]:6.1f} MB, {self.failures} failures"
        )


async def _call(soak: Soak, server_id: int, stub: pb_grpc.HandFeaturesStub) -> None:
    """Ask for as long as there is something to ask; every so often look at the server."""
    while soak.asked < soak.requests:
        picture = soak.pictures[soak.asked % len(soak.pictures)]
        soak.asked += 1
        try:
            await stub.Segment(pb.SegmentRequest(image=picture, detail=pb.DETAIL_FAST), timeout=120)
        except grpc.aio.AioRpcError as error:
            soak.failures += 1
            click.echo(f"failed: {error.code().name} {error.details()}")
        soak.ended += 1
        if soak.ended % SAMPLE_EVERY == 0 or soak.ended == soak.requests:
            soak.rss_mb[soak.ended] = resident_mb(server_id)
            click.echo(soak.progress())


async def _soak(soak: Soak, address: str, server_id: int) -> None:
    async with grpc.aio.insecure_channel(address) as channel:
        stub = pb_grpc.HandFeaturesStub(channel)
        await asyncio.gather(*(_call(soak, server_id, stub) for _ in range(CALLERS)))


def _row(soak: Soak, warm_up: int) -> Row:
    warm_mb = next(mb for ended, mb in sorted(soak.rss_mb.items()) if ended >= warm_up)
    end_mb = soak.rss_mb[soak.requests]
    return Row(
        requests=soak.requests,
        rss_warm_mb=round(warm_mb, 1),
        rss_end_mb=round(end_mb, 1),
        growth=round(end_mb / warm_mb - 1, 4),
        failures=soak.failures,
    )


@click.command()
@click.option("--requests", type=click.IntRange(min=1), default=20_000, show_default=True)
@click.option("--warm-up", type=click.IntRange(min=1), default=2000, show_default=True,
              help="Requests after which memory is first taken; fewer than --requests.")  # fmt: skip
@click.option("--bundle", type=click.Path(path_type=Path), default=default_bundle_path(),
              help="What to serve. Default: the model that comes with hunique.")  # fmt: skip
@click.option("--record", is_flag=True, help="Append the result to soak_rows.csv.")
def main(requests: int, warm_up: int, bundle: Path, record: bool) -> None:
    """Ask a private server very often and compare its memory early and late."""
    if warm_up >= requests:
        raise click.UsageError(f"expected --warm-up below --requests, found {warm_up}")
    with (
        tempfile.TemporaryDirectory() as folder,
        private_server(bundle, Path(folder)) as (address, server_id),
    ):
        soak = Soak(requests=requests, pictures=small_pictures())
        asyncio.run(_soak(soak, address, server_id))
    row = _row(soak, warm_up)
    click.echo(
        f"resident memory {row.rss_warm_mb} MB after {warm_up} requests, {row.rss_end_mb} MB after "
        f"{row.requests}: growth {row.growth:+.1%} (target: below 3 %), {row.failures} failures"
    )
    if record:
        append_rows(ROWS, [row])
        click.echo(f"recorded in {ROWS.name}")


if __name__ == "__main__":
    main()
