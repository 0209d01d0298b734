"""Decoders in processes of their own: one that crashes or hangs costs one picture."""

import asyncio
import gc
import io
import os
import select
import signal
import sys
from collections.abc import Iterable
from pathlib import Path
from threading import Event
from typing import Any

import grpc
import numpy as np
import pytest
from PIL import Image

from hunique_models.bundle import Bundle
from hunique_models.pipeline import Pipeline
from hunique_proto.inference import open_inference_pb2 as oip
from hunique_proto.inference import open_inference_pb2_grpc as oip_grpc
from hunique_proto.v1 import hand_features_pb2 as pb
from hunique_server.quota import Quotas
from hunique_server.security_config import SecurityConfig

pytestmark = pytest.mark.skipif(
    sys.platform != "linux", reason="decoder processes are there on Linux only"
)

LONG_S = 120.0
Code = grpc.StatusCode


def _decoders_of(server_pid: int) -> list[int]:
    """The decoder processes of a server."""
    pids = []
    for children in Path(f"/proc/{server_pid}/task").glob("*/children"):
        pids += [int(pid) for pid in children.read_text().split()]
    return [pid for pid in pids if b"decoding_worker" in Path(f"/proc/{pid}/cmdline").read_bytes()]


def _signal(pids: Iterable[int], number: signal.Signals) -> None:
    for pid in pids:
        os.kill(pid, number)


def _pictures_in_memory() -> int:
    """Memory of pictures that this process still holds, open or mapped."""
    gc.collect()
    held = Path("/proc/self/maps").read_text().count("memfd:picture")
    for link in Path("/proc/self/fd").iterdir():
        try:
            held += "memfd:picture" in str(link.readlink())
        except FileNotFoundError:  # it was that of the listing itself
            continue
    return held


@pytest.fixture(scope="module")
def long_png() -> bytes:
    """A picture that takes a third of a second to decode: time to be caught over it."""
    encoded = io.BytesIO()
    Image.new("RGB", (7000, 7000)).save(encoded, "PNG", compress_level=1)
    return encoded.getvalue()


def _cpu_ticks(pid: int) -> int:
    """The processor time that a process took, in 1/100 s."""
    return sum(map(int, Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:13]))


async def _stop_at_work(pids: list[int], count: int) -> list[int]:
    """Stop that many of these processes, each when it is seen to be busy."""
    idle, stopped = {pid: _cpu_ticks(pid) for pid in pids}, list[int]()
    while len(stopped) < count:
        busy = [pid for pid in idle if _cpu_ticks(pid) > idle[pid] + 2 and pid not in stopped]
        _signal(busy, signal.SIGSTOP)
        stopped += busy
        await asyncio.sleep(0.001)
    return stopped


async def _segment(served: Any, image: bytes) -> grpc.StatusCode:
    code: grpc.StatusCode = await served.stub.Segment(pb.SegmentRequest(image=image)).code()
    return code


async def test_processes_answer_as_threads_do(
    serve: Any, encode: Any, red_png: bytes, untimed: Any
) -> None:
    """To the byte, in the service's own protocol; refusals to the word."""
    dice = np.random.default_rng(0)
    noise = dice.integers(0, 256, (301, 517, 3), np.uint8)
    images = [red_png, encode(noise, "JPEG"), encode(noise[:, :, 0], "TIFF")]
    refused = [b"no picture", red_png[:-50], b""]
    answers = []
    for processes in (False, True):
        served = await serve(decoder_processes=processes)
        found = [untimed(await served.stub.Segment(pb.SegmentRequest(image=i))) for i in images]
        for image in refused:
            call = served.stub.Segment(pb.SegmentRequest(image=image))
            found.append((await call.code(), await call.details()))
        answers.append(found)
    assert answers[0] == answers[1]
    assert answers[0][-1][0] is Code.INVALID_ARGUMENT


@pytest.mark.parametrize("processes", [False, True])
async def test_what_was_decoded_is_owed_whatever_became_of_it(
    serve: Any,
    red_png: bytes,
    long_png: bytes,
    processes: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Damaged pictures, and those whose caller left, cost their pixels; what is no picture, none."""
    owed: list[int] = []
    monkeypatch.setattr(Quotas, "spend_pixels", lambda _quotas, _name, count: owed.append(count))
    begun, prepare = Event(), Pipeline.prepare
    monkeypatch.setattr(Pipeline, "prepare", lambda *rest: (begun.set(), prepare(*rest))[1])
    security = SecurityConfig(quota_pixels_per_minute=10**9)
    served = await serve(decoder_processes=processes, security=security)
    for image in (b"no picture", red_png[:-50]):
        assert await _segment(served, image) is Code.INVALID_ARGUMENT
    assert [count for count in owed if count] == [300 * 200]
    begun.clear()
    call = served.stub.Segment(pb.SegmentRequest(image=long_png))
    if processes:
        await served.until("hunique_decoders_busy", 1)
    else:
        assert await asyncio.to_thread(begun.wait, LONG_S)
    call.cancel()
    async with asyncio.timeout(LONG_S):
        while owed[-1] != 7000 * 7000:
            await asyncio.sleep(0)  # waits for no time: gives way to the others


def _inference(*images: bytes) -> oip.ModelInferRequest:
    tensor = {"name": "encoded_image", "datatype": "BYTES", "shape": [len(images)]}
    raw = b"".join(len(image).to_bytes(4, "little") + image for image in images)
    outputs = [{"name": "labels"}] if len(images) == 1 else []
    return oip.ModelInferRequest(inputs=[tensor], outputs=outputs, raw_input_contents=[raw])


async def test_processes_answer_as_threads_do_in_the_open_inference_protocol(
    serve: Any, red_png: bytes
) -> None:
    """Labels to the byte, and the picture of several that is refused by its number."""
    answers = []
    for processes in (False, True):
        served = await serve(decoder_processes=processes)
        inference: Any = oip_grpc.GRPCInferenceServiceStub(served.channel)
        labels = (await inference.ModelInfer(_inference(red_png))).raw_output_contents
        refused = inference.ModelInfer(_inference(red_png, red_png[:-50]))
        answers.append((list(labels), await refused.code(), await refused.details()))
    assert answers[0] == answers[1]
    assert answers[1][2].startswith("encoded_image[1]: ")


async def test_crash_costs_one_request_of_the_open_inference_protocol(
    serve: Any, red_png: bytes, long_png: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The caller is told that it was the decoder, and owes as much as the largest picture."""
    owed: list[int] = []
    monkeypatch.setattr(Quotas, "spend_pixels", lambda _quotas, _name, count: owed.append(count))
    served = await serve(
        decoder_processes=True,
        max_image_pixels=60_000_000,
        security=SecurityConfig(quota_pixels_per_minute=10**9),
    )
    inference: Any = oip_grpc.GRPCInferenceServiceStub(served.channel)
    call = inference.ModelInfer(_inference(long_png))
    stopped = await _stop_at_work(_decoders_of(os.getpid()), 1)
    _signal(stopped, signal.SIGSEGV)
    _signal(stopped, signal.SIGCONT)
    assert await asyncio.wait_for(call.code(), LONG_S) is Code.INTERNAL
    assert "SIGSEGV" in await call.details()
    assert owed == [60_000_000]
    assert await _segment(served, red_png) is Code.OK
    assert _pictures_in_memory() == 0


async def test_crash_costs_one_picture(serve: Any, red_png: bytes, long_png: bytes) -> None:
    """Two pictures are being decoded, one decoder is killed: one is lost, with a sentence."""
    served = await serve(decoder_processes=True)
    calls = [served.stub.Segment(pb.SegmentRequest(image=long_png)) for _ in range(2)]
    both = asyncio.gather(*(call.code() for call in calls))
    stopped = await _stop_at_work(_decoders_of(os.getpid()), 2)
    _signal(stopped[:1], signal.SIGKILL)
    _signal(stopped[1:], signal.SIGCONT)
    assert set(await asyncio.wait_for(both, LONG_S)) == {Code.OK, Code.INTERNAL}
    details = [await call.details() for call in calls if await call.code() is Code.INTERNAL]
    assert "decoder" in details[0]
    assert "SIGKILL" in details[0]
    await served.until("hunique_decoders_replaced_total", 1, reason="crashed")
    assert await asyncio.gather(*(_segment(served, red_png) for _ in range(8))) == [Code.OK] * 8
    assert len(_decoders_of(os.getpid())) == 2
    assert _pictures_in_memory() == 0


async def test_decoder_that_hangs_is_ended(serve: Any, red_png: bytes) -> None:
    """Its picture is refused and says why; the next one is served."""
    served = await serve(decoder_processes=True, decode_timeout_s=3.0)
    stopped = _decoders_of(os.getpid())
    _signal(stopped, signal.SIGSTOP)
    call = served.stub.Segment(pb.SegmentRequest(image=red_png))
    assert await asyncio.wait_for(call.code(), LONG_S) is Code.INVALID_ARGUMENT
    assert "3 s (--decode-timeout-s)" in await call.details()
    await served.until("hunique_decoders_replaced_total", 1, reason="hung")
    left = [pid for pid in stopped if Path(f"/proc/{pid}").exists()]
    assert len(left) == 1
    _signal(left, signal.SIGCONT)
    assert await _segment(served, red_png) is Code.OK
    assert _pictures_in_memory() == 0


async def test_decoder_that_ends_while_idle_is_replaced(serve: Any, red_png: bytes) -> None:
    """No picture is lost by that."""
    served = await serve(decoder_processes=True)
    _signal(_decoders_of(os.getpid()), signal.SIGKILL)
    assert await asyncio.gather(*(_segment(served, red_png) for _ in range(4))) == [Code.OK] * 4
    await served.until("hunique_decoders_replaced_total", 2, reason="crashed")


async def test_picture_that_an_ended_decoder_never_saw_goes_to_another(
    serve: Any, red_png: bytes
) -> None:
    """Sent is not taken: a process may end between the two."""
    served = await serve(decoder_processes=True)
    decoders = _decoders_of(os.getpid())
    _signal(decoders, signal.SIGSTOP)
    calls = [asyncio.create_task(_segment(served, red_png)) for _ in decoders]
    await served.until("hunique_decoders_busy", len(decoders))
    _signal(decoders, signal.SIGKILL)
    assert await asyncio.gather(*calls) == [Code.OK] * len(decoders)


async def test_caller_who_leaves_does_not_cost_a_decoder(serve: Any, red_png: bytes) -> None:
    """Its process goes on with the next picture."""
    served = await serve(decoder_processes=True)
    decoders = _decoders_of(os.getpid())
    _signal(decoders, signal.SIGSTOP)
    call = served.stub.Segment(pb.SegmentRequest(image=red_png))
    await served.until("hunique_decoders_busy", 1)
    call.cancel()
    _signal(decoders, signal.SIGCONT)
    assert await asyncio.gather(*(_segment(served, red_png) for _ in range(4))) == [Code.OK] * 4
    assert set(_decoders_of(os.getpid())) == set(decoders)


async def test_end_of_the_server_leaves_no_decoder(serve: Any, red_png: bytes) -> None:
    """Also of one that is stopped, with a picture in it."""
    served = await serve(decoder_processes=True, drain_s=0.1)
    decoders = _decoders_of(os.getpid())
    _signal(decoders, signal.SIGSTOP)
    call = served.stub.Segment(pb.SegmentRequest(image=red_png))
    await served.until("hunique_decoders_busy", 1)
    await asyncio.wait_for(served.server.stop(), LONG_S)
    assert len(decoders) == 2
    assert not any(Path(f"/proc/{pid}").exists() for pid in decoders)  # nor a zombie of one
    assert await call.code() in {Code.UNAVAILABLE, Code.CANCELLED}
    assert _pictures_in_memory() == 0


def test_killed_server_leaves_no_decoder(
    server_process: Any, tiny_bundle: Bundle, tmp_path: Path
) -> None:
    """SIGKILL gives it no chance to end them, and one that hangs would never hear of it."""
    with server_process(tiny_bundle.path, tmp_path / "s", "--decoders", "processes") as (server, _):
        pids = _decoders_of(server.pid)
        decoders = [os.pidfd_open(pid) for pid in pids]
        assert len(decoders) == 2
        _signal(pids[:1], signal.SIGSTOP)
        server.kill()
        for ended in decoders:
            assert select.select([ended], [], [], LONG_S)[0] == [ended]
            os.close(ended)
