"""A served tiny bundle, in this process or in one of its own, and an engine that obeys."""

import asyncio
import io
import subprocess
import sys
import weakref
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Event, Timer
from typing import Any

import grpc
import numpy as np
import pytest
from doubling import Doubler, Numbers, layout_of
from PIL import Image
from repository_writing import Shelf

from hunique_models.bundle import Bundle
from hunique_models.engine import EngineInfo, EngineOutput, open_engine
from hunique_proto.v1 import hand_features_pb2 as pb
from hunique_proto.v1 import hand_features_pb2_grpc as pb_grpc
from hunique_server import engines as engines_module
from hunique_server.batcher import Batcher
from hunique_server.config import ServerConfig
from hunique_server.lifecycle import Server

LONG_S = 120.0
"""Nothing here takes so long; a test that waits longer has failed."""
POISON_VALUE = 13
"""A picture of nothing but this value makes `ObedientEngine` raise."""
UNLIMITED = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]


class ObedientEngine:
    """The tiny bundle's own engine, which can be held back, and which poison makes fail."""

    def __init__(self, bundle: Bundle) -> None:
        self._engine = open_engine(bundle)
        self.batches: list[int] = []
        self.closed = False
        self.free = Event()
        self.entered = Event()
        self.free.set()

    def hold(self) -> None:
        """From now on runs wait until `free` is set."""
        self.entered.clear()
        self.free.clear()
        self.batches.clear()

    async def busy(self) -> None:
        """Wait until a run has begun."""
        assert await asyncio.to_thread(self.entered.wait, LONG_S)

    def describe(self) -> EngineInfo:
        """As the real one says."""
        return self._engine.describe()

    def run(self, images: np.ndarray) -> EngineOutput:
        """Run, once free."""
        self.batches.append(len(images))
        self.entered.set()
        assert self.free.wait(LONG_S)
        if (images == POISON_VALUE).all(axis=(1, 2, 3)).any():
            raise RuntimeError("this look is poison")
        return self._engine.run(images)

    def warm_up(self) -> None:
        """Be ready, once free."""
        assert self.free.wait(LONG_S)

    def close(self) -> None:
        """Close the real one."""
        self.closed = True
        self._engine.close()


@dataclass
class Served:
    """A server of this process and a channel to it."""

    server: Server
    channel: grpc.aio.Channel

    @property
    def stub(self) -> Any:
        """Calls the service."""
        return pb_grpc.HandFeaturesStub(self.channel)

    def sample(self, name: str, **labels: str) -> float:
        """A metric's value now; 0 where it has none."""
        return self.server.metrics.registry.get_sample_value(name, labels) or 0.0

    async def until(self, name: str, value: float, **labels: str) -> None:
        """Let everything else run until a metric has a value."""
        async with asyncio.timeout(LONG_S):
            while self.sample(name, **labels) != value:
                await asyncio.sleep(0)  # waits for no time: gives way to the others


Serve = Callable[..., Awaitable[Served]]
Encode = Callable[..., bytes]


@pytest.fixture
def obedient(tiny_bundle: Bundle) -> Iterator[ObedientEngine]:
    """An engine to hold back and to poison."""
    engine = ObedientEngine(tiny_bundle)
    yield engine
    engine.free.set()


@pytest.fixture
async def serve(tiny_bundle: Bundle) -> AsyncIterator[Serve]:
    """Start servers on free ports of this machine; all end with the test."""
    async with AsyncExitStack() as stack:

        async def start(engine: ObedientEngine | None = None, **choices: Any) -> Served:
            defaults = {
                "bundles": (tiny_bundle.path,),
                "listen": ("127.0.0.1:0",),
                "admin_listen": "",
            }
            server = Server(ServerConfig(**{**defaults, **choices}), engine)
            await server.start()
            stack.push_async_callback(server.stop)
            channel = grpc.aio.insecure_channel(server.addresses[0], options=UNLIMITED)
            await stack.enter_async_context(channel)
            return Served(server, channel)

        yield start


@pytest.fixture(scope="session")
def encode() -> Encode:
    """Encode (H, W, 3) pixels, or an image, as a file of any format."""

    def encoded(picture: np.ndarray | Image.Image, form: str = "PNG", **options: Any) -> bytes:
        image = picture if isinstance(picture, Image.Image) else Image.fromarray(picture)
        stream = io.BytesIO()
        image.save(stream, form, **options)
        return stream.getvalue()

    return encoded


@pytest.fixture(scope="session")
def red_png(encode: Encode, red_square: np.ndarray) -> bytes:
    """The red square as PNG: a tattoo to the tiny bundle."""
    return encode(red_square)


@pytest.fixture(scope="session")
def small_png(encode: Encode) -> bytes:
    """A picture of one look, with something to find."""
    pixels = np.full((64, 64, 3), 128, np.uint8)
    pixels[10:40, 20:50] = (0, 255, 0)
    return encode(pixels)


@pytest.fixture(scope="session")
def poison_png(encode: Encode) -> bytes:
    """A picture on which `ObedientEngine` raises."""
    return encode(np.full((64, 64, 3), POISON_VALUE, np.uint8))


@pytest.fixture(scope="session")
def untimed() -> Callable[[pb.SegmentResponse], bytes]:
    """An answer as bytes, without what differs from run to run: its durations."""

    def without_timings(response: pb.SegmentResponse) -> bytes:
        copy = pb.SegmentResponse()
        copy.CopyFrom(response)
        assert copy.provenance.timings.total_ns > 0
        copy.provenance.ClearField("timings")
        return copy.SerializeToString(deterministic=True)

    return without_timings


@contextmanager
def _server_process(
    bundle: Path, socket: Path, *flags: str
) -> Iterator[tuple[subprocess.Popen[str], str]]:
    address = f"unix:{socket}"
    process = subprocess.Popen(
        [sys.executable, "-m", "hunique_server", "--bundle", str(bundle), "--threads", "1",
         "--listen", address, "--admin-listen", "", *flags],
        stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stderr is not None
    last_resort = Timer(LONG_S, process.kill)
    last_resort.start()
    try:
        said = []
        for line in process.stderr:
            said.append(line)
            if "ready on" in line:
                break
        else:
            pytest.fail(f"the server ended: {''.join(said)}")
        last_resort.cancel()
        yield process, address
    finally:
        last_resort.cancel()
        process.kill()
        process.communicate()


@pytest.fixture(scope="session")
def server_process() -> Callable[..., Any]:
    """Start `hunique-server` as users do: a context of the process, once ready, and its address."""
    return _server_process


@pytest.fixture
def doubler() -> Doubler:
    """The engine; free unless a test holds it."""
    doubler = Doubler()
    doubler.free.set()
    return doubler


@pytest.fixture
async def batcher(doubler: Doubler) -> AsyncIterator[Numbers]:
    """A batcher that runs."""
    with ThreadPoolExecutor(1) as executor:
        batcher: Numbers = Batcher(layout_of(doubler), executor)
        batcher.start()
        yield batcher
        doubler.free.set()
        await batcher.close()


@pytest.fixture
def shelf(tmp_path: Path, tiny_bundle: Bundle) -> Shelf:
    """A model repository, still empty."""
    return Shelf(tmp_path / "models", tiny_bundle)


class Held:
    """Engines as a server opens them, the opening of some of them held back."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.sessions: list[weakref.ref[Any]] = []
        """Those of ONNX Runtime that were opened, as long as anybody keeps them."""
        self._events: dict[str, tuple[Event, Event]] = {}
        monkeypatch.setattr(engines_module, "open_engine", self._open)

    def hold(self, version: str) -> tuple[Event, Event]:
        """Hold a version's engine back: events of its opening, and to let it go on."""
        return self._events.setdefault(version, (Event(), Event()))

    def let_all_go(self) -> None:
        """Hold nothing back any longer."""
        for _, go_on in self._events.values():
            go_on.set()

    def _open(self, bundle: Bundle, *rest: Any) -> Any:
        if bundle.manifest.version in self._events:
            begun, go_on = self._events[bundle.manifest.version]
            begun.set()
            assert go_on.wait(LONG_S)
        engine: Any = open_engine(bundle, *rest)
        self.sessions.append(weakref.ref(engine._session))
        return engine


@pytest.fixture
def held(monkeypatch: pytest.MonkeyPatch) -> Iterator[Held]:
    """Watches engines, and holds those back that a test names."""
    held = Held(monkeypatch)
    yield held
    held.let_all_go()
