"""A hunique-server of our own, for as long as it is measured."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc


def server_command(bundle_path: Path, address: str) -> list[str]:
    """How it is started, with its defaults for everything that is measured."""
    command = [sys.executable, "-m", "hunique_server", "--bundle", str(bundle_path)]
    return [*command, "--listen", address, "--admin-listen", "", "--log-level", "warning"]


@contextmanager
def private_server(bundle_path: Path, folder: Path) -> Iterator[tuple[str, int]]:
    """Start one on a Unix socket: its address, once it says SERVING, and its process id."""
    address = f"unix:{folder / 'server.sock'}"
    process = subprocess.Popen(server_command(bundle_path, address))  # noqa: S603 - our own server
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
