"""A server of one's own, for the time of one client.

It listens on a Unix socket in a folder that only this user may enter, and ends with its
client however that ends: it watches its standard input, whose other end closes with us.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import time
import weakref
from importlib.util import find_spec
from pathlib import Path

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from hunique_client.errors import ServerUnavailableError

START_S = 60.0
"""How long a private server may take to become ready."""
END_S = 10.0
"""How long it may take to end before it is killed."""
_IMPATIENT = (
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 200),
)
# what is for a server of many: where it listens, who may call, what is kept of it
_NOT_INHERITED = tuple(
    f"HUNIQUE_SERVER_{name}"
    for name in ("LISTEN", "ADMIN_LISTEN", "TLS_", "TOKENS", "OIDC_", "QUOTA_", "AUDIT_", "TRACES")
)


class PrivateServer:
    """Starts a server and waits until it serves.

    One that is forgotten ends when it is garbage or when the interpreter ends.

    Args:
        command: program to start, without the flags set here; None: the installed server.
        start_s: how long it may take.

    Raises:
        ServerUnavailableError: it is not installed, or did not become ready.
    """

    def __init__(self, command: list[str] | None = None, start_s: float = START_S) -> None:
        if command is None and find_spec("onnxruntime") is None:
            raise ServerUnavailableError(
                "no server is named and none can be started here: "
                "pip install 'hunique[server]', or name one with --server or HUNIQUE_SERVER"
            )
        folder = Path(tempfile.mkdtemp(prefix="hunique-"))
        self.address = f"unix:{folder / 'hunique.sock'}"
        """What a channel connects to."""
        self._log = folder / "server.log"
        try:
            self._process = self._start(command or [sys.executable, "-m", "hunique_server"])
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        self._end = weakref.finalize(self, _end, self._process, folder, os.getpid())
        try:
            self._wait_until_ready(time.monotonic() + start_s)
        except BaseException:
            self.close()
            raise

    def _start(self, command: list[str]) -> subprocess.Popen[bytes]:
        flags = ["--listen", self.address, "--admin-listen", "", "--exit-with-parent"]
        with self._log.open("wb") as log:
            return subprocess.Popen(  # noqa: S603 - our own program
                [*command, *flags],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                # Ctrl-C is for the client, which then ends its server in good order
                start_new_session=True,
                env=_environment(),
            )

    def _wait_until_ready(self, end_s: float) -> None:
        with grpc.insecure_channel(self.address, options=_IMPATIENT) as channel:
            stub = health_pb2_grpc.HealthStub(channel)
            while time.monotonic() < end_s:
                if self._process.poll() is not None:
                    raise ServerUnavailableError(
                        f"the private server ended with code {self._process.returncode}: "
                        f"{self._last_words()}"
                    )
                if _serves(stub):
                    return
        raise ServerUnavailableError(
            f"the private server was not ready in time: {self._last_words()}"
        )

    def _last_words(self) -> str:
        lines = self._log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        return " | ".join(lines[-3:]) or "it said nothing"

    @property
    def pid(self) -> int:
        """Of the server's process."""
        return self._process.pid

    def close(self) -> None:
        """End the server and remove its folder. May be called again."""
        self._end()


def _end(process: subprocess.Popen[bytes], folder: Path, owner_pid: int) -> None:
    """End the server, by force if need be; a fork of its owner leaves it alone."""
    if os.getpid() != owner_pid:
        return
    try:
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(END_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
    finally:
        if process.stdin is not None:
            process.stdin.close()
        shutil.rmtree(folder, ignore_errors=True)


def _environment() -> dict[str, str]:
    """What the server inherits of ours."""
    kept = {
        name: value for name, value in os.environ.items() if not name.startswith(_NOT_INHERITED)
    }
    # ONNX Runtime reports to its makers in newer versions, unless told not to before it loads
    return {**kept, "ORT_DISABLE_TELEMETRY": "1"}


def _serves(stub: health_pb2_grpc.HealthStub) -> bool:
    """Ask once; waits for a connection for at most a moment."""
    try:
        answer = stub.Check(health_pb2.HealthCheckRequest(), timeout=0.5, wait_for_ready=True)
    except grpc.RpcError:
        return False
    return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)
