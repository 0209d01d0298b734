"""What counts in a model's statistics, whichever service was asked and however it ended."""

import asyncio
import time
from typing import Any

import grpc
import pytest
from administrator import Admin, refusal
from repository_writing import Shelf

from hunique_proto.inference import open_inference_pb2 as pb
from hunique_proto.inference import open_inference_pb2_grpc as pb_grpc
from hunique_proto.v1 import hand_features_pb2 as v1

Code = grpc.StatusCode
HELD_NS = 50_000_000
"""So long an engine is held back: far longer than this picture's decoding and findings."""
STAGES = ("queue", "compute_input", "compute_infer", "compute_output")


def _stub(served: Any) -> Any:
    return pb_grpc.GRPCInferenceServiceStub(served.channel)


async def _statistics(served: Any, name: str = "", version: str = "") -> dict[str, Any]:
    request = pb.ModelStatisticsRequest(name=name, version=version)
    answer = await _stub(served).ModelStatistics(request)
    return {f"{model.name}:{model.version}": model for model in answer.model_stats}


async def _counts(served: Any) -> tuple[int, int, int]:
    """Successes, failures and pictures of the default model."""
    (model,) = (await _statistics(served)).values()
    stats = model.inference_stats
    assert {getattr(stats, stage).count for stage in STAGES} == {stats.success.count}
    return stats.success.count, stats.fail.count, model.inference_count


async def _until_later(served: Any, when_ns: int) -> None:
    """Ask on and on, and hear that nothing was counted, until a time has come."""
    while time.monotonic_ns() < when_ns:
        assert await _counts(served) == (0, 0, 0)


async def test_every_service_counts(serve: Any, small_png: bytes) -> None:
    """A call and each picture of a stream, of either service; what is no request does not."""
    served = await serve()
    stub = _stub(served)
    asks = [v1.SegmentRequest(image=image, request_id=i)
            for image, i in ((small_png, "a"), (small_png, "b"), (b"no", "c"), (small_png, ""))]  # fmt: skip
    await served.stub.Segment(asks[0])
    assert await _counts(served) == (1, 0, 1)
    assert len([answer async for answer in served.stub.SegmentStream(iter(asks))]) == 4
    assert await _counts(served) == (3, 2, 3)
    tensor = {"name": "encoded_image", "datatype": "BYTES", "shape": [1],
              "contents": {"bytes_contents": [small_png]}}  # fmt: skip
    infer = pb.ModelInferRequest(inputs=[tensor])
    assert len([a async for a in stub.ModelStreamInfer(iter([infer, infer]))]) == 2
    await served.stub.DescribeModel(v1.DescribeModelRequest())
    await stub.ModelMetadata(pb.ModelMetadataRequest())
    assert await _counts(served) == (5, 2, 5)


async def test_whoever_gets_no_answer_is_a_failure(
    serve: Any, obedient: Any, small_png: bytes
) -> None:
    """No room, or it left before."""
    served = await serve(obedient, max_queue_items=1)
    obedient.hold()
    leaving = served.stub.Segment(v1.SegmentRequest(image=small_png))
    await obedient.busy()
    full = served.stub.Segment(v1.SegmentRequest(image=small_png))
    assert (await refusal(full))[0] is Code.RESOURCE_EXHAUSTED
    assert await _counts(served) == (0, 1, 0)
    leaving.cancel()
    await served.until("hunique_requests_total", 1, method="Segment", code="CANCELLED")
    assert await _counts(served) == (0, 2, 0)


async def test_run_that_failed_is_no_execution(
    serve: Any, obedient: Any, poison_png: bytes
) -> None:
    """Its request is a failure, and the engine's counters stay."""
    served = await serve(obedient)
    failed = served.stub.Segment(v1.SegmentRequest(image=poison_png))
    assert (await refusal(failed))[0] is Code.INTERNAL
    assert await _counts(served) == (0, 1, 0)
    (model,) = (await _statistics(served)).values()
    assert (model.execution_count, model.last_inference, len(model.batch_stats)) == (0, 0, 0)


async def test_time_is_where_it_was_spent(serve: Any, obedient: Any, small_png: bytes) -> None:
    """While the engine is held, one request is in its run and the other one waits."""
    served = await serve(obedient, workers=1, max_batch=1)
    obedient.hold()
    request = v1.SegmentRequest(image=small_png)
    calls = [asyncio.ensure_future(served.stub.Segment(request)) for _ in range(2)]
    await obedient.busy()
    await served.until("hunique_queue_looks", 1, priority="interactive")
    started_ns = time.monotonic_ns()
    await _until_later(served, started_ns + HELD_NS)
    obedient.free.set()
    timings = [answer.provenance.timings for answer in await asyncio.gather(*calls)]
    (model,) = (await _statistics(served)).values()
    stats = model.inference_stats
    assert stats.compute_infer.ns == sum(t.inference_ns for t in timings) >= HELD_NS
    assert stats.queue.ns >= sum(t.queue_ns for t in timings) >= HELD_NS
    assert stats.compute_input.ns == sum(t.decode_ns for t in timings)
    assert stats.compute_output.ns == sum(t.postprocess_ns for t in timings)
    assert stats.success.ns >= sum(t.total_ns for t in timings)
    assert [(b.batch_size, b.compute_infer.count) for b in model.batch_stats] == [(1, 2)]


async def test_stream_that_waits_for_room_waits_in_the_queue(
    serve: Any, obedient: Any, small_png: bytes
) -> None:
    """Its time before it comes in is in no answer's timings, but in the statistics."""
    served = await serve(obedient, max_queue_items=1)
    obedient.hold()
    asks = [v1.SegmentRequest(image=small_png, request_id=str(i)) for i in range(2)]
    stream = served.stub.SegmentStream(iter(asks))
    await obedient.busy()
    started_ns = time.monotonic_ns()
    await _until_later(served, started_ns + HELD_NS)
    obedient.free.set()
    timings = [answer.response.provenance.timings async for answer in stream]
    (model,) = (await _statistics(served)).values()
    stats = model.inference_stats
    assert stats.queue.ns >= sum(t.queue_ns for t in timings) + HELD_NS // 2
    assert sum(getattr(stats, stage).ns for stage in STAGES) <= stats.success.ns


async def test_versions_count_apart_and_begin_anew_when_loaded_again(
    serve: Any, shelf: Shelf, small_png: bytes
) -> None:
    """No name: all; a name: its versions; and what is served no longer is not told of."""
    for version in ("1.0.0", "2.0.0"):
        shelf.add("hands", version)
    shelf.add("nails", "1.0.0")
    served = await serve(bundles=(), model_repository=shelf.path, load=("hands", "nails"))
    admin = Admin(served)
    await admin.load("hands", version_policy={"all": {}})
    await served.stub.Segment(v1.SegmentRequest(image=small_png, model="hands:1.0.0"))
    found = await _statistics(served)
    assert {key: model.inference_count for key, model in found.items()} == {
        "hands:1.0.0": 1, "hands:2.0.0": 0, "nails:1.0.0": 0,
    }  # fmt: skip
    for name, version, keys in (
        ("hands", "", ["hands:2.0.0", "hands:1.0.0"]), ("default", "2.0.0", ["hands:2.0.0"]),
        ("hands:1.0.0", "", ["hands:1.0.0"]), ("", "1.0.0", ["hands:1.0.0"]),
    ):  # fmt: skip
        assert list(await _statistics(served, name, version)) == keys
    await admin.load("hands:2.0.0")
    assert list(await _statistics(served, "hands")) == ["hands:2.0.0"]
    code, said = await refusal(_statistics(served, "hands", "1.0.0"))
    assert (code, "'2.0.0'" in said) == (Code.NOT_FOUND, True)
    await admin.load("hands:1.0.0")
    assert [m.inference_count for m in (await _statistics(served, "hands")).values()] == [0]


@pytest.mark.parametrize(
    ("asked", "version"), [("hands", "2.0.0"), ("hands:1.0.0", "1.0.0"), ("stable", "2.0.0")]
)
async def test_configuration_follows_what_is_loaded(
    serve: Any, shelf: Shelf, asked: str, version: str
) -> None:
    """Versions and further names are those of the moment."""
    for each in ("1.0.0", "2.0.0"):
        shelf.add("hands", each)
    served = await serve(model_repository=shelf.path)
    aliases = {"aliases": {"string_value": "stable, newest"}}
    await Admin(served).load("hands", version_policy={"all": {}}, parameters=aliases)
    answer = await _stub(served).ModelConfig(pb.ModelConfigRequest(name=asked))
    told = {key: value.string_value for key, value in answer.config.parameters.items()}
    assert (answer.config.name, told["version"]) == ("hands", version)
    assert (told["versions"], told["aliases"]) == ("2.0.0,1.0.0", "newest,stable")
