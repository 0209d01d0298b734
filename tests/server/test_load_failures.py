"""Models that are not as they should be: a load that fails changes nothing, and says why."""

import dataclasses
from typing import Any

import grpc
import pytest
from administrator import Admin, refusal
from repository_writing import Shelf

from hunique_models.geometry import Geometry
from hunique_proto.v1 import hand_features_pb2 as v1
from hunique_server import engines as engines_module

Code = grpc.StatusCode


def _cut(shelf: Shelf, version: str) -> None:
    model = shelf.add("hands", version).path / "model.onnx"
    model.write_bytes(model.read_bytes()[:-1] + b"\0")


def _without_graph(shelf: Shelf, version: str) -> None:
    shelf.add("hands", version, b"no graph")


def _with_finer_maps(shelf: Shelf, version: str) -> None:
    geometry = Geometry(input_size_px=64, output_stride_px=2)
    shelf.add("hands", version, known_answer=None, geometry=geometry)


def _with_other_answer(shelf: Shelf, version: str) -> None:
    answer = shelf.tiny.manifest.known_answer
    assert answer is not None
    scores = answer.scores | {"ring": 1.0 - answer.scores["ring"]}
    shelf.add("hands", version, known_answer=dataclasses.replace(answer, scores=scores))


def _under_another_name(shelf: Shelf, version: str) -> None:
    shelf.add("other", version).path.rename(shelf.path / "hands" / version)


BAD_BUNDLES = (
    (_cut, "expected SHA-256"),
    (_without_graph, "ONNX Runtime could not open"),
    (_with_finer_maps, "probability: expected uint8 of shape (1, 4, 32, 32)"),
    (_with_other_answer, "Self-test failed on ring"),
    (_under_another_name, "folder of that name, found that of 'other:6.0.0'"),
)


async def test_bundle_that_fails_changes_nothing(
    serve: Any, shelf: Shelf, small_png: bytes
) -> None:
    """Whatever is wrong with the new one, the old one goes on, and the caller is told what it is."""
    shelf.add("hands", "1.0.0")
    served = await serve(bundles=(), model_repository=shelf.path)
    admin = Admin(served)
    for number, (make, said) in enumerate(BAD_BUNDLES, start=2):
        version = f"{number}.0.0"
        make(shelf, version)
        code, sentence = await refusal(admin.load("hands"))
        assert code is Code.FAILED_PRECONDITION
        assert f"hands:{version} was not loaded and nothing was changed" in sentence
        assert said in sentence
        assert await admin.described() == "hands:1.0.0"
        assert (await admin.index())[f"hands:{version}"] == "UNAVAILABLE"
        again = await served.stub.Segment(v1.SegmentRequest(image=small_png))
        assert again.provenance.model.version == "1.0.0"


async def test_several_versions_are_loaded_together_or_not_at_all(serve: Any, shelf: Shelf) -> None:
    """One that fails keeps the good ones of the same request from being served."""
    for version in ("1.0.0", "2.0.0"):
        shelf.add("hands", version)
    _cut(shelf, "3.0.0")
    served = await serve(bundles=(), model_repository=shelf.path, load=("hands:1.0.0",))
    admin = Admin(served)
    all_of_them = {"specific": {"versions": ["1.0.0", "2.0.0", "3.0.0"]}}
    code, _ = await refusal(admin.load("hands", version_policy=all_of_them))
    assert code is Code.FAILED_PRECONDITION
    assert await admin.versions("hands") == ["1.0.0"]
    await admin.load("hands:2.0.0")
    assert await admin.described() == "hands:2.0.0"


async def test_fault_of_an_engine_is_logged_and_not_shown(
    serve: Any, shelf: Shelf, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Whatever an engine raises when it is opened, the load is refused and the server goes on."""
    shelf.add("hands", "1.0.0")
    admin = Admin(await serve(bundles=(), model_repository=shelf.path))
    shelf.add("hands", "2.0.0")

    def fail(*_: Any) -> Any:
        raise RuntimeError("secret")

    monkeypatch.setattr(engines_module, "open_engine", fail)
    code, said = await refusal(admin.load("hands"))
    assert code is Code.FAILED_PRECONDITION
    assert "the log of the server says how" in said
    assert "secret" not in said
    assert any(record.exc_info and "secret" in str(record.exc_info[1]) for record in caplog.records)
    assert await admin.described() == "hands:1.0.0"
