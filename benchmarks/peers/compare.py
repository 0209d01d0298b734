"""How much of this machine other servers turn into answers, with the same model and pictures.

    ceilings -> server A, alone -> ceilings -> server B, alone -> ceilings ...   and again

Each server runs by itself and does the work of the ceilings behind its own interface. Its ratios
are to the ceilings measured right before and right after it. `benchmarks/README.md` says how to
read them.
"""

import signal
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import click
from ceiling import Ceiling, usable_cores
from drawn_pictures import drawn_jpegs
from environments import DEFAULT_FOLDER, EnvironmentFailedError, environment
from peers import PEERS, Layout, Peer
from results import Ceilings, Result, table
from rows import append_rows
from running import Bench, PeerFailedError, running

from hunique_models.bundle import Bundle, default_bundle_path
from hunique_models.geometry import Detail

ROWS = Path(__file__).parent / "rows.csv"


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What is measured, and for how long."""

    callers: tuple[int, ...]
    seconds_s: float
    rounds: int
    venvs: Path


class Loops:
    """The two ceilings.

    Args:
        bundle: the model.
        pictures: encoded images.
        detail: how closely to look.
        seconds_s: length of each measurement.
    """

    def __init__(
        self, bundle: Bundle, pictures: list[bytes], detail: Detail, seconds_s: float
    ) -> None:
        self._latency = Ceiling(bundle, pictures, detail, 1)
        self._throughput = Ceiling(bundle, pictures, detail, usable_cores())
        self._seconds_s = seconds_s

    def measure(self) -> Ceilings:
        """Both, one after the other."""
        found = Ceilings(
            latency_per_s=self._latency.measure(self._seconds_s),
            throughput_per_s=self._throughput.measure(self._seconds_s),
        )
        click.echo(
            f"ceilings: latency loop {found.latency_per_s:.2f}, throughput loop "
            f"{found.throughput_per_s:.2f} pictures/s"
        )
        return found


def layouts(peer: Peer) -> Sequence[Layout | None]:
    """One-thread workers for a crowd, and one worker with all cores for a lone caller."""
    if peer.name == "hunique":
        return (None,)
    cores = usable_cores()
    apart, together = Layout(workers=cores, threads=1), Layout(workers=1, threads=cores)
    return (apart, together) if cores > 1 else (apart,)


def _measure(results: list[Result], loops: Loops, bench: Bench, plan: Plan) -> None:
    """One server after the other, then all again: what the machine does is everybody's."""
    for number in range(1, plan.rounds + 1):
        before = loops.measure()
        for result in results:
            if result.problem:
                continue
            click.echo(f"round {number} of {plan.rounds}: {result.name}")
            try:
                _measure_one(result, bench, plan)
            except (PeerFailedError, EnvironmentFailedError) as error:
                result.problem = f"in round {number}: {error}"
                click.echo(f"{result.name} failed {result.problem}", err=True)
            after = loops.measure()
            result.neighbours += [before, after]
            before = after


def _measure_one(result: Result, bench: Bench, plan: Plan) -> None:
    """Start it, let each number of callers ask, end it."""
    peer, layout = result.peer, result.layout or Layout(workers=usable_cores(), threads=1)
    venv = bench.load_venv if peer.name == "hunique" else environment(plan.venvs, peer.name)
    with running(peer, venv, layout, bench) as server:
        for callers in plan.callers:
            cell = server.ask(callers, plan.seconds_s)
            result.add(callers, cell)
            click.echo(
                f"  {callers:3} callers: {len(cell.durations_s) / cell.took_s:7.2f} pictures/s, "
                f"{cell.failures} failures {cell.first_failure[:200]}"
            )


def _chosen_peers(_: click.Context, __: click.Parameter, names: str) -> list[Peer]:
    known = {peer.name: peer for peer in PEERS}
    wanted = names.split(",") if names else list(known)
    if unknown := [name for name in wanted if name not in known]:
        raise click.BadParameter(f"expected some of {', '.join(known)}; found {unknown[0]!r}")
    return [known[name] for name in wanted]


def _chosen_callers(_: click.Context, __: click.Parameter, numbers: str) -> tuple[int, ...]:
    if not all(number.isdigit() and int(number) > 0 for number in numbers.split(",")):
        raise click.BadParameter(f"expected numbers like 1,4,16; found {numbers!r}")
    return tuple(map(int, numbers.split(",")))


def _report(results: list[Result], model: str, detail: str, record: bool) -> None:
    """Say what was found, and what was not."""
    rows = [row for result in results if result.loads for row in result.rows(model, detail)]
    if rows:
        click.echo(f"\n{rows[0].hardware}, {model}, detail {detail}\n{table(rows)}")
    peers = [one for one in results if one.answer_sha256 and one.peer.name != "hunique"]
    for other in peers:
        if other.answer_sha256 != peers[0].answer_sha256:
            click.echo(f"\n{other.name} answers otherwise than {peers[0].name}: compare with care")
    failed = [result for result in results if result.problem]
    for result in failed:
        click.echo(f"\n{result.name} failed {result.problem}")
    if record and rows:
        append_rows(ROWS, rows)
        click.echo(f"\nrecorded in {ROWS.parent.name}/{ROWS.name}")
    if failed:
        sys.exit(1)


@click.command()
@click.option("--only", "peers", default="", callback=_chosen_peers, metavar="NAME,NAME",
              help=f"Out of {', '.join(peer.name for peer in PEERS)}. Default: all.")  # fmt: skip
@click.option("--callers", default="1,4,16,64", show_default=True, callback=_chosen_callers)
@click.option("--seconds-s", type=click.FloatRange(min=0.5), default=4.0, show_default=True,
              help="Length of each measurement; what was asked by then is waited for.")  # fmt: skip
@click.option("--rounds", type=click.IntRange(min=1), default=3, show_default=True)
@click.option(
    "--detail",
    type=click.Choice([detail.value for detail in Detail]),
    default="standard",
    show_default=True,
)
@click.option("--bundle", type=click.Path(path_type=Path), default=default_bundle_path(),
              help="What to serve. Default: the model that comes with hunique.")  # fmt: skip
@click.option("--venvs", type=click.Path(path_type=Path), default=DEFAULT_FOLDER,
              help="Where the environments of the peers are made and kept.")  # fmt: skip
@click.option("--record", is_flag=True, help="Append the result to peers/rows.csv.")
def main(peers: list[Peer], bundle: Path, detail: str, record: bool, **choices: object) -> None:
    """Measure servers in turn, each alone, beside what the machine could do without one."""
    plan = Plan(**choices)  # type: ignore[arg-type] # click has checked them
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that servers are ended
    model, pictures = Bundle.open(bundle), drawn_jpegs()
    results = [Result(peer=peer, layout=layout) for peer in peers for layout in layouts(peer)]
    with tempfile.TemporaryDirectory() as folder:
        for number, picture in enumerate(pictures):
            (Path(folder) / f"{number:02}.jpg").write_bytes(picture)
        bench = Bench(
            bundle_path=bundle.resolve(),
            detail=detail,
            pictures=Path(folder),
            load_venv=environment(plan.venvs, "load"),
        )
        loops = Loops(model, pictures, Detail(detail), plan.seconds_s)
        _measure(results, loops, bench, plan)
    _report(results, f"{model.manifest.name} {model.manifest.version}", detail, record)


if __name__ == "__main__":
    main()
