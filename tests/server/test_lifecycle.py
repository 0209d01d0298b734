"""The life of a server, from a bundle to the last answer."""

import asyncio
import json
import shutil
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf.descriptor_pool import DescriptorPool
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import (
    ProtoReflectionDescriptorDatabase,
)

from hunique_models.bundle import Bundle
from hunique_models.engine import FakeEngine
from hunique_models.errors import BundleDigestError, BundleFormatError, EngineRunError
from hunique_proto.v1 import hand_features_pb2 as pb
from hunique_server.config import ConfigError, ServerConfig
from hunique_server.lifecycle import Server

LONG_S = 120.0
SERVICE = "hunique.v1.HandFeatures"
INFERENCE = "inference.GRPCInferenceService"
Code = grpc.StatusCode
Health = health_pb2.HealthCheckResponse
HealthRequest = health_pb2.HealthCheckRequest


def _server(bundle: Bundle | Path, engine: Any = None, *listen: str) -> Server:
    path = bundle if isinstance(bundle, Path) else bundle.path
    config = ServerConfig(
        bundles=(path,), listen=listen or ("127.0.0.1:0",), admin_listen="", drain_s=LONG_S
    )
    return Server(config, engine)


async def _code(call: Any) -> grpc.StatusCode:
    return await asyncio.wait_for(call.code(), LONG_S)


async def test_health_is_told_truly(serve: Any) -> None:
    """The server and its services are SERVING; a service that is not there is NOT_FOUND."""
    served = await serve()
    health = health_pb2_grpc.HealthStub(served.channel)
    for name in ("", SERVICE, INFERENCE):
        assert (await health.Check(HealthRequest(service=name))).status == Health.SERVING
    assert await _code(health.Check(HealthRequest(service="other"))) is Code.NOT_FOUND
    watch = health.Watch(HealthRequest(service="other"))
    assert (await watch.read()).status == Health.SERVICE_UNKNOWN
    watch.cancel()


async def test_every_watcher_hears_of_the_drain(serve: Any) -> None:
    """Watchers are told that it ends, also after another watcher left, and hold nothing up."""
    served = await serve(drain_s=LONG_S)
    health = health_pb2_grpc.HealthStub(served.channel)
    watches = [health.Watch(HealthRequest(service=name)) for name in ("", SERVICE, SERVICE)]
    assert [(await watch.read()).status for watch in watches] == [Health.SERVING] * 3
    watches.pop().cancel()
    stopping = asyncio.create_task(served.server.stop())
    assert [(await watch.read()).status for watch in watches] == [Health.NOT_SERVING] * 2
    await asyncio.wait_for(stopping, LONG_S / 2)


async def test_whoever_asks_what_there_is_holds_nothing_up(serve: Any) -> None:
    """A stream of reflection that is left open ends with the server, not with its drain."""
    served = await serve(drain_s=LONG_S)
    ask = reflection_pb2_grpc.ServerReflectionStub(served.channel).ServerReflectionInfo
    streams = [ask(), ask()]  # the second asks nothing at all
    await streams[0].write(reflection_pb2.ServerReflectionRequest(list_services=""))
    assert (await streams[0].read()).list_services_response.service
    await streams[1].wait_for_connection()
    stopping = asyncio.create_task(served.server.stop())
    assert await _code(streams[0]) is Code.OK
    await asyncio.wait_for(stopping, LONG_S / 2)


async def test_reflection_tells_a_stranger_everything(serve: Any) -> None:
    """A client without our files finds services, methods and the fields of messages."""
    served = await serve()

    def look() -> tuple[list[str], DescriptorPool]:
        with grpc.insecure_channel(served.server.addresses[0]) as channel:
            database = ProtoReflectionDescriptorDatabase(channel)
            pool = DescriptorPool(database)
            pool.FindServiceByName(SERVICE)
            pool.FindServiceByName(INFERENCE)
            return list(database.get_services()), pool

    names, pool = await asyncio.to_thread(look)
    assert {SERVICE, INFERENCE, "grpc.health.v1.Health"} <= set(names)
    service = pool.FindServiceByName(SERVICE)
    assert {m.name for m in service.methods} == {"Segment", "SegmentStream", "DescribeModel"}
    assert "image" in service.methods_by_name["Segment"].input_type.fields_by_name
    assert "ModelInfer" in pool.FindServiceByName(INFERENCE).methods_by_name


async def test_drain_finishes_what_runs_and_takes_nothing_new(
    serve: Any, obedient: Any, red_png: bytes
) -> None:
    """Running calls are answered, also of streams; new ones are UNAVAILABLE; then it ends."""
    served = await serve(obedient, drain_s=LONG_S)
    idle = served.stub.SegmentStream()
    await idle.write(pb.SegmentRequest(image=red_png, request_id="before"))
    assert (await idle.read()).HasField("response")
    obedient.hold()
    running = served.stub.Segment(pb.SegmentRequest(image=red_png))
    stream = served.stub.SegmentStream()
    await stream.write(pb.SegmentRequest(image=red_png, request_id="during"))
    await served.until("hunique_queue_items", 2)
    await obedient.busy()
    stopping = asyncio.create_task(served.server.stop())
    assert await _code(idle) is Code.UNAVAILABLE
    assert "another one" in await idle.details()
    late = served.stub.Segment(pb.SegmentRequest(image=red_png))
    assert await _code(late) is Code.UNAVAILABLE
    assert not stopping.done()
    obedient.free.set()
    assert (await running).findings
    assert (await stream.read()).response.request_id == "during"
    assert await _code(stream) is Code.UNAVAILABLE
    await asyncio.wait_for(stopping, LONG_S)


async def test_drain_has_an_end(serve: Any, obedient: Any, red_png: bytes) -> None:
    """What still runs when the drain's time is over fails with UNAVAILABLE."""
    served = await serve(obedient, drain_s=0.0)
    obedient.hold()
    running = served.stub.Segment(pb.SegmentRequest(image=red_png))
    await obedient.busy()
    stopping = asyncio.create_task(served.server.stop())
    assert await _code(running) is Code.UNAVAILABLE
    obedient.free.set()
    await asyncio.wait_for(stopping, LONG_S)


async def test_socket_of_a_killed_server_is_taken_over(tiny_bundle: Bundle, tmp_path: Path) -> None:
    """A stale Unix socket does not keep a server from starting; at the end none is left."""
    path = tmp_path / "h.sock"
    with socket.socket(socket.AF_UNIX) as stale:
        stale.bind(str(path))
    server = _server(tiny_bundle, None, f"unix:{path}")
    await server.start()
    assert server.addresses == [f"unix:{path}"]
    async with grpc.aio.insecure_channel(server.addresses[0]) as channel:
        answer = await health_pb2_grpc.HealthStub(channel).Check(HealthRequest())
    assert answer.status == Health.SERVING
    await server.stop()
    assert not path.exists()


async def test_nothing_of_others_is_taken(tiny_bundle: Bundle, tmp_path: Path) -> None:
    """A port or socket in use, or a file in the way, is an error that names it, and stays."""
    path, file = tmp_path / "h.sock", tmp_path / "notes.txt"
    file.write_text("mine", encoding="utf-8")
    first = _server(tiny_bundle, None, "127.0.0.1:0", f"unix:{path}")
    await first.start()
    try:
        for address in (*first.addresses, f"unix:{file}"):
            second = _server(tiny_bundle, None, "127.0.0.1:0", address)
            with pytest.raises(ConfigError, match=f"cannot listen on {address}"):
                await second.start()
        assert path.is_socket()
        async with grpc.aio.insecure_channel(f"unix:{path}") as channel:
            assert (await health_pb2_grpc.HealthStub(channel).Check(HealthRequest())).status
    finally:
        await first.stop()
    assert file.read_text(encoding="utf-8") == "mine"


async def test_sockets_that_cannot_be_are_explained(tiny_bundle: Bundle, tmp_path: Path) -> None:
    """No such folder, a name too long, an address of another machine: each is said as it is."""
    for address, said in (
        (f"unix:{tmp_path}/none/h.sock", "there is no folder"),
        (f"unix:{tmp_path}/{'b' * 110}.sock", "at most 107 bytes"),
    ):
        with pytest.raises(ConfigError, match=said):
            await _server(tiny_bundle, None, "127.0.0.1:0", address).start()


def _change_model(folder: Path) -> None:
    model = folder / "model.onnx"
    model.write_bytes(model.read_bytes()[:-1] + b"\0")


def _change_threshold(folder: Path) -> None:
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    manifest["classes"] = "all"
    (folder / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")


@pytest.mark.parametrize(
    ("damage", "error"),
    [
        (_change_model, BundleDigestError),
        (lambda folder: (folder / "model.onnx").unlink(), BundleDigestError),
        (lambda folder: (folder / "notes.txt").write_text("x"), BundleDigestError),
        (_change_threshold, BundleFormatError),
        (shutil.rmtree, BundleFormatError),
    ],
    ids=["changed", "incomplete", "stranger", "manifest", "absent"],
)
async def test_broken_bundle_is_never_served(
    tiny_bundle: Bundle, tmp_path: Path, damage: Callable[[Path], None], error: type[Exception]
) -> None:
    """A bundle that is not what was signed for stops the start, and nothing listens."""
    folder = shutil.copytree(tiny_bundle.path, tmp_path / "bundle")
    damage(folder)
    server = _server(folder)
    with pytest.raises(error):
        await server.start()
    assert not server.addresses


async def test_engine_that_computes_something_else_is_never_served(tiny_bundle: Bundle) -> None:
    """An engine without the bundle's known answer stops the start, and is closed."""
    engine = FakeEngine()
    server = _server(tiny_bundle, engine)
    with pytest.raises(EngineRunError, match="Self-test failed on"):
        await server.start()
    assert engine.closed
    assert not server.addresses
