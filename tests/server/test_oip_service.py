"""The Open Inference Protocol over a real channel, by our own stubs; test_tritonclient uses theirs.

Both ways lead to the segmenter that `hunique.v1.HandFeatures` uses, so the tests here are about
what the protocol adds, and that nothing which callers rely on is lost on the way.
"""

import json
from typing import Any

import grpc
import numpy as np
import pytest

from hunique_client.documents import document
from hunique_client.results import read_response
from hunique_models.bundle import Bundle
from hunique_models.engine import open_engine
from hunique_proto.inference import open_inference_pb2 as pb
from hunique_proto.inference import open_inference_pb2_grpc as pb_grpc
from hunique_proto.v1 import hand_features_pb2 as v1

Code = grpc.StatusCode
SIDE_PX = 64
"""Of the tiny bundle's input."""


def _stub(served: Any) -> Any:
    return pb_grpc.GRPCInferenceServiceStub(served.channel)


def _looks(looks: np.ndarray, **request: Any) -> pb.ModelInferRequest:
    tensor = {"name": "image", "datatype": "UINT8", "shape": looks.shape}
    return pb.ModelInferRequest(
        model_name="tiny", inputs=[tensor], raw_input_contents=[looks.tobytes()], **request
    )


def _pictures(*images: bytes, outputs: tuple[str, ...] = (), **request: Any) -> Any:
    tensor = {
        "name": "encoded_image", "datatype": "BYTES", "shape": [len(images)],
        "contents": {"bytes_contents": images},
    }  # fmt: skip
    named = [{"name": name} for name in outputs]
    return pb.ModelInferRequest(model_name="tiny", inputs=[tensor], outputs=named, **request)


def _text(**values: str) -> dict[str, pb.InferParameter]:
    return {name: pb.InferParameter(string_param=value) for name, value in values.items()}


def _array(response: pb.ModelInferResponse, name: str) -> np.ndarray:
    index = [output.name for output in response.outputs].index(name)
    kinds = {"UINT8": np.uint8, "FP32": "<f4"}
    output = response.outputs[index]
    raw = response.raw_output_contents[index]
    return np.frombuffer(raw, kinds[output.datatype]).reshape(tuple(output.shape))


def _documents(response: pb.ModelInferResponse) -> list[Any]:
    index = [output.name for output in response.outputs].index("findings")
    raw, found = response.raw_output_contents[index], []
    while raw:
        end = 4 + int.from_bytes(raw[:4], "little")
        found.append(json.loads(raw[4:end]))
        raw = raw[end:]
    assert len(found) == response.outputs[index].shape[0]
    return found


def _random_looks(count: int) -> np.ndarray:
    shape = (count, SIDE_PX, SIDE_PX, 3)
    return np.random.default_rng(count).integers(0, 256, shape, np.uint8)


async def _refusal(call: Any) -> grpc.aio.AioRpcError:
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await call
    return refused.value


async def test_server_and_model_are_described(serve: Any, tiny_bundle: Bundle) -> None:
    """What the metadata promise is what the bundle takes and gives."""
    stub = _stub(await serve())
    assert (await stub.ServerLive(pb.ServerLiveRequest())).live
    assert (await stub.ServerReady(pb.ServerReadyRequest())).ready
    server = await stub.ServerMetadata(pb.ServerMetadataRequest())
    assert server.name == "hunique"
    model = await stub.ModelMetadata(pb.ModelMetadataRequest(name="default"))
    assert (model.name, list(model.versions)) == ("tiny", [tiny_bundle.manifest.version])
    tensors = {t.name: (t.datatype, list(t.shape)) for t in (*model.inputs, *model.outputs)}
    assert tensors == {
        "image": ("UINT8", [-1, 64, 64, 3]),
        "encoded_image": ("BYTES", [-1]),
        "probability": ("UINT8", [-1, 4, 16, 16]),
        "score": ("FP32", [-1, 4]),
        "findings": ("BYTES", [-1]),
        "labels": ("UINT8", [-1, -1]),
        "masks": ("UINT8", [4, -1, -1]),
    }


async def test_only_the_served_model_is_there(serve: Any, red_png: bytes) -> None:
    """Others are not ready, and NOT_FOUND to who wants more of them."""
    stub = _stub(await serve())
    for name, version, is_served in (
        ("tiny", "", True), ("default", "1.2.3", True), ("tiny", "1", False), ("other", "", False),
    ):  # fmt: skip
        ready = await stub.ModelReady(pb.ModelReadyRequest(name=name, version=version))
        assert ready.ready is is_served
    refused = await _refusal(stub.ModelMetadata(pb.ModelMetadataRequest(name="other")))
    assert (refused.code(), "'tiny'" in refused.details()) == (Code.NOT_FOUND, True)
    request = _pictures(red_png, model_version="2")
    assert (await _refusal(stub.ModelInfer(request))).code() is Code.NOT_FOUND


async def test_repository_is_the_bundle(serve: Any) -> None:
    """It is listed as ready; whoever would load or unload learns how a model is chosen."""
    stub = _stub(await serve())
    index = await stub.RepositoryIndex(pb.RepositoryIndexRequest(ready=True))
    assert [(m.name, m.version, m.state) for m in index.models] == [("tiny", "1.2.3", "READY")]
    for call in (
        stub.RepositoryModelLoad(pb.RepositoryModelLoadRequest(model_name="tiny")),
        stub.RepositoryModelUnload(pb.RepositoryModelUnloadRequest(model_name="tiny")),
    ):
        refused = await _refusal(call)
        assert refused.code() is Code.UNIMPLEMENTED
        assert "--bundle" in refused.details()


@pytest.mark.parametrize("count", [1, 20])
async def test_looks_get_what_the_engine_says(serve: Any, tiny_bundle: Bundle, count: int) -> None:
    """Byte for byte, for one look and for more than a run takes at once."""
    served = await serve(max_batch=8)
    looks = _random_looks(count)
    response = await _stub(served).ModelInfer(_looks(looks, id="exhibit 7"))
    engine = open_engine(tiny_bundle)
    expected = engine.run(looks)
    engine.close()
    assert (response.id, response.model_name, response.model_version) == (
        "exhibit 7", "tiny", "1.2.3",
    )  # fmt: skip
    assert response.parameters["model_sha256"].string_param == tiny_bundle.sha256
    assert _array(response, "probability").tobytes() == expected.probability.tobytes()
    assert _array(response, "score").tobytes() == expected.score.tobytes()
    assert _array(response, "probability").shape == (count, 4, 16, 16)
    scores = await _stub(served).ModelInfer(_looks(looks, outputs=[{"name": "score"}]))
    assert [output.name for output in scores.outputs] == ["score"]
    assert list(scores.raw_output_contents) == [expected.score.tobytes()]
    assert served.sample("hunique_requests_total", method="ModelInfer", code="OK") == 2
    assert served.sample("hunique_request_duration_seconds_count", method="ModelInfer") == 2
    assert served.sample("hunique_queue_items") == 0


async def test_looks_share_a_run_with_pictures(
    serve: Any, obedient: Any, small_png: bytes, untimed: Any
) -> None:
    """One queue for everybody, and nobody's answer depends on who else is in the batch."""
    served = await serve(obedient)
    stub, looks = _stub(served), _random_looks(2)
    alone = await stub.ModelInfer(_looks(looks))
    picture = untimed(await served.stub.Segment(v1.SegmentRequest(image=small_png)))
    obedient.hold()
    first = stub.ModelInfer(_looks(looks[:1]))
    await obedient.busy()
    calls = [stub.ModelInfer(_looks(looks)) for _ in range(2)]
    beside = served.stub.Segment(v1.SegmentRequest(image=small_png))
    await served.until("hunique_decode_duration_seconds_count", 2)
    await served.until("hunique_queue_items", 6)
    obedient.free.set()
    await first
    assert [await call for call in calls] == [alone, alone]
    assert untimed(await beside) == picture
    assert obedient.batches == [1, 5]


async def test_pictures_get_the_findings_of_segment(
    serve: Any, red_png: bytes, small_png: bytes
) -> None:
    """A document for each, the same as the client writes of what Segment answers."""
    served = await serve()
    images = (red_png, small_png)
    response = await _stub(served).ModelInfer(
        _pictures(*images, parameters=_text(classes="tattoo,ring", detail="fast"))
    )
    assert [output.name for output in response.outputs] == ["findings"]
    for found, image in zip(_documents(response), images, strict=True):
        wish = {"classes": ["tattoo", "ring"], "detail": v1.DETAIL_FAST}
        answer = await served.stub.Segment(v1.SegmentRequest(image=image, **wish))
        expected = json.loads(document("a", read_response(answer)))
        for one in expected["findings"]:
            for instance in one["instances"]:
                instance["polygon_px"] = []
        assert found["provenance"].pop("timings_ns")["total"] > 0
        del expected["provenance"]["timings_ns"]
        assert found["provenance"] == expected["provenance"]
        assert found["findings"] == expected["findings"]
    assert found["findings"][1]["instances"]


async def test_masks_are_those_of_segment(serve: Any, red_png: bytes) -> None:
    """Only what was asked for comes, in that order, in the upright picture's frame."""
    served = await serve()
    response = await _stub(served).ModelInfer(_pictures(red_png, outputs=("masks", "labels")))
    assert [output.name for output in response.outputs] == ["masks", "labels"]
    masks, labels = _array(response, "masks"), _array(response, "labels")
    assert (masks.shape, labels.shape) == ((4, 200, 300), (200, 300))
    answer = await served.stub.Segment(v1.SegmentRequest(image=red_png))
    areas = [sum(one.area_px for one in finding.instances) for finding in answer.findings]
    assert masks.sum(axis=(1, 2)).tolist() == areas
    assert (labels == masks[0]).all()
    box = answer.findings[0].instances[0].box
    rows, columns = np.nonzero(labels)
    assert (columns.min(), rows.min()) == (box.x_px, box.y_px)


async def test_bad_picture_of_several_is_named(serve: Any, red_png: bytes) -> None:
    """The refusal says which; of one picture it says what Segment says."""
    served = await serve()
    stub = _stub(served)
    several = await _refusal(stub.ModelInfer(_pictures(red_png, b"no image", red_png)))
    one = await _refusal(stub.ModelInfer(_pictures(b"no image")))
    segment = await _refusal(served.stub.Segment(v1.SegmentRequest(image=b"no image")))
    assert {r.code() for r in (several, one, segment)} == {Code.INVALID_ARGUMENT}
    assert one.details() == segment.details()
    assert several.details() == f"encoded_image[1]: {segment.details()}"
    counted = {"method": "ModelInfer", "code": "INVALID_ARGUMENT"}
    assert served.sample("hunique_requests_total", **counted) == 2
    await served.until("hunique_queue_items", 0)


@pytest.mark.parametrize("way", ["looks", "pictures"])
async def test_full_server_says_when_to_come_back(
    serve: Any, obedient: Any, small_png: bytes, way: str
) -> None:
    """Every picture of a request needs a place; one too many is refused at once, with a time."""
    served = await serve(obedient, max_queue_items=3, max_image_bytes=1000)
    stub = _stub(served)
    obedient.hold()
    running = stub.ModelInfer(_pictures(small_png, small_png))
    await obedient.busy()
    too_large = await _refusal(stub.ModelInfer(_pictures(small_png, small_png + bytes(1000))))
    assert not too_large.trailing_metadata()
    two = _looks(_random_looks(2)) if way == "looks" else _pictures(small_png, small_png)
    refused = await _refusal(stub.ModelInfer(two))
    assert refused.code() is Code.RESOURCE_EXHAUSTED
    assert int(dict(refused.trailing_metadata())["retry-after-ms"]) > 0
    assert served.sample("hunique_rejected_total", reason="queue_full") == 1
    obedient.free.set()
    await running
    assert (await stub.ModelInfer(two)).outputs


async def test_request_that_never_fits_is_not_told_to_come_back(
    serve: Any, small_png: bytes
) -> None:
    """More pictures than the queue holds, or a larger one than is taken, need a change."""
    stub = _stub(await serve(max_queue_items=3, max_image_bytes=100))
    many = await _refusal(stub.ModelInfer(_looks(_random_looks(4))))
    assert many.code() is Code.INVALID_ARGUMENT
    assert "at most 3 pictures in a request (--max-queue-items), found 4" in many.details()
    large = await _refusal(stub.ModelInfer(_pictures(small_png + bytes(100))))
    assert large.code() is Code.RESOURCE_EXHAUSTED
    assert not large.trailing_metadata()


@pytest.mark.parametrize("way", ["deadline", "parameter"])
@pytest.mark.parametrize("kind", ["looks", "pictures"])
async def test_caller_out_of_time_costs_no_run(
    serve: Any, obedient: Any, small_png: bytes, way: str, kind: str
) -> None:
    """The call's deadline and the protocol's `timeout` both end the wait, before any run."""
    served = await serve(obedient)
    stub = _stub(served)
    obedient.hold()
    running = stub.ModelInfer(_looks(_random_looks(1)))
    await obedient.busy()
    request = _looks(_random_looks(1)) if kind == "looks" else _pictures(small_png)
    if way == "parameter":
        request.parameters["timeout"].int64_param = 1
    late = stub.ModelInfer(request, timeout=0.5 if way == "deadline" else None)
    if way == "deadline" or kind == "pictures":
        assert (await _refusal(late)).code() is Code.DEADLINE_EXCEEDED
        await served.until("hunique_queue_items", 1)
    obedient.free.set()
    await running
    if way == "parameter":
        assert (await _refusal(late)).code() is Code.DEADLINE_EXCEEDED
        assert served.sample("hunique_rejected_total", reason="deadline") == 1
    assert obedient.batches == [1]
