"""Real servers of the tiny bundle, a scripted one for what a real one does seldom, pictures."""

import contextlib
import io
import os
import select
import shutil
import signal
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from PIL import Image

from hunique_client import HuniqueClient
from hunique_models.bundle import Bundle
from hunique_proto.v1 import hand_features_pb2 as pb
from hunique_proto.v1 import hand_features_pb2_grpc as pb_grpc

PATIENCE_S = 120.0
"""How long anything may take on a loaded machine before a test fails."""


class RealServer:
    """`hunique-server` as a process; may be killed and started again on the same address."""

    def __init__(self, bundle: Path, folder: Path) -> None:
        self.address = f"unix:{folder / 'server.sock'}"
        self._bundle = bundle
        self._process: subprocess.Popen[Any] | None = None

    def start(self, *flags: str) -> None:
        """Start, and wait until it serves."""
        command = [sys.executable, "-m", "hunique_server", "--bundle", str(self._bundle)]
        command += ["--listen", self.address, "--admin-listen", "", "--threads", "1", *flags]
        self._process = subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        options = [("grpc.initial_reconnect_backoff_ms", 100)]
        with grpc.insecure_channel(self.address, options=options) as channel:
            health_pb2_grpc.HealthStub(channel).Check(
                health_pb2.HealthCheckRequest(), timeout=PATIENCE_S, wait_for_ready=True
            )

    def start_tcp(self, *flags: str) -> int:
        """Start on a free port of this machine; the port, once it serves."""
        command = [sys.executable, "-m", "hunique_server", "--bundle", str(self._bundle)]
        command += ["--listen", "127.0.0.1:0", "--admin-listen", "", "--threads", "1", *flags]
        self._process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        assert self._process.stderr is not None
        for line in self._process.stderr:
            if "ready on" in line:
                return int(line.rpartition(":")[2])
        pytest.fail("the server ended before it served")

    def stop(self, number: int = signal.SIGKILL) -> None:
        """Send a signal, by default one that leaves no time, and wait for the end."""
        if self._process is not None:
            self._process.send_signal(number)
            self._process.wait(PATIENCE_S)
            if self._process.stderr is not None:
                self._process.stderr.close()
            self._process = None


class ScriptedServer(pb_grpc.HandFeaturesServicer):
    """Does as a test says; methods are replaced on the instance."""

    def __init__(self) -> None:
        self.streams: list[Callable[..., Iterator[pb.SegmentStreamResponse]]] = []
        """What the first, second, ... stream does; the last one is repeated."""
        self.stream_count = 0
        self.segment: Callable[..., pb.SegmentResponse] | None = None
        self.max_image_bytes = 1_000_000

    def Segment(self, request: Any, context: Any) -> Any:  # noqa: D102, N802
        assert self.segment is not None
        return self.segment(request, context)

    def SegmentStream(self, requests: Any, context: Any) -> Any:  # noqa: D102, N802
        script = self.streams[min(self.stream_count, len(self.streams) - 1)]
        self.stream_count += 1
        yield from script(requests, context)

    def DescribeModel(self, request: Any, context: Any) -> Any:  # noqa: ARG002, D102, N802
        return pb.DescribeModelResponse(max_image_bytes=self.max_image_bytes)


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch, tiny_bundle: Bundle) -> None:
    """Private servers take the tiny bundle; what a developer has exported plays no part."""
    for name in [name for name in os.environ if name.startswith("HUNIQUE")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HUNIQUE_SERVER_BUNDLE", str(tiny_bundle.path))
    monkeypatch.setenv("HUNIQUE_SERVER_THREADS", "1")


@pytest.fixture(autouse=True, scope="session")
def _ctrl_c_reaches_programs() -> Iterator[None]:
    """Programs inherit an ignored SIGINT, which background jobs of a shell have."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture
def short_folder(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder for sockets, whose paths must be short; also where temporary folders go."""
    folder = Path(tempfile.mkdtemp(prefix="hu-", dir="/tmp"))
    monkeypatch.setenv("TMPDIR", str(folder))
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def real_server() -> type[RealServer]:
    """For tests whose servers have other models."""
    return RealServer


@pytest.fixture(scope="session")
def server(tiny_bundle: Bundle) -> Iterator[RealServer]:
    """A server for all tests; leave it as it is."""
    folder = Path(tempfile.mkdtemp(prefix="hu-", dir="/tmp"))
    running = RealServer(tiny_bundle.path, folder)
    running.start()
    yield running
    running.stop()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def own_server(tiny_bundle: Bundle, short_folder: Path) -> Iterator[RealServer]:
    """A server for one test, not yet started."""
    own = RealServer(tiny_bundle.path, short_folder)
    yield own
    own.stop()


@pytest.fixture
def client(server: RealServer) -> Iterator[HuniqueClient]:
    """A client of the server for all tests."""
    with HuniqueClient(server.address) as connected:
        yield connected


@pytest.fixture
def scripted(short_folder: Path) -> Iterator[tuple[ScriptedServer, str]]:
    """A scripted server and its address."""
    script = ScriptedServer()
    grpc_server = grpc.server(ThreadPoolExecutor(4))
    pb_grpc.add_HandFeaturesServicer_to_server(script, grpc_server)
    address = f"unix:{short_folder / 'scripted.sock'}"
    grpc_server.add_insecure_port(address)
    grpc_server.start()
    yield script, address
    grpc_server.stop(0).wait(PATIENCE_S)


def encode_png(pixels: np.ndarray) -> bytes:
    """As PNG."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


@pytest.fixture(scope="session")
def picture(red_square: np.ndarray) -> bytes:
    """A picture on which the tiny model sees one tattoo: x 100 to 179, y 60 to 119."""
    return encode_png(red_square)


@pytest.fixture(scope="session")
def tiny_picture() -> bytes:
    """A picture too small to be assessed."""
    return encode_png(np.full((8, 8, 3), 128, np.uint8))


@pytest.fixture(scope="session")
def pictures() -> list[bytes]:
    """Twelve grey pictures, each of its own width 101, 102, ..."""
    return [encode_png(np.full((64, 101 + i, 3), 128, np.uint8)) for i in range(12)]


@pytest.fixture
def picture_files(pictures: list[bytes], tmp_path: Path) -> list[Path]:
    """The twelve pictures as files 00.png to 11.png of a folder."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    files = [folder / f"{index:02}.png" for index in range(len(pictures))]
    for file, data in zip(files, pictures, strict=True):
        file.write_bytes(data)
    return files


@pytest.fixture
def started() -> Iterator[Callable[..., subprocess.Popen[bytes]]]:
    """Starts programs and ends those that are left."""
    running: list[subprocess.Popen[bytes]] = []

    def start(*command: str, **settings: Any) -> subprocess.Popen[bytes]:
        pipe = subprocess.PIPE
        settings = {"stdin": pipe, "stdout": pipe, "stderr": pipe, **settings}
        running.append(subprocess.Popen(command, start_new_session=True, **settings))
        return running[-1]

    yield start
    for process in running:
        if process.poll() is None:
            process.kill()
        with contextlib.suppress(BrokenPipeError, ValueError):
            process.communicate(timeout=PATIENCE_S)


@pytest.fixture(scope="session")
def command() -> str:
    """The installed command `hunique-client`."""
    return str(Path(sysconfig.get_path("scripts")) / "hunique-client")


@pytest.fixture
def run(command: str) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs the command to its end."""

    def run_command(*arguments: str | Path, stdin: bytes = b"") -> subprocess.CompletedProcess[str]:
        words = [command, *map(str, arguments)]
        ended = subprocess.run(
            words, input=stdin, capture_output=True, timeout=PATIENCE_S, check=False
        )
        out, err = ended.stdout.decode(), ended.stderr.decode()
        assert "Traceback" not in err, err
        return subprocess.CompletedProcess(words, ended.returncode, out, err)

    return run_command


@pytest.fixture
def children_of() -> Callable[[int], list[int]]:
    """Gives the processes that a process has started."""
    if not Path("/proc/self/stat").exists():
        pytest.skip("needs /proc")

    def find(parent_pid: int) -> list[int]:
        found = []
        for entry in Path("/proc").glob("[0-9]*/stat"):
            with contextlib.suppress(OSError):
                fields = entry.read_text().rpartition(")")[2].split()
                if int(fields[1]) == parent_pid:
                    found.append(int(entry.parent.name))
        return found

    return find


@pytest.fixture
def ends() -> Callable[[int], bool]:
    """Waits for a process that is no child of ours; says whether it ended."""
    if not hasattr(os, "pidfd_open"):
        pytest.skip("needs pidfd_open")

    def wait(pid: int) -> bool:
        try:
            handle = os.pidfd_open(pid)
        except ProcessLookupError:
            return True
        try:
            return bool(select.select([handle], [], [], PATIENCE_S)[0])
        finally:
            os.close(handle)

    return wait


@pytest.fixture
def hand(picture: bytes, tmp_path: Path) -> Path:
    """The picture with one tattoo as a file."""
    path = tmp_path / "hand.png"
    path.write_bytes(picture)
    return path


@pytest.fixture
def segment(run: Callable[..., Any], server: Any) -> Callable[..., Any]:
    """Runs `hunique-client segment` with the server for all tests."""
    return lambda *arguments, **more: run("--server", server.address, "segment", *arguments, **more)
