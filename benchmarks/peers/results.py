"""What was found of a server in one layout, and the rows and lines that say it."""

import statistics
from dataclasses import dataclass, field

from closed_loop import Load
from peers import Layout, Peer
from rows import ServingRow
from running import Cell


@dataclass(frozen=True, kw_only=True)
class Row(ServingRow):
    """One line of rows.csv."""

    peer: str
    peer_version: str
    layout: str
    callers: int
    pictures_per_s: float
    of_latency_loop: float
    of_throughput_loop: float
    p50_ms: float
    p99_ms: float
    peak_mb: int
    failures: int
    foreign_cores: float


@dataclass(frozen=True, kw_only=True)
class Ceilings:
    """Pictures per second of the two loops, measured beside a server."""

    latency_per_s: float
    throughput_per_s: float


@dataclass(kw_only=True)
class Result:
    """A server in one layout, over all rounds."""

    peer: Peer
    layout: Layout | None
    """None: it decides for itself."""
    loads: dict[int, Load] = field(default_factory=dict)
    """By number of callers."""
    peak_mb: float = 0.0
    neighbours: list[Ceilings] = field(default_factory=list)
    """Measured before and after it, in each round."""
    answer_sha256: str = ""
    """Of what it answers to the first picture."""
    problem: str = ""
    """Why there is nothing more to be found."""

    @property
    def name(self) -> str:
        """What it is called in the table."""
        return f"{self.peer.name} ({self.layout or 'its own'})"

    def add(self, callers: int, cell: Cell) -> None:
        """Take in what one number of callers got."""
        load = self.loads.setdefault(callers, Load(callers=callers))
        load.durations_s += cell.durations_s
        load.failures += cell.failures
        load.took_s += cell.took_s
        load.foreign_core_s += cell.foreign_core_s
        self.peak_mb = max(self.peak_mb, cell.peak_mb)
        self.answer_sha256 = cell.first_answer_sha256

    def rows(self, model: str, detail: str) -> list[Row]:
        """A row for each number of callers."""
        latency = statistics.mean(beside.latency_per_s for beside in self.neighbours)
        throughput = statistics.mean(beside.throughput_per_s for beside in self.neighbours)
        return [
            Row(
                model=model,
                detail=detail,
                peer=self.peer.name,
                peer_version=self.peer.version,
                layout=str(self.layout or "its own"),
                callers=callers,
                pictures_per_s=round(load.pictures_per_s, 2),
                of_latency_loop=round(load.pictures_per_s / latency, 3),
                of_throughput_loop=round(load.pictures_per_s / throughput, 3),
                p50_ms=round(load.percentile_ms(0.50)),
                p99_ms=round(load.percentile_ms(0.99)),
                peak_mb=round(self.peak_mb),
                failures=load.failures,
                foreign_cores=round(load.foreign_cores, 2),
            )
            for callers, load in self.loads.items()
        ]


def table(rows: list[Row]) -> str:
    """Rows as lines."""
    heading = (
        "peer      layout         callers  pictures/s  of latency loop  of throughput loop  "
        "p50 ms  p99 ms  peak MB  failures  foreign cores"
    )
    lines = [
        f"{row.peer:8}  {row.layout:13}  {row.callers:7}  {row.pictures_per_s:10}  "
        f"{row.of_latency_loop:15}  {row.of_throughput_loop:18}  {row.p50_ms:6}  {row.p99_ms:6}  "
        f"{row.peak_mb:7}  {row.failures:8}  {row.foreign_cores:13}"
        for row in rows
    ]
    return "\n".join([heading, *lines])
