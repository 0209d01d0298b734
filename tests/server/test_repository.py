"""Loading, switching and unloading in a running server, as an administrator does it by gRPC."""

import asyncio
import gc
import threading
import weakref
from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest
from administrator import Admin, refusal
from repository_writing import Shelf

from hunique_proto.inference import open_inference_pb2 as pb
from hunique_proto.inference import open_inference_pb2_grpc as pb_grpc
from hunique_proto.v1 import hand_features_pb2 as v1

Code = grpc.StatusCode
LONG_S = 120.0


def _examined_by(answer: v1.SegmentResponse) -> str:
    model = answer.provenance.model
    return f"{model.name}:{model.version}"


async def test_newest_version_is_served_and_others_on_demand(
    serve: Any, shelf: Shelf, small_png: bytes
) -> None:
    """A repository alone: its one name, its newest version by number; a load adds and switches."""
    for version in ("1.9.0", "1.10.0", "1.10.0-rc.1"):
        shelf.add("hands", version)
    served = await serve(bundles=(), model_repository=shelf.path)
    admin = Admin(served)
    assert await admin.index() == {
        "hands:1.10.0": "READY", "hands:1.10.0-rc.1": "UNAVAILABLE", "hands:1.9.0": "UNAVAILABLE",
    }  # fmt: skip
    assert await admin.described() == "hands:1.10.0"
    await admin.load("hands:1.9.0")
    assert await admin.described("default") == "hands:1.9.0"
    assert await admin.index(ready=True) == {"hands:1.9.0": "READY"}
    await admin.load("hands", version_policy={"specific": {"versions": ["1.9.0", "1.10.0"]}})
    assert await admin.versions("hands") == ["1.10.0", "1.9.0"]
    for model, expected in (
        ("", "1.10.0"), ("hands", "1.10.0"), ("hands:1.9.0", "1.9.0"), ("default:1.9.0", "1.9.0"),
    ):  # fmt: skip
        answer = await served.stub.Segment(v1.SegmentRequest(image=small_png, model=model))
        assert _examined_by(answer) == f"hands:{expected}"
    await admin.load("hands", version_policy={"all": {}})
    assert await admin.versions("hands") == ["1.10.0", "1.10.0-rc.1", "1.9.0"]
    shelf.add("hands", "1.11.0")
    await admin.load("default")
    assert await admin.versions("hands") == ["1.11.0"]


@pytest.mark.parametrize("way", ["Segment", "SegmentStream", "ModelInfer", "ModelStreamInfer"])
async def test_request_names_its_model(
    serve: Any, shelf: Shelf, small_png: bytes, way: str
) -> None:
    """By every method, provenance is of the model that was asked for; of an unknown one, none."""
    first, second = shelf.add("one", "1.0.0"), shelf.add("two", "1.0.0")
    served = await serve(bundles=(first.path, second.path))
    inference = pb_grpc.GRPCInferenceServiceStub(served.channel)

    async def ask(model: str) -> tuple[str, str]:
        """Who answered, by digest; or the error."""
        if way == "Segment":
            answer = await served.stub.Segment(v1.SegmentRequest(image=small_png, model=model))
            return answer.provenance.model.sha256, ""
        if way == "SegmentStream":
            request = v1.SegmentRequest(image=small_png, model=model, request_id="1")
            (one,) = [a async for a in served.stub.SegmentStream(iter([request]))]
            return one.response.provenance.model.sha256, one.error.message
        request = pb.ModelInferRequest(model_name=model)
        request.inputs.add(name="encoded_image", datatype="BYTES", shape=[1])
        request.inputs[0].contents.bytes_contents.append(small_png)
        if way == "ModelInfer":
            answer = await inference.ModelInfer(request)
            return answer.parameters["model_sha256"].string_param, ""
        (one,) = [a async for a in inference.ModelStreamInfer(iter([request]))]
        return one.infer_response.parameters["model_sha256"].string_param, one.error_message

    for model, expected in (("", first), ("one", first), ("two", second), ("two:1.0.0", second)):
        assert await ask(model) == (expected.sha256, "")
    said = "expected the model 'one' or 'two' or no name, found 'three'"
    if "Stream" in way:
        assert (await ask("three"))[1] == said
    else:
        assert await refusal(ask("three")) == (Code.NOT_FOUND, said)


async def test_everything_goes_on_while_a_model_is_loaded(
    serve: Any, shelf: Shelf, small_png: bytes, held: Any
) -> None:
    """Until the new one has passed, the old one answers, and the index says what happens."""
    shelf.add("hands", "1.0.0")
    served = await serve(bundles=(), model_repository=shelf.path)
    admin = Admin(served)
    shelf.add("hands", "2.0.0")
    begun, go_on = held.hold("2.0.0")
    loading = asyncio.create_task(admin.load("hands"))
    assert await asyncio.to_thread(begun.wait, LONG_S)
    answer = await served.stub.Segment(v1.SegmentRequest(image=small_png))
    assert _examined_by(answer) == "hands:1.0.0"
    assert await admin.index() == {"hands:1.0.0": "READY", "hands:2.0.0": "LOADING"}
    assert not await admin.ready("hands", "2.0.0")
    go_on.set()
    await loading
    assert await admin.ready("hands", "2.0.0")
    assert await admin.described() == "hands:2.0.0"


async def test_what_is_under_way_ends_on_its_model(
    serve: Any, shelf: Shelf, obedient: Any, small_png: bytes
) -> None:
    """A picture of the old model is answered by it after the switch; then the old one goes."""
    shelf.add("tiny", "2.0.0")
    served = await serve(obedient, model_repository=shelf.path)
    admin = Admin(served)
    obedient.hold()
    under_way = served.stub.Segment(v1.SegmentRequest(image=small_png))
    await obedient.busy()
    await admin.load("tiny")
    assert await admin.index() == {"tiny:1.2.3": "UNLOADING", "tiny:2.0.0": "READY"}
    new = await served.stub.Segment(v1.SegmentRequest(image=small_png))
    assert _examined_by(new) == "tiny:2.0.0"
    assert not await admin.ready("tiny", "1.2.3")
    assert not under_way.done()
    obedient.free.set()
    assert _examined_by(await under_way) == "tiny:1.2.3"
    await served.server.models.released()
    assert await admin.index() == {"tiny:2.0.0": "READY"}
    assert obedient.closed


async def test_metrics_name_what_is_in_memory(serve: Any, shelf: Shelf) -> None:
    """One series a model, from its load to its release."""

    def named() -> set[tuple[str, str, str]]:
        return {
            (one.labels["name"], one.labels["version"], one.labels["sha256"])
            for metric in served.server.metrics.registry.collect()
            for one in metric.samples
            if one.name == "hunique_model_info" and one.value == 1
        }

    first, second = shelf.add("hands", "1.0.0"), shelf.add("nails", "2.0.0")
    served = await serve(bundles=(first.path,), model_repository=shelf.path)
    admin = Admin(served)
    assert named() == {("hands", "1.0.0", first.sha256)}
    await admin.load("nails")
    assert named() == {("hands", "1.0.0", first.sha256), ("nails", "2.0.0", second.sha256)}
    await admin.unload("nails")
    await served.server.models.released()
    assert named() == {("hands", "1.0.0", first.sha256)}


async def test_memory_of_the_old_model_comes_back(
    serve: Any, shelf: Shelf, small_png: bytes, held: Any
) -> None:
    """Once its last picture is answered nothing keeps its sessions, neither narrow nor wide."""
    shelf.add("hands", "1.0.0")
    served = await serve(bundles=(), model_repository=shelf.path, threads=2)
    admin = Admin(served)
    for number in range(2, 5):
        await served.stub.Segment(v1.SegmentRequest(image=small_png))
        shelf.add("hands", f"{number}.0.0")
        old = list(held.sessions)
        model = weakref.ref(served.server.models.catalogue.find().segmenter)
        await admin.load("hands")
        await served.server.models.released()
        async with asyncio.timeout(LONG_S):  # the call's own task may not have ended yet
            while model() is not None:
                await asyncio.sleep(0)
                gc.collect()
        assert [session() for session in old] == [None] * len(old)
    assert any(session() is not None for session in held.sessions)
    await served.server.stop()
    assert "widening" not in [thread.name for thread in threading.enumerate()]


class _Streams:
    """Eight streams that send one picture after another, until they are told to end."""

    def __init__(self, served: Any, picture: bytes) -> None:
        self._served = served
        self._picture = picture
        self._ending = False
        self._more = asyncio.Condition()
        self.answers: list[v1.SegmentStreamResponse] = []
        """Of all of them."""
        self.sent: list[str] = []
        """Ids of what was sent."""

    async def run(self, number: int) -> None:
        """Be one of them."""
        room = asyncio.Semaphore(2)

        async def requests() -> AsyncIterator[v1.SegmentRequest]:
            while await room.acquire() and not self._ending:
                self.sent.append(f"{number}-{len(self.sent)}")
                yield v1.SegmentRequest(
                    image=self._picture, request_id=self.sent[-1], outputs=[v1.OUTPUT_SCORES_ONLY]
                )

        async for answer in self._served.stub.SegmentStream(requests()):
            room.release()
            async with self._more:
                self.answers.append(answer)
                self._more.notify_all()

    async def answer_more(self, count: int) -> None:
        """Wait until so many more were answered."""
        enough = len(self.answers) + count
        async with self._more:
            await self._more.wait_for(lambda: len(self.answers) >= enough)

    def end(self) -> None:
        """Send no more."""
        self._ending = True


async def test_switching_under_load_loses_nothing(
    serve: Any, shelf: Shelf, small_png: bytes
) -> None:
    """While versions change to and fro every picture of eight streams is answered, by one of them."""
    # without a known answer: hands are drawn slowly where eight streams want the same cores
    added = [shelf.add("hands", version, known_answer=None) for version in ("1.0.0", "2.0.0")]
    digests = {bundle.manifest.version: bundle.sha256 for bundle in added}
    served = await serve(bundles=(), model_repository=shelf.path, threads=2)
    admin, streams = Admin(served), _Streams(served, small_png)
    async with asyncio.timeout(3 * LONG_S), asyncio.TaskGroup() as tasks:
        for number in range(8):
            tasks.create_task(streams.run(number))
        for version in ("1.0.0", "2.0.0", "1.0.0"):
            await streams.answer_more(16)
            await admin.load(f"hands:{version}")
        await streams.answer_more(16)
        streams.end()
    assert [one.error.message for one in streams.answers if one.HasField("error")] == []
    assert sorted(one.request_id for one in streams.answers) == sorted(streams.sent)
    models = [one.response.provenance.model for one in streams.answers]
    assert {(model.version, model.sha256) for model in models} == set(digests.items())
    await served.server.models.released()
    assert await admin.index(ready=True) == {"hands:1.0.0": "READY"}


async def test_bundle_is_opened_again_where_it_changed(serve: Any, shelf: Shelf, held: Any) -> None:
    """A version that is in memory as it is on the disk stays; another bundle takes its place."""
    shelf.add("hands", "1.0.0")
    served = await serve(bundles=(), model_repository=shelf.path)
    admin = Admin(served)
    await admin.load("hands")
    await admin.load("hands:1.0.0")
    assert len(held.sessions) == 1
    changed = shelf.add("hands", "1.0.0", intended_use="Others.")
    await admin.load("hands")
    described = await served.stub.DescribeModel(v1.DescribeModelRequest())
    assert described.model.sha256 == changed.sha256
    await served.server.models.released()
    assert await admin.index() == {"hands:1.0.0": "READY"}
    gc.collect()
    assert [session() is None for session in held.sessions] == [True, False]


async def test_room_is_for_all_models_together(
    serve: Any, shelf: Shelf, obedient: Any, small_png: bytes
) -> None:
    """A second model lets no more pictures in, and its pictures do not wait for another's run."""
    other = shelf.add("other", "1.0.0")
    served = await serve(obedient, bundles=(shelf.tiny.path, other.path), max_queue_items=3)
    obedient.hold()
    request = v1.SegmentRequest(image=small_png)
    held_back = served.stub.Segment(request)
    await obedient.busy()
    to_other = v1.SegmentRequest(image=small_png, model="other")
    assert _examined_by(await served.stub.Segment(to_other)) == "other:1.0.0"
    second = served.stub.Segment(request)
    await served.until("hunique_queue_items", 2)
    assert (await refusal(served.stub.Segment(to_other)))[0] is Code.RESOURCE_EXHAUSTED
    obedient.free.set()
    for call in (held_back, second):
        assert _examined_by(await call) == "tiny:1.2.3"
