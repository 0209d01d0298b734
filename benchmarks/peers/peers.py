"""The servers that are compared: how each is started and asked."""

import json
import shutil
import socket
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path

from environments import pinned
from private_server import server_command

SERVED = Path(__file__).parent / "served"
TIMEOUT_MS = 600_000
TRITON_MODEL = """name: "segment"
backend: "python"
max_batch_size: 0
input [{{ name: "PICTURE" data_type: TYPE_STRING dims: [1] }}]
output [{{ name: "ANSWER" data_type: TYPE_STRING dims: [1] }}]
instance_group [{{ kind: KIND_CPU count: {workers} }}]
"""


@dataclass(frozen=True, kw_only=True)
class Layout:
    """How the cores are shared out."""

    workers: int
    """Processes or instances side by side, each with its own session."""
    threads: int
    """Threads of each session."""

    def __str__(self) -> str:
        """As rows have it."""
        threads = "1 thread" if self.threads == 1 else f"{self.threads} threads"
        return f"{self.workers} x {threads}"


@dataclass(frozen=True, kw_only=True)
class Start:
    """What a peer is started with."""

    bundle_path: Path
    venv: Path
    folder: Path
    """Its own, empty; gone when it has ended."""
    port: int
    layout: Layout

    @property
    def python(self) -> str:
        """The interpreter of its environment."""
        return str(self.venv / "bin" / "python")


@dataclass(frozen=True, kw_only=True)
class Peer:
    """One server."""

    name: str
    distribution: str
    """Whose version rows name."""
    call: str
    """How `load.py` asks it."""
    path: str
    """Where, or for which model."""
    command: Callable[[Start], list[str]]
    """Writes what it needs into the folder and says how it is started."""
    variables: dict[str, str] = field(default_factory=dict)
    """Usage reports are off in all of them."""

    @property
    def version(self) -> str:
        """Distribution and version."""
        if self.name == "hunique":
            return f"hunique {version('hunique')}"
        return pinned(self.name, self.distribution)


def free_port() -> int:
    """A port of the loopback interface that nobody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def _hunique(start: Start) -> list[str]:
    return server_command(start.bundle_path, f"127.0.0.1:{start.port}")


def _triton(start: Start) -> list[str]:
    packages = next(start.venv.glob("lib/python*/site-packages"))
    home = packages / "pytriton" / "tritonserver"
    model, backends = start.folder / "models" / "segment", start.folder / "backends"
    (model / "1").mkdir(parents=True)
    shutil.copy(SERVED / "triton_model.py", model / "1" / "model.py")
    (model / "config.pbtxt").write_text(TRITON_MODEL.format(workers=start.layout.workers))
    shutil.copytree(home / "backends", backends)
    stub = f"{sys.version_info.major}.{sys.version_info.minor}/triton_python_backend_stub"
    shutil.copy(home / "python_backend_stubs" / stub, backends / "python")
    libraries = f"LD_LIBRARY_PATH={packages / 'nvidia_pytriton.libs'}"
    command = ["env", libraries, str(home / "bin" / "tritonserver")]
    command += [f"--model-repository={model.parent}", f"--backend-directory={backends}"]
    command += ["--allow-http=false", "--allow-metrics=false", "--grpc-address=127.0.0.1"]
    return [
        *command,
        f"--grpc-port={start.port}",
        "--log-info=false",
        "--disable-auto-complete-config",
    ]


def _mosec(start: Start) -> list[str]:
    command = [start.python, str(SERVED / "mosec_peer.py"), "--address", "127.0.0.1"]
    command += ["--port", str(start.port), "--path", str(start.folder / "sockets")]
    return [*command, "--timeout", str(TIMEOUT_MS), "--log-level", "warning"]


def _bentoml(start: Start) -> list[str]:
    command = ["env", f"BENTOML_HOME={start.folder}", str(start.venv / "bin" / "bentoml"), "serve"]
    command += ["bentoml_peer:Segmenter", "--working-dir", str(SERVED)]
    return [*command, "--host", "127.0.0.1", "--port", str(start.port)]


def _litserve(start: Start) -> list[str]:
    return [start.python, str(SERVED / "litserve_peer.py"), str(start.port)]


def _mlserver(start: Start) -> list[str]:
    settings = {
        "debug": False,
        "host": "127.0.0.1",
        "grpc_port": start.port,
        "http_port": free_port(),
        "metrics_endpoint": None,
        "metrics_dir": str(start.folder),
        "parallel_workers": start.layout.workers,
        "grpc_max_message_length": 64 << 20,
    }
    model = {"name": "segment", "implementation": "mlserver_peer.Segmenter"}
    (start.folder / "settings.json").write_text(json.dumps(settings))
    (start.folder / "model-settings.json").write_text(json.dumps(model))
    return [str(start.venv / "bin" / "mlserver"), "start", str(start.folder)]


def _ray(start: Start) -> list[str]:
    return [start.python, str(SERVED / "ray_peer.py"), str(start.port), str(start.folder)]


PEERS = (
    Peer(name="hunique", distribution="hunique", call="hunique", path="", command=_hunique),
    Peer(name="triton", distribution="nvidia-pytriton", call="oip", path="segment",
         command=_triton),
    Peer(name="mosec", distribution="mosec", call="http", path="/inference", command=_mosec),
    Peer(name="bentoml", distribution="bentoml", call="http-form", path="/segment",
         command=_bentoml, variables={"BENTOML_DO_NOT_TRACK": "true"}),
    Peer(name="litserve", distribution="litserve", call="http-form", path="/predict",
         command=_litserve),
    Peer(name="mlserver", distribution="mlserver", call="oip", path="segment", command=_mlserver),
    Peer(name="ray", distribution="ray", call="http", path="/segment", command=_ray,
         variables={"RAY_USAGE_STATS_ENABLED": "0", "RAY_DISABLE_IMPORT_WARNING": "1"}),
)  # fmt: skip
"""In the order in which they are measured."""
