"""The life of a server: open, prove, serve, drain, end.

Ready means: the bundle's digests held, the engine ran, and it gave the known answer. At
the end: NOT_SERVING, no new calls, running ones finish within the drain time, the rest
fail with UNAVAILABLE.
"""

import asyncio
import contextlib
import logging
import os
import platform
import signal
import stat
import sys
from importlib.metadata import version
from pathlib import Path
from threading import Thread

import cv2
import grpc
import numpy as np
import PIL
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from hunique_models.bundle import Bundle
from hunique_models.engine import Engine, open_engine
from hunique_models.known_answer import check_known_answer
from hunique_proto.v1 import hand_features_pb2 as pb
from hunique_proto.v1 import hand_features_pb2_grpc as pb_grpc
from hunique_server.admin import AdminServer
from hunique_server.config import ConfigError, ServerConfig
from hunique_server.metrics import Metrics
from hunique_server.segmenter import Segmenter
from hunique_server.service import SERVICE_NAME, HandFeatures

logger = logging.getLogger(__name__)

_MESSAGE_OVERHEAD_BYTES = 64 * 1024


class Server:
    """One server of one bundle.

    Args:
        config: what was chosen.
        engine: runs the bundle; None opens the one that the configuration names.
    """

    def __init__(self, config: ServerConfig, engine: Engine | None = None) -> None:
        self.config = config
        self.metrics = Metrics()
        self.addresses: list[str] = []
        """What the gRPC service listens on, once started."""
        self.admin: AdminServer | None = None
        self._given_engine = engine
        self._health = health.aio.HealthServicer()  # type: ignore[attr-defined]
        self._ready = False

    async def start(self) -> None:
        """Open and prove the model, then listen.

        Raises:
            BundleError: the bundle does not open.
            EngineError: the engine is not there or does not give the known answer.
            ConfigError: an address cannot be listened on.
        """
        bundle = Bundle.open(self.config.bundle)
        self._engine = self._given_engine or open_engine(
            bundle, self.config.device, self.config.threads
        )
        await asyncio.to_thread(self._prove, bundle)
        model = _identity(bundle, self._engine)
        self._segmenter = Segmenter(self.config, bundle, self._engine, model, self.metrics)
        self._segmenter.start()
        self.metrics.model_info.info(
            {"name": model.name, "version": model.version, "sha256": model.sha256,
             "engine": model.engine}
        )  # fmt: skip
        self._server = self._build_server()
        for address in self.config.listen:
            self.addresses.append(self._bind(address))
        await self._server.start()
        if self.config.admin_listen:
            self._start_admin()
        await self._set_health(health_pb2.HealthCheckResponse.SERVING)
        self._ready = True

    def _prove(self, bundle: Bundle) -> None:
        self._engine.warm_up()
        check_known_answer(bundle.manifest, self._engine)

    def _build_server(self) -> grpc.aio.Server:
        server = grpc.aio.server(
            options=[
                ("grpc.max_receive_message_length",
                 self.config.max_image_bytes + _MESSAGE_OVERHEAD_BYTES),
                ("grpc.max_send_message_length", -1),
                ("grpc.so_reuseport", 0),
            ]
        )  # fmt: skip
        features = HandFeatures(self._segmenter, self.metrics)
        pb_grpc.add_HandFeaturesServicer_to_server(features, server)
        health_pb2_grpc.add_HealthServicer_to_server(self._health, server)
        names = (SERVICE_NAME, health.SERVICE_NAME, reflection.SERVICE_NAME)
        reflection.enable_server_reflection(names, server)
        return server

    def _bind(self, address: str) -> str:
        path = Path(address.removeprefix("unix:")) if address.startswith("unix:") else None
        if path is not None:
            _remove_stale_socket(path)
        try:
            port = self._server.add_insecure_port(address)
        except RuntimeError as error:
            raise ConfigError(f"cannot listen on {address}: is it in use?") from error
        if path is not None:
            return address
        return f"{address.rpartition(':')[0]}:{port}"

    def _start_admin(self) -> None:
        try:
            self.admin = AdminServer(
                self.config.admin_listen, self.metrics.registry, lambda: self._ready
            )
        except OSError as error:
            raise ConfigError(
                f"cannot listen on {self.config.admin_listen} for metrics: {error.strerror}. "
                "Choose another --admin-listen, or '' for none."
            ) from error
        self.admin.start()

    async def _set_health(self, status: "health_pb2.HealthCheckResponse.ServingStatus") -> None:
        for name in ("", SERVICE_NAME):
            await self._health.set(name, status)

    async def stop(self) -> None:
        """Drain and end."""
        self._ready = False
        await self._set_health(health_pb2.HealthCheckResponse.NOT_SERVING)
        await self._server.stop(self.config.drain_s)
        await self._segmenter.close()
        if self.admin is not None:
            self.admin.close()
        self._engine.close()
        for address in self.addresses:
            if address.startswith("unix:"):
                Path(address.removeprefix("unix:")).unlink(missing_ok=True)


async def serve(config: ServerConfig) -> None:
    """Serve until SIGTERM, SIGINT, or, for a private server, the end of standard input.

    A second signal ends at once.
    """
    ending = asyncio.Event()
    loop = asyncio.get_running_loop()

    def end() -> None:
        if ending.is_set():
            os._exit(1)
        ending.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, end)
    if config.exit_with_parent:
        _watch_parent(loop, ending)
    server = Server(config)
    await server.start()
    logger.info("hunique-server ready on %s", ", ".join(server.addresses))
    if server.admin is not None:
        logger.info("metrics on http://%s/metrics", server.admin.address)
    await ending.wait()
    logger.info("draining for at most %g s", config.drain_s)
    await server.stop()
    logger.info("hunique-server ended")


def _watch_parent(loop: asyncio.AbstractEventLoop, ending: asyncio.Event) -> None:
    """End when standard input closes, which it does however the parent ends."""

    def watch() -> None:
        with contextlib.suppress(OSError, ValueError):
            while sys.stdin.buffer.read(1):
                pass
        with contextlib.suppress(RuntimeError):  # the loop may have ended first
            loop.call_soon_threadsafe(ending.set)

    Thread(target=watch, name="parent", daemon=True).start()


def _remove_stale_socket(path: Path) -> None:
    """A server that was killed leaves its socket behind."""
    if path.exists() and stat.S_ISSOCK(path.stat().st_mode):
        path.unlink()


def _identity(bundle: Bundle, engine: Engine) -> pb.ModelIdentity:
    info = engine.describe()
    return pb.ModelIdentity(
        name=bundle.manifest.name,
        version=bundle.manifest.version,
        sha256=bundle.sha256,
        engine=info.name,
        runtime_versions={
            "hunique": version("hunique"),
            "python": platform.python_version(),
            "numpy": np.__version__,
            "opencv": cv2.__version__,
            "pillow": PIL.__version__,
            "grpcio": grpc.__version__,
            **info.runtime_versions,
        },
    )
