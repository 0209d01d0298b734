"""A server of one's own: begins with its client, ends with it however that ends."""

import gc
import os
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from hunique_client import HuniqueClient, ServerUnavailableError, Status
from hunique_client.private_server import PrivateServer

PROGRAM = """
import select, sys
from hunique_client import HuniqueClient
client = HuniqueClient()
print(client._private.pid, flush=True)
# a Ctrl-C that comes just before a read blocks would be noticed only after it
while not select.select([sys.stdin], [], [], 0.1)[0]:
    pass
"""


def _folder(address: str) -> Path:
    return Path(address.removeprefix("unix:")).parent


def test_begins_and_ends_with_its_client(
    picture: bytes, short_folder: Path, ends: Callable[[int], bool]
) -> None:
    """Without an address a server is there for the client and gone after it, files included."""
    with HuniqueClient() as client:
        assert client.segment(picture)["tattoo"].status is Status.PRESENT
        assert client.describe_model().name == "tiny"
        folder = _folder(client.address)
        assert folder.parent == short_folder
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        assert client._private is not None
        pid = client._private.pid
        client.close()
    assert ends(pid)
    assert list(short_folder.iterdir()) == []


def test_listens_nowhere_else(monkeypatch: pytest.MonkeyPatch, short_folder: Path) -> None:
    """Settings of a server for others do not open a private one to them."""
    monkeypatch.setenv("HUNIQUE_SERVER_LISTEN", f"unix:{short_folder / 'other.sock'}")
    monkeypatch.setenv("HUNIQUE_SERVER_ADMIN_LISTEN", "127.0.0.1:1")
    with HuniqueClient() as client:
        assert client.describe_model().name == "tiny"
        assert not (short_folder / "other.sock").exists()


def test_reports_to_nobody(
    monkeypatch: pytest.MonkeyPatch, short_folder: Path, picture: bytes
) -> None:
    """ONNX Runtime's reports to its makers are off: it leaves no identifier of this machine."""
    monkeypatch.setenv("HOME", str(short_folder))
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.delenv("ORT_DISABLE_TELEMETRY", raising=False)
    with HuniqueClient() as client:
        client.segment(picture)
    assert list(short_folder.rglob("*")) == []


def test_forgotten_one_ends_when_it_is_garbage(
    short_folder: Path, ends: Callable[[int], bool]
) -> None:
    """A client that nobody closed or holds any more leaves no server and no files."""
    client = HuniqueClient()
    assert client._private is not None
    pid = client._private.pid
    del client
    gc.collect()
    assert ends(pid)
    assert list(short_folder.iterdir()) == []


def test_forgotten_one_ends_with_the_interpreter(
    started: Callable[..., subprocess.Popen[bytes]],
    ends: Callable[[int], bool],
    short_folder: Path,
) -> None:
    """A program that ends without closing its client leaves no server and no files."""
    program = started(sys.executable, "-c", PROGRAM)
    out, _ = program.communicate(timeout=120)
    assert ends(int(out))
    assert list(short_folder.iterdir()) == []


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
def test_ends_when_the_client_is_killed(
    started: Callable[..., subprocess.Popen[bytes]],
    ends: Callable[[int], bool],
    short_folder: Path,
    number: int,
) -> None:
    """Whatever ends the program ends its server too."""
    program = started(sys.executable, "-c", PROGRAM)
    assert program.stdout is not None
    pid = int(program.stdout.readline())
    os.kill(pid, 0)
    os.killpg(program.pid, number)
    program.wait(120)
    assert ends(pid)
    assert list(short_folder.glob("*/*.sock")) == []


def test_server_that_died_is_noticed_at_once(picture: bytes) -> None:
    """A private server does not come back: no time is spent on waiting for it."""
    with HuniqueClient() as client:
        assert client._private is not None
        begun_s = time.monotonic()
        outcomes = client.segment_many(picture for _ in range(1000))
        next(outcomes)
        client._private._process.kill()
        with pytest.raises(ServerUnavailableError, match="not answered"):
            list(outcomes)
        assert time.monotonic() - begun_s < 15


def test_without_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no server is installed and none is named, the error says what to do."""
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(ServerUnavailableError, match=r"pip install 'hunique\[server\]'"):
        HuniqueClient()


def test_bad_bundle(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, short_folder: Path) -> None:
    """When the server cannot start, the client's error holds its last words."""
    monkeypatch.setenv("HUNIQUE_SERVER_BUNDLE", str(tmp_path))
    with pytest.raises(ServerUnavailableError, match=r"manifest\.json") as caught:
        HuniqueClient()
    assert "ended with code 1" in str(caught.value)
    assert list(short_folder.iterdir()) == []


def test_server_that_never_gets_ready(short_folder: Path) -> None:
    """A server that hangs at start is ended after the time it may take."""
    hang = [sys.executable, "-c", "import sys; print('opening', flush=True); sys.stdin.read()"]
    with pytest.raises(ServerUnavailableError, match="not ready in time"):
        PrivateServer(hang, start_s=0.5)
    assert list(short_folder.iterdir()) == []


def test_server_that_will_not_end(
    monkeypatch: pytest.MonkeyPatch, ends: Callable[[int], bool]
) -> None:
    """A server that is stopped dead is killed when its time to end is over."""
    monkeypatch.setattr("hunique_client.private_server.END_S", 0.2)
    server = PrivateServer()
    os.kill(server.pid, signal.SIGSTOP)
    server.close()
    assert ends(server.pid)
