"""One peer at a time: started, asked by the load generator, and ended with all its processes."""

import json
import os
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from environments import ROOT
from peers import SERVED, Layout, Peer, Start, free_port
from process_tree import ForeignCores, proportional_mb, stat_fields, tree

READY_S = 120.0
END_S = 15.0
SAMPLE_S = 1.0


class PeerFailedError(Exception):
    """A peer did not start, or did not answer."""


@dataclass(frozen=True, kw_only=True)
class Bench:
    """What all peers have in common."""

    bundle_path: Path
    detail: str
    pictures: Path
    """A folder of encoded images."""
    load_venv: Path


@dataclass(frozen=True, kw_only=True)
class Cell:
    """What one number of callers got in one go."""

    durations_s: list[float]
    failures: int
    first_failure: str
    took_s: float
    first_answer_sha256: str
    peak_mb: float
    foreign_core_s: float


@dataclass(frozen=True, kw_only=True)
class Running:
    """A peer that answers."""

    peer: Peer
    address: str
    process_id: int
    bench: Bench

    def ask(self, callers: int, seconds_s: float) -> Cell:
        """Let some callers ask for some time.

        Raises:
            PeerFailedError: not even one call was answered.
        """
        foreign = ForeignCores(self.process_id)
        with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as problems:
            load = subprocess.Popen(  # noqa: S603 - our own program
                self._load_command(callers, seconds_s),
                env=_variables() | {"PYTHONPATH": str(ROOT / "proto")},
                stdout=out,
                stderr=problems,
            )
            try:
                peak_mb = self._peak_mb_until_ended(load)
            finally:
                load.kill()
                load.wait()
            out.seek(0)
            problems.seek(0)
            text = out.read()
            if load.returncode:
                raise PeerFailedError(problems.read()[-600:])
        found = json.loads(text)
        foreign_core_s = foreign.cores() * found["took_s"]
        return Cell(peak_mb=peak_mb, foreign_core_s=foreign_core_s, **found)

    def _load_command(self, callers: int, seconds_s: float) -> list[str]:
        command = [str(self.bench.load_venv / "bin" / "python")]
        command += [str(SERVED.parent / "load.py"), "--call", self.peer.call]
        command += ["--address", self.address, "--path", self.peer.path or self.bench.detail]
        command += ["--pictures", str(self.bench.pictures)]
        return [*command, "--callers", str(callers), "--seconds-s", str(seconds_s)]

    def _peak_mb_until_ended(self, load: "subprocess.Popen[bytes]") -> float:
        peak_mb = 0.0
        while True:
            peak_mb = max(peak_mb, proportional_mb(self.process_id))
            try:
                load.wait(SAMPLE_S)
            except subprocess.TimeoutExpired:
                continue
            return max(peak_mb, proportional_mb(self.process_id))


def _variables() -> dict[str, str]:
    """Ours, without what would reach into other environments."""
    dropped = ("PYTHONPATH", "VIRTUAL_ENV", "PYTHONHOME")
    return {name: value for name, value in os.environ.items() if name not in dropped}


def _peer_variables(peer: Peer, start: Start, bench: Bench) -> dict[str, str]:
    own = {
        "PATH": f"{start.venv / 'bin'}:{os.environ['PATH']}",
        "PYTHONPATH": f"{ROOT / 'models'}:{SERVED}",
        "VIRTUAL_ENV": str(start.venv),
        "HOME": str(start.folder),  # some keep tokens and notes there
        "PEER_BUNDLE": str(bench.bundle_path),
        "PEER_DETAIL": bench.detail,
        "PEER_WORKERS": str(start.layout.workers),
        "PEER_THREADS": str(start.layout.threads),
    }
    return _variables() | peer.variables | ({} if peer.name == "hunique" else own)


@contextmanager
def running(peer: Peer, venv: Path, layout: Layout, bench: Bench) -> Iterator[Running]:
    """Start a peer, wait until it has answered, and end it in all cases.

    Raises:
        PeerFailedError: it did not come up; the message has its last lines.
    """
    with tempfile.TemporaryDirectory(prefix="p") as folder, tempfile.TemporaryFile("w+") as log:
        start = Start(
            bundle_path=bench.bundle_path,
            venv=venv,
            folder=Path(folder),
            port=free_port(),
            layout=layout,
        )
        process = subprocess.Popen(  # noqa: S603 - one of the peers
            peer.command(start),
            env=_peer_variables(peer, start, bench),
            cwd=folder,
            stdout=log,
            stderr=subprocess.STDOUT,
            process_group=0,  # no session of its own: Linux may share out cores by session
        )
        try:
            address = f"127.0.0.1:{start.port}"
            one = Running(peer=peer, address=address, process_id=process.pid, bench=bench)
            _wait_until_ready(one, process, 2 * layout.workers)
            yield one
        except PeerFailedError as error:
            log.seek(0)
            last = "\n".join(log.read().splitlines()[-25:])
            raise PeerFailedError(f"{error}\nits last lines:\n{last}") from error
        finally:
            _end(process)


def _wait_until_ready(one: Running, process: "subprocess.Popen[bytes]", callers: int) -> None:
    """Ask until an answer comes; so many callers reach every worker."""
    gives_up_s, problem = time.monotonic() + READY_S, "it never listened"
    while time.monotonic() < gives_up_s:
        if process.poll() is not None:
            raise PeerFailedError(f"it ended with status {process.returncode}")
        if _listens(one.address):
            try:
                cell = one.ask(callers, 0.5)
            except PeerFailedError as error:
                problem = str(error)
            else:
                if not cell.failures:
                    return
                problem = cell.first_failure
        time.sleep(0.3)
    raise PeerFailedError(f"it did not answer within {READY_S:.0f} s: {problem}")


def _listens(address: str) -> bool:
    host, _, port = address.partition(":")
    with suppress(OSError):
        socket.create_connection((host, int(port)), timeout=1).close()
        return True
    return False


def _end(process: "subprocess.Popen[bytes]") -> None:
    """Ask it to end; what is left of its tree after a while is killed, by its id."""
    members = {member: _started(member) for member in tree(process.pid)}
    process.terminate()
    ends_s = time.monotonic() + END_S
    while time.monotonic() < ends_s and process.poll() is None:
        time.sleep(0.1)
    members |= {member: _started(member) for member in tree(process.pid)}
    while left := [one for one, began in members.items() if began and _started(one) == began]:
        for member in left:
            with suppress(ProcessLookupError):
                os.kill(member, signal.SIGKILL)
        process.poll()
        time.sleep(0.1)


def _started(process_id: int) -> str:
    """When a process began, which tells it from a later one with its id; empty if it has ended."""
    try:
        fields = stat_fields(process_id)
    except OSError:
        return ""
    return "" if fields[0] == "Z" else fields[19]
