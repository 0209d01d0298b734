"""The life of a server: open, prove, serve, drain, end.

Ready means: the digests of all bundles that it begins with held, and their engines passed the
self-test. At the end: NOT_SERVING, no new calls, running ones finish within the drain time, the rest
fail with UNAVAILABLE.
"""

import asyncio
import contextlib
import itertools
import logging
import os
import signal
import socket
from pathlib import Path
from threading import Thread

import grpc
from grpc_health.v1 import health_pb2_grpc

from hunique_models.engine import Engine
from hunique_proto.inference import open_inference_pb2_grpc as oip_grpc
from hunique_proto.v1 import hand_features_pb2_grpc as pb_grpc
from hunique_server.admin import AdminServer
from hunique_server.config import ConfigError, ServerConfig, is_unix
from hunique_server.guards import Guards
from hunique_server.health import SERVICE_NAME as HEALTH_NAME
from hunique_server.health import Health
from hunique_server.metrics import Metrics
from hunique_server.oip_service import SERVICE_NAME as OIP_NAME
from hunique_server.oip_service import OpenInference
from hunique_server.premises import Premises
from hunique_server.reflection import Reflection
from hunique_server.repository import ModelRepository
from hunique_server.served_models import ServedModels
from hunique_server.service import SERVICE_NAME, HandFeatures

logger = logging.getLogger(__name__)

_MESSAGE_OVERHEAD_BYTES = 64 * 1024
_AFTER_DRAIN_S = 5.0
"""Kubernetes' grace period in the chart is longer than the drain by more than that."""
_STDIN = 0
_MOST_SOCKET_BYTES = 107


class Server:
    """One server.

    Args:
        config: what was chosen.
        engine: runs the first bundle; None opens the one that the configuration names.
    """

    def __init__(self, config: ServerConfig, engine: Engine | None = None) -> None:
        self.config = config
        self.metrics = Metrics()
        self.addresses: list[str] = []
        """What the gRPC service listens on, once started."""
        self.admin: AdminServer | None = None
        self.models = ServedModels(self.metrics)
        """What is served."""
        self._given_engine = engine
        self._health = Health(SERVICE_NAME, OIP_NAME)
        self._reflection = Reflection(SERVICE_NAME, OIP_NAME, HEALTH_NAME)
        self._ready = False
        self._undo = contextlib.AsyncExitStack()

    async def start(self) -> None:
        """Open and prove the models, then listen.

        Raises:
            BundleError: a bundle does not open.
            EngineError: an engine is not there or fails its self-test.
            ConfigError: there is nothing to serve, an address cannot be listened on, or decoder
                processes do not start.
        """
        try:
            await self._start()
        except BaseException:
            await self._undo.aclose()
            raise

    async def _start(self) -> None:
        if self.config.admin_listen:
            self._start_admin()
        premises = Premises(self.config, self.metrics)
        self._undo.push_async_callback(premises.close)
        await premises.start()
        repository = ModelRepository(self.config, premises, self.models)
        self._undo.push_async_callback(repository.close)
        await repository.start(self._given_engine)
        features = HandFeatures(self.models, self.metrics)
        inference = OpenInference(self.models, repository, self.metrics, lambda: self._ready)
        guards = Guards(self.config, self.metrics, lambda: self.models.catalogue.find().sha256)
        self._undo.push_async_callback(asyncio.to_thread, guards.close)
        server = self._build_server(features, inference, guards)
        for address in self.config.listen:
            self._bind(server, address, guards)
        await server.start()
        self._undo.push_async_callback(server.stop, self.config.drain_s)
        self._undo.callback(features.drain)
        self._undo.callback(inference.drain)
        self._health.serve()
        self._ready = True

    def _build_server(
        self, features: HandFeatures, inference: OpenInference, guards: Guards
    ) -> grpc.aio.Server:
        server = grpc.aio.server(
            interceptors=(guards.door,),
            options=[
                ("grpc.max_receive_message_length",
                 self.config.max_image_bytes + _MESSAGE_OVERHEAD_BYTES),
                ("grpc.max_send_message_length", -1),
                ("grpc.so_reuseport", 0),
            ],
        )  # fmt: skip
        pb_grpc.add_HandFeaturesServicer_to_server(features, server)
        oip_grpc.add_GRPCInferenceServiceServicer_to_server(inference, server)
        health_pb2_grpc.add_HealthServicer_to_server(self._health, server)
        if self.config.security.reflection != "off":
            self._reflection.register(server)
        return server

    def _bind(self, server: grpc.aio.Server, address: str, guards: Guards) -> None:
        path = Path(address.removeprefix("unix:")) if is_unix(address) else None
        if path is not None:
            _refuse_impossible_socket(path)
            _refuse_socket_in_use(path)
        try:
            port = guards.listen(server, address)
        except RuntimeError as error:
            raise ConfigError(
                f"cannot listen on {address}: it is in use, or no address of this machine"
            ) from error
        if path is not None:
            self._undo.callback(path.unlink, missing_ok=True)
            self.addresses.append(address)
        else:
            self.addresses.append(f"{address.rpartition(':')[0]}:{port}")

    def _start_admin(self) -> None:
        try:
            self.admin = AdminServer(
                self.config.admin_listen, self.metrics.registry, lambda: self._ready
            )
        except OSError as error:
            raise ConfigError(
                f"cannot listen on {self.config.admin_listen} for metrics: {error.strerror}. "
                "Choose another --admin-listen, or 'none'."
            ) from error
        self.admin.start()
        self._undo.callback(self.admin.close)

    async def stop(self) -> None:
        """Drain and end. May be called again."""
        self._ready = False
        self._health.end()
        self._reflection.end()
        await self._undo.aclose()


async def serve(config: ServerConfig) -> None:
    """Serve until SIGTERM, SIGINT, or, for a private server, the end of standard input.

    A second signal ends at once.
    """
    ending = asyncio.Event()
    loop = asyncio.get_running_loop()
    signals = itertools.count()

    def end() -> None:
        if next(signals):
            os._exit(1)
        ending.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, end)
    if config.exit_with_parent:
        _watch_parent(loop, ending)
    server = Server(config)
    await _start_unless(ending, server)
    logger.info("hunique-server ready on %s", ", ".join(server.addresses))
    if server.admin is not None:
        logger.info("metrics on http://%s/metrics", server.admin.address)
    await ending.wait()
    logger.info("draining for at most %g s", config.drain_s)
    await _stop_in_time(server)
    logger.info("hunique-server ended")


async def _start_unless(ending: asyncio.Event, server: Server) -> None:
    """Start a server; end the process where it is to end before that is done.

    A model that is being loaded cannot be called back, and nobody waits for it any more.
    """
    starting = asyncio.ensure_future(server.start())
    told = asyncio.ensure_future(ending.wait())
    await asyncio.wait((starting, told), return_when=asyncio.FIRST_COMPLETED)
    told.cancel()
    if not starting.done():
        starting.cancel()
        await asyncio.wait((starting,))
        logger.info("hunique-server ended before it was ready")
        _leave()
    await starting


async def _stop_in_time(server: Server) -> None:
    """Drain and end; end the process where something goes on long after the drain.

    That is a model that an administrator has loaded: calls are answered and written down before.
    """
    stopping = asyncio.ensure_future(server.stop())
    await asyncio.wait((stopping,), timeout=server.config.drain_s + _AFTER_DRAIN_S)
    if not stopping.done():
        logger.warning("what still goes on, such as the loading of a model, is not waited for")
        _leave()
    await stopping


def _leave() -> None:
    """End the process at once, though threads of it still work."""
    logging.shutdown()
    os._exit(0)


def _watch_parent(loop: asyncio.AbstractEventLoop, ending: asyncio.Event) -> None:
    """End when standard input closes, which it does however the parent ends."""

    def watch() -> None:
        # not sys.stdin: a thread that reads it keeps the interpreter from ending
        with contextlib.suppress(OSError):
            while os.read(_STDIN, 1024):
                pass
        with contextlib.suppress(RuntimeError):  # the loop may have ended first
            loop.call_soon_threadsafe(ending.set)

    Thread(target=watch, name="parent", daemon=True).start()


def _refuse_impossible_socket(path: Path) -> None:
    """Name what the system would only refuse.

    Raises:
        ConfigError: there is no such folder, or the name is too long for a socket.
    """
    if len(os.fsencode(path)) > _MOST_SOCKET_BYTES:
        raise ConfigError(
            f"cannot listen on unix:{path}: a socket's path has at most {_MOST_SOCKET_BYTES} bytes; "
            "choose a shorter one (that of a private server lies in TMPDIR)"
        )
    if not path.absolute().parent.is_dir():
        raise ConfigError(f"cannot listen on unix:{path}: there is no folder {path.parent}")


def _refuse_socket_in_use(path: Path) -> None:
    """Leave others theirs: gRPC itself takes over any socket, not only stale ones.

    Raises:
        ConfigError: somebody listens on it, or would not say.
    """
    with socket.socket(socket.AF_UNIX) as probe, contextlib.suppress(OSError):
        probe.settimeout(1.0)
        try:
            probe.connect(str(path))
        except (ConnectionRefusedError, FileNotFoundError):
            return
    raise ConfigError(f"cannot listen on unix:{path}: it is in use")
