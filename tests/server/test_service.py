"""The service over a real channel: what callers get, alone and among others."""

import asyncio
import io
import re
from collections.abc import Callable
from typing import Any

import grpc
import numpy as np
import pytest
from PIL import Image

from hunique_models.bundle import Bundle
from hunique_models.engine import EngineOutput, open_engine
from hunique_models.pipeline import Pipeline
from hunique_proto.v1 import hand_features_pb2 as pb

Code = grpc.StatusCode
DECODED = "hunique_decode_duration_seconds_count"
"""Pictures that have come as far as the batcher's queue."""
Untimed = Callable[[pb.SegmentResponse], bytes]


def _asks(image: bytes, request_id: str = "", **wish: Any) -> pb.SegmentRequest:
    return pb.SegmentRequest(image=image, request_id=request_id, **wish)


async def _refusal(call: Any) -> grpc.aio.AioRpcError:
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await call
    return refused.value


async def test_picture_is_examined(serve: Any, red_png: bytes) -> None:
    """What is on it is found where it is, with everything that makes the answer repeatable."""
    served = await serve()
    answer = await served.stub.Segment(_asks(red_png, "exhibit 7"))
    described = await served.stub.DescribeModel(pb.DescribeModelRequest())
    assert answer.request_id == "exhibit 7"
    assert [f.class_name for f in answer.findings] == [c.name for c in described.classes]
    assert [f.status for f in answer.findings] == [pb.STATUS_PRESENT] + [pb.STATUS_ABSENT] * 3
    (instance,) = answer.findings[0].instances
    box = instance.box
    found = np.array([box.x_px, box.y_px, box.width_px, box.height_px])
    assert np.abs(found - (100, 60, 80, 60)).max() <= 6
    came_from = answer.provenance
    assert (came_from.input_format, came_from.input_size_bytes) == ("PNG", len(red_png))
    assert (came_from.upright_size.width, came_from.upright_size.height) == (300, 200)
    assert came_from.model == described.model
    assert {"hunique", "onnxruntime", "python"} <= set(came_from.model.runtime_versions)
    spent = came_from.timings
    parts = (spent.decode_ns, spent.queue_ns, spent.inference_ns, spent.postprocess_ns)
    assert min(parts) > 0
    assert sum(parts) <= spent.total_ns


async def test_only_what_was_asked_for_is_assessed(serve: Any, red_png: bytes) -> None:
    """Classes that nobody asked for are SKIPPED, which is not ABSENT."""
    served = await serve()
    answer = await served.stub.Segment(_asks(red_png, classes=["ring"]))
    skipped, absent = pb.STATUS_SKIPPED, pb.STATUS_ABSENT
    assert [f.status for f in answer.findings] == [skipped, absent, skipped, skipped]


@pytest.mark.parametrize(
    ("wish", "said"),
    [
        ({"classes": ["tattoo", "scar"]}, r"out of tattoo, ring.*found scar"),
        ({"outputs": [pb.OUTPUT_SCORES_ONLY, pb.OUTPUT_OVERLAY]}, "excludes every other"),
        ({"request_id": "x" * 257}, "at most 256 characters, found 257"),
    ],
)
async def test_wish_that_cannot_be_met_is_explained(
    serve: Any, red_png: bytes, wish: dict[str, Any], said: str
) -> None:
    """INVALID_ARGUMENT says what was expected and found, and is counted."""
    served = await serve()
    refused = await _refusal(served.stub.Segment(pb.SegmentRequest(image=red_png, **wish)))
    assert refused.code() is Code.INVALID_ARGUMENT
    assert re.search(said, refused.details())
    assert not refused.trailing_metadata()
    assert served.sample("hunique_requests_total", method="Segment", code="INVALID_ARGUMENT") == 1


@pytest.mark.parametrize(
    ("outputs", "given"),
    [
        ([], {"mask_png", "polygon"}),
        ([pb.OUTPUT_MASK_RLE], {"mask_rle"}),
        ([pb.OUTPUT_POLYGON, pb.OUTPUT_OVERLAY], {"polygon", "overlay"}),
        ([pb.OUTPUT_SCORES_ONLY], set()),
    ],
)
async def test_outputs_are_those_asked_for(
    serve: Any, red_png: bytes, outputs: list[Any], given: set[str]
) -> None:
    """Masks come in the forms that were asked for; boxes, areas and measures always."""
    served = await serve()
    answer = await served.stub.Segment(_asks(red_png, outputs=outputs))
    (instance,) = answer.findings[0].instances
    fields = {field.name for field, _ in instance.ListFields()}
    forms = fields & {"mask_png", "mask_rle", "polygon"}
    assert forms | ({"overlay"} if answer.overlay_jpeg else set()) == given
    assert {"box", "area_px", "measurements", "score"} <= fields
    if answer.overlay_jpeg:
        assert Image.open(io.BytesIO(answer.overlay_jpeg)).size == (300, 200)


async def test_detail_says_how_closely_to_look(serve: Any, encode: Any) -> None:
    """Finer detail looks more often, and the answer says how often and at what detail."""
    served = await serve()
    image = encode(np.full((400, 400, 3), 128, np.uint8))
    counts = []
    for detail in (pb.DETAIL_FAST, pb.DETAIL_STANDARD, pb.DETAIL_FINE):
        answer = await served.stub.Segment(_asks(image, detail=detail))
        assert answer.provenance.detail == detail
        counts.append(answer.provenance.look_count)
    assert counts[0] == 1
    assert counts == sorted(set(counts))


@pytest.mark.parametrize("decoder_processes", [0, 1])
async def test_small_hands_are_looked_at_closely(
    serve: Any,
    encode: Any,
    hand_finding_bundle: Bundle,
    mark_on_a_small_hand: np.ndarray,
    decoder_processes: int,
) -> None:
    """The server looks at them as the library does, many pictures at once, and counts the looks."""
    image = encode(mark_on_a_small_hand)
    served = await serve(bundles=(hand_finding_bundle.path,), decoder_processes=decoder_processes)
    plain = encode(np.full((480, 640, 3), 128, np.uint8))
    asked = [served.stub.Segment(_asks(one)) for one in (image, plain, image, plain)]
    *others, last = await asyncio.gather(*asked)
    marked = others[0]
    expected = Pipeline(hand_finding_bundle.manifest).segment(
        image, open_engine(hand_finding_bundle)
    )
    assert marked.findings[0].status == pb.STATUS_PRESENT
    assert marked.findings[0].instances[0].area_px == expected.findings[0].instances[0].mask.area_px
    assert marked.provenance.look_count == expected.look_count > last.provenance.look_count
    assert last.findings[0].status == pb.STATUS_ABSENT
    (region,) = marked.provenance.hand_regions
    assert (region.x_px < 400, region.x_px + region.width_px > 480) == (True, True)
    assert (region.y_px < 100, region.y_px + region.height_px > 180) == (True, True)
    assert not last.provenance.hand_regions
    assert marked.provenance.timings.inference_ns > 0


async def test_only_the_served_model_answers(serve: Any) -> None:
    """Its name, "default" and no name describe it; any other name is NOT_FOUND."""
    stub = (await serve()).stub
    for name in ("", "default", "tiny"):
        assert (await stub.DescribeModel(pb.DescribeModelRequest(name=name))).model.name == "tiny"
    refused = await _refusal(stub.DescribeModel(pb.DescribeModelRequest(name="other")))
    assert refused.code() is Code.NOT_FOUND
    assert "'tiny'" in refused.details()
    assert "'other'" in refused.details()


def _squares(encode: Any) -> list[bytes]:
    """Eight pictures of one look each, with a square of another colour or at another place."""
    images = []
    for number in range(8):
        pixels = np.full((64, 64, 3), 128, np.uint8)
        pixels[4 * number : 4 * number + 30, 10:50] = np.eye(3, dtype=np.uint8)[number % 3] * 255
        images.append(encode(pixels))
    return images


async def test_answer_does_not_depend_on_the_batch(
    serve: Any, obedient: Any, small_png: bytes, encode: Any, untimed: Untimed
) -> None:
    """Byte for byte the same answer alone and in a batch of others, which really was one."""
    served = await serve(obedient)
    images = _squares(encode)
    alone = [untimed(await served.stub.Segment(_asks(image))) for image in images]
    obedient.hold()
    first = served.stub.Segment(_asks(small_png))
    await obedient.busy()
    calls = [served.stub.Segment(_asks(image)) for image in images]
    await served.until(DECODED, 2 * len(images) + 1)
    obedient.free.set()
    await first
    assert [untimed(answer) for answer in await asyncio.gather(*calls)] == alone
    assert obedient.batches == [1, 8]


async def test_poison_harms_no_neighbour(
    serve: Any, obedient: Any, small_png: bytes, poison_png: bytes, untimed: Untimed
) -> None:
    """A picture on which the engine fails is INTERNAL, without details; neighbours are served."""
    served = await serve(obedient)
    quiet = untimed(await served.stub.Segment(_asks(small_png)))
    obedient.hold()
    calls = [served.stub.Segment(_asks(small_png))]
    await obedient.busy()
    calls += [served.stub.Segment(_asks(small_png)) for _ in range(3)]
    poisoned = served.stub.Segment(_asks(poison_png))
    await served.until(DECODED, 6)
    obedient.free.set()
    assert {untimed(answer) for answer in await asyncio.gather(*calls)} == {quiet}
    refused = await _refusal(poisoned)
    assert refused.code() is Code.INTERNAL
    assert "poison" not in refused.details()
    assert obedient.batches == [1, 4, 1, 1, 1, 1]


async def test_engine_that_miscounts_gives_nobody_the_answer_of_another(
    serve: Any, obedient: Any, encode: Any, untimed: Untimed, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An engine that loses a look of a batch: each picture is run again, alone."""
    served = await serve(obedient)
    images = _squares(encode)
    alone = [untimed(await served.stub.Segment(_asks(image))) for image in images]
    run = obedient.run

    def lose_first_of_many(looks: np.ndarray) -> EngineOutput:
        return EngineOutput(*(part[len(looks) > 1 :] for part in run(looks)))

    monkeypatch.setattr(obedient, "run", lose_first_of_many)
    obedient.hold()
    first = served.stub.Segment(_asks(images[0]))
    await obedient.busy()
    calls = [served.stub.Segment(_asks(image)) for image in images]
    await served.until(DECODED, 2 * len(images) + 1)
    obedient.free.set()
    await first
    assert [untimed(answer) for answer in await asyncio.gather(*calls)] == alone
    assert obedient.batches == [1, 8] + 8 * [1]


async def test_full_server_says_when_to_come_back(
    serve: Any, obedient: Any, red_png: bytes
) -> None:
    """One picture too many is refused at once, with a time, and served when it comes back."""
    served = await serve(obedient, max_queue_items=1)
    obedient.hold()
    running = served.stub.Segment(_asks(red_png))
    await obedient.busy()
    refused = await _refusal(served.stub.Segment(_asks(red_png)))
    assert refused.code() is Code.RESOURCE_EXHAUSTED
    assert int(dict(refused.trailing_metadata())["retry-after-ms"]) > 0
    assert served.sample("hunique_rejected_total", reason="queue_full") == 1
    obedient.free.set()
    await running
    assert (await served.stub.Segment(_asks(red_png))).findings


@pytest.mark.parametrize("leaves", ["cancels", "runs out of time"])
async def test_caller_that_leaves_costs_no_run(
    serve: Any, obedient: Any, red_png: bytes, small_png: bytes, leaves: str
) -> None:
    """A caller gone before its picture is run: its place is free again, and it is not run."""
    served = await serve(obedient)
    obedient.hold()
    running = served.stub.Segment(_asks(small_png))
    await obedient.busy()
    gone = served.stub.Segment(_asks(red_png), timeout=0.5 if leaves != "cancels" else None)
    await served.until("hunique_queue_items", 2)
    if leaves == "cancels":
        gone.cancel()
    await asyncio.wait([asyncio.ensure_future(gone.code())])
    await served.until("hunique_queue_items", 1)
    obedient.free.set()
    await running
    assert obedient.batches == [1]
