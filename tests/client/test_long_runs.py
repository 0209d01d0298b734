"""The command over many pictures: being ended, saying how far it is."""

import io
import json
import os
import pty
import signal
import subprocess
import sys
import threading
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest

from hunique_client import HuniqueClient
from hunique_client.progress import ProgressLines, shown_progress
from hunique_proto.v1 import hand_features_pb2 as pb

Run = Callable[..., Any]
Start = Callable[..., subprocess.Popen[bytes]]


@pytest.fixture
def three(picture_files: list[Path]) -> list[Path]:
    """Three pictures."""
    return picture_files[:3]


@pytest.mark.parametrize(
    ("number", "exit_code"),
    [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129), (signal.SIGKILL, -9)],
)
def test_private_server_goes_with_the_command(
    command: str,
    started: Start,
    children_of: Callable[[int], list[int]],
    ends: Callable[[int], bool],
    short_folder: Path,
    number: int,
    exit_code: int,
) -> None:
    """Ctrl-C, SIGTERM, a closed terminal and SIGKILL end the command at once, and its server."""
    # whoever runs the tests under nohup has their children ignore SIGHUP as well
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    client = started(command, "segment", "-")
    signal.signal(signal.SIGHUP, before)
    assert client.stdin is not None
    assert client.stderr is not None
    # more than a pipe holds: once it is written the client reads it, and its server is up
    client.stdin.write(bytes(1_000_000))
    client.stdin.flush()
    (server_pid,) = children_of(client.pid)
    os.killpg(client.pid, number)
    assert client.wait(120) == exit_code
    assert ends(server_pid)
    assert b"Traceback" not in client.stderr.read()
    if number != signal.SIGKILL:
        assert list(short_folder.iterdir()) == []


def test_ctrl_c_says_how_far_it_came(
    command: str, started: Start, scripted: tuple[Any, str], three: list[Path]
) -> None:
    """Ctrl-C while pictures are under way ends with 130 and tells what was done."""
    script, address = scripted
    under_way, released = threading.Event(), threading.Event()

    def wait(requests: Any, _context: Any) -> Iterator[pb.SegmentStreamResponse]:
        yield pb.SegmentStreamResponse(
            request_id=next(requests).request_id, error=pb.PictureError(code=3, message="bad")
        )
        under_way.set()
        released.wait(60)

    script.streams = [wait]
    client = started(command, "--server", address, "segment", *map(str, three))
    assert under_way.wait(60)
    assert client.stderr is not None
    first = client.stderr.readline()
    os.killpg(client.pid, signal.SIGINT)
    _, err = client.communicate(timeout=60)
    released.set()
    assert client.returncode == 130
    assert b"bad" in first
    assert err.decode().split("\n")[0] == "0 done, 1 failed, 2 not examined"


def test_server_that_fails(run: Run, scripted: tuple[Any, str], three: list[Path]) -> None:
    """A fault of the server ends a run with 69, its words, and what was done until then."""
    script, address = scripted

    def fail(_requests: Any, context: Any) -> Iterator[pb.SegmentStreamResponse]:
        context.abort(grpc.StatusCode.INTERNAL, "out of order")
        yield from ()

    script.streams = [fail]
    ended = run("--server", address, "segment", *three)
    assert ended.returncode == 69
    assert ended.stderr.splitlines() == [
        "0 done, 0 failed, 3 not examined", "hunique-client: out of order",
    ]  # fmt: skip


def test_reader_that_has_seen_enough(
    command: str, started: Start, server: Any, three: list[Path]
) -> None:
    """`| head` ends the command quietly."""
    words = ["--server", server.address, "segment", "--json", *map(str, three)]
    client = started(command, *words)
    assert client.stdout is not None
    client.stdout.close()
    client.stdout = None
    _, err = client.communicate(timeout=120)
    assert client.returncode == 1
    assert b"Traceback" not in err
    assert b"Exception" not in err


def test_bar_on_a_terminal(
    command: str, started: Start, server: Any, three: list[Path], tmp_path: Path
) -> None:
    """On a terminal a bar shows how far it is; results still go where standard output goes."""
    terminal, its_end = pty.openpty()
    words = ["--server", server.address, "segment", "--json", *map(str, three)]
    missing = str(tmp_path / "missing.png")
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "120"}
    client = started(command, *words, missing, stderr=its_end, env=environment)
    os.close(its_end)
    shown = b""
    try:
        while part := os.read(terminal, 65536):
            shown += part
    except OSError:  # Linux: the other end is closed
        pass
    os.close(terminal)
    out, _ = client.communicate(timeout=120)
    assert client.returncode == 5
    assert len(out.decode().splitlines()) == 4
    assert all("picture" in json.loads(line) for line in out.decode().splitlines())
    assert b"4/4" in shown
    assert b"1 failed" in shown
    assert b"missing.png" in shown


def test_lines_elsewhere() -> None:
    """Where no terminal is, a line now and then says how far it is and how long it will take."""
    now_s = [0.0]
    written = io.StringIO()
    lines = ProgressLines(1000, written, lambda: now_s[0])
    for _ in range(1000):
        now_s[0] += 0.5
        lines.advance(2)
    found = written.getvalue().splitlines()
    assert found[0] == "60 of 1000 pictures, 2 failed, about 8 min left"
    assert len(found) == 16
    assert found[-1] == "960 of 1000 pictures, 2 failed, about 1 min left"


def test_time_left_is_that_of_pictures_that_are_examined() -> None:
    """Pictures that were done before pass quickly, and promise nothing for the others."""
    now_s = [0.0]
    written = io.StringIO()
    lines = ProgressLines(1000, written, lambda: now_s[0])
    for _ in range(500):
        now_s[0] += 0.1
        lines.advance(0, examined=False)
    for _ in range(40):
        now_s[0] += 6
        lines.advance(0)
    found = written.getvalue().splitlines()
    assert found[0] == "300 of 1000 pictures, 0 failed"
    assert found[-1].endswith("about 46 min left")


def test_bar_leaves_out_of_the_time_what_was_done_before(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same for the bar: it shows no time until a picture was examined."""
    screen = io.StringIO()
    monkeypatch.setattr(sys, "stderr", screen)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("FORCE_COLOR", "1")
    with shown_progress(50) as advance:
        for _ in range(40):
            advance(0, examined=False)
    assert "-:--:--" in screen.getvalue().rpartition("40/50")[2]


def test_few_pictures_are_in_memory(scripted: tuple[Any, str], tmp_path: Path) -> None:
    """Of 400 pictures of 100 kB never more than a few megabytes are held."""
    script, address = scripted

    def refuse(requests: Any, _context: Any) -> Iterator[pb.SegmentStreamResponse]:
        for request in requests:
            error = pb.PictureError(code=3, message="bad")
            yield pb.SegmentStreamResponse(request_id=request.request_id, error=error)

    script.streams = [refuse]
    path = tmp_path / "hand.jpg"
    path.write_bytes(bytes(100_000))
    with HuniqueClient(address) as client:
        tracemalloc.start()
        count = sum(1 for _ in client.segment_many(path for _ in range(400)))
        _, peak_bytes = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert count == 400
    assert peak_bytes < 10_000_000
