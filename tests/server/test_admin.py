import asyncio
import http.client
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from hunique_proto.v1 import hand_features_pb2 as pb
from hunique_server.admin import AdminServer


def _get(address: str, path: str) -> tuple[int, str]:
    connection = http.client.HTTPConnection(address, timeout=60)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        return response.status, response.read().decode()
    finally:
        connection.close()


async def test_ready_means_that_pictures_are_taken(
    serve: Any, obedient: Any, red_png: bytes
) -> None:
    """Alive at once, ready only after the engine was proved, not ready from the drain on."""
    obedient.hold()
    with pytest.MonkeyPatch.context() as patch:
        addresses: asyncio.Queue[str] = asyncio.Queue()
        start = AdminServer.start

        def announce(self: AdminServer) -> None:
            start(self)
            addresses.put_nowait(self.address)

        patch.setattr(AdminServer, "start", announce)
        starting = asyncio.create_task(serve(obedient, admin_listen="127.0.0.1:0"))
        address = await asyncio.wait_for(addresses.get(), 60)
    assert await asyncio.to_thread(_get, address, "/healthz") == (200, "alive\n")
    assert await asyncio.to_thread(_get, address, "/readyz") == (503, "not ready\n")
    obedient.free.set()
    served = await starting
    assert await asyncio.to_thread(_get, address, "/readyz?verbose") == (200, "ready\n")
    obedient.hold()
    running = served.stub.Segment(pb.SegmentRequest(image=red_png))
    await obedient.busy()
    stopping = asyncio.create_task(served.server.stop())
    await asyncio.sleep(0)
    assert await asyncio.to_thread(_get, address, "/readyz") == (503, "not ready\n")
    obedient.free.set()
    await asyncio.gather(running, stopping)
    with pytest.raises(ConnectionRefusedError):
        await asyncio.to_thread(_get, address, "/healthz")


async def test_metrics_tell_what_was_done(serve: Any, red_png: bytes) -> None:
    """Answered and refused pictures, batches and the model are there; no name, no picture."""
    served = await serve(admin_listen="127.0.0.1:0")
    secret = "jane-doe"  # noqa: S105 - a name that must not come out again
    await served.stub.Segment(pb.SegmentRequest(image=red_png, request_id=secret))
    stream = served.stub.SegmentStream([pb.SegmentRequest(image=b"x", request_id=secret)])
    assert [answer.error.code async for answer in stream] == [3]
    status, text = await asyncio.to_thread(_get, served.server.admin.address, "/metrics")
    assert status == 200
    for line in (
        'hunique_requests_total{code="OK",method="Segment"} 1.0',
        'hunique_requests_total{code="INVALID_ARGUMENT",method="SegmentStream"} 1.0',
        'hunique_findings_total{class="tattoo",status="present"} 1.0',
        'hunique_request_duration_seconds_count{method="Segment"} 1.0',
        "hunique_decode_duration_seconds_count 1.0",
        "hunique_queue_duration_seconds_count 1.0",
        "hunique_inference_duration_seconds_count 1.0",
        "hunique_postprocess_duration_seconds_count 1.0",
        "hunique_batch_size_sum 7.0",
        "hunique_queue_items 0.0",
        "hunique_queue_bytes 0.0",
    ):
        assert f"{line}\n" in text
    described = await served.stub.DescribeModel(pb.DescribeModelRequest())
    assert f'sha256="{described.model.sha256}",version="1.2.3"}} 1.0' in text
    assert secret not in text


def test_only_its_three_paths_are_answered() -> None:
    """Anything else is 404 and says what there is; IPv6 addresses are listened on as well."""
    admin = AdminServer("[::1]:0", CollectorRegistry(), lambda: True)
    admin.start()
    try:
        status, text = _get(admin.address, "/")
    finally:
        admin.close()
    assert status == 404
    assert "/metrics, /healthz or /readyz" in text
