"""An unmodified tritonclient against a real server process; triton_caller.py does the calls.

tritonclient runs in a process of its own, and no process of ours ever imports it: its stubs and
ours define the same messages of package `inference`, and protobuf allows one definition each.
"""

import base64
from typing import Any

import numpy as np
import pytest
from foreign_program import run_program
from google.protobuf.descriptor_pb2 import DescriptorProto, FileDescriptorProto

from hunique_models.bundle import Bundle
from hunique_models.engine import open_engine
from hunique_models.pipeline import Pipeline
from hunique_proto.inference import open_inference_pb2 as pb


@pytest.fixture(scope="module")
def looks() -> np.ndarray:
    """Three looks of noise."""
    return np.random.default_rng(3).integers(0, 256, (3, 64, 64, 3), np.uint8)


@pytest.fixture(scope="module")
def seen(
    tiny_bundle: Bundle, red_png: bytes, looks: np.ndarray, server_process: Any,
    tmp_path_factory: pytest.TempPathFactory,
) -> Any:  # fmt: skip
    """What tritonclient saw of a server of the tiny bundle."""
    folder = tmp_path_factory.mktemp("triton")
    (folder / "red.png").write_bytes(red_png)
    np.save(folder / "looks.npy", looks)
    with server_process(tiny_bundle.path, folder / "h.sock") as (_, address):
        return run_program("triton_caller.py", address, folder / "red.png", folder / "looks.npy")


def _messages(file: FileDescriptorProto) -> dict[str, DescriptorProto]:
    """By full name, nested ones too."""
    found: dict[str, DescriptorProto] = {}

    def add(prefix: str, messages: Any) -> None:
        for message in messages:
            found[f"{prefix}.{message.name}"] = message
            add(f"{prefix}.{message.name}", message.nested_type)

    add(file.package, file.message_type)
    return found


def test_wire_is_tritons(seen: Any) -> None:
    """Every message, field and method of ours is one of theirs: name, number and type."""
    theirs = FileDescriptorProto.FromString(base64.b64decode(seen["descriptor"]))
    ours = FileDescriptorProto.FromString(pb.DESCRIPTOR.serialized_pb)
    assert ours.package == theirs.package
    known = _messages(theirs)
    for name, message in _messages(ours).items():
        fields = {f.name: (f.number, f.label, f.type, f.type_name) for f in message.field}
        published = {f.name: (f.number, f.label, f.type, f.type_name) for f in known[name].field}
        assert fields == published, name
    methods = {m.name: m for m in theirs.service[0].method}
    assert ours.service[0].name == theirs.service[0].name
    for method in ours.service[0].method:
        other = methods[method.name]
        assert (method.input_type, method.output_type) == (other.input_type, other.output_type)
        assert method.client_streaming == other.client_streaming
        assert method.server_streaming == other.server_streaming


def test_server_and_model_are_found(seen: Any) -> None:
    """Live, ready, named and described; a model that is not served is not ready."""
    described = seen["described"]
    assert (described["live"], described["ready"]) == (True, True)
    assert described["model_ready"] == [True, True, False]
    assert described["server"]["name"] == "hunique"
    assert [tensor["name"] for tensor in described["model"]["inputs"]] == ["image", "encoded_image"]
    index = described["index"]["models"]
    assert index == [{"name": "tiny", "version": "1.2.3", "state": "READY"}]


def test_looks_get_what_the_engine_says(seen: Any, looks: np.ndarray, tiny_bundle: Bundle) -> None:
    """The tensors that a caller reads are the engine's own."""
    engine = open_engine(tiny_bundle)
    expected = engine.run(looks)
    engine.close()
    assert (seen["looks"]["id"], seen["looks"]["version"]) == ("exhibit 7", "1.2.3")
    assert (np.array(seen["looks"]["probability"]) == expected.probability).all()
    assert (np.array(seen["looks"]["score"], np.float32) == expected.score).all()


def test_pictures_get_findings_and_masks(seen: Any, tiny_bundle: Bundle, red_png: bytes) -> None:
    """What is on the picture, where it is, as the pipeline itself finds it."""
    engine = open_engine(tiny_bundle)
    expected = Pipeline(tiny_bundle.manifest).segment(red_png, engine)
    engine.close()
    found = seen["pictures"]["findings"]["findings"]
    assert [one["status"] for one in found] == [str(one.status) for one in expected.findings]
    mask = expected.findings[0].instances[0].mask
    assert found[0]["instances"][0]["box_xywh_px"] == list(mask.box)
    assert (np.array(seen["pictures"]["labels"]) == mask.full()).all()
    assert (np.array(seen["pictures"]["masks"])[0] == mask.full()).all()
    assert not np.any(seen["pictures"]["masks"][1:])
    for one in seen["pictures"]["two"]:
        assert one["provenance"]["look_count"] == 1
        assert [f["status"] for f in one["findings"]] == ["skipped", "absent", *["skipped"] * 2]


ERRORS = {
    "other model": ("NOT_FOUND", "expected the model 'tiny' or no name, found 'other'"),
    "other version": ("NOT_FOUND", "expected version '1.2.3' of 'tiny' or none, found '9'"),
    "shape": ("INVALID_ARGUMENT", "shape [N, 64, 64, 3], N at least 1, found [1, 8, 8, 3]"),
    "datatype": ("INVALID_ARGUMENT", "expected image as UINT8, found FP32"),
    "no input": ("INVALID_ARGUMENT", "expected one input, image or encoded_image, found none"),
    "no image": ("INVALID_ARGUMENT", "none of these"),
    "output": ("INVALID_ARGUMENT", "out of findings, labels, masks; found 'depth'"),
    "late": ("DEADLINE_EXCEEDED", "deadline passed"),
    "load": ("UNIMPLEMENTED", "--bundle"),
    "unload": ("UNIMPLEMENTED", "--bundle"),
}


@pytest.mark.parametrize("case", ERRORS)
def test_error_says_what_was_expected(seen: Any, case: str) -> None:
    """Code and sentence arrive as the server said them."""
    code, said = ERRORS[case]
    status, message = seen["errors"][case]
    assert status == f"StatusCode.{code}"
    assert said in message


def test_stream_goes_on_after_an_error(seen: Any) -> None:
    """Three requests, three answers in order, the middle one an error that says why."""
    first, error, last = seen["stream"]
    assert (first, last) == ("a", "c")
    assert "expected detail out of fast, standard, fine; found 'finest'" in error
