"""What models are and have done, as an unmodified tritonclient is told by a real server process."""

import base64
import json
from typing import Any

import numpy as np
import pytest
from foreign_program import run_program
from google.protobuf.descriptor_pb2 import DescriptorProto, FileDescriptorProto
from repository_writing import Shelf

from hunique_models.bundle import Bundle
from hunique_proto.inference import model_configuration_pb2, open_inference_pb2

STAGES = ("queue", "compute_input", "compute_infer", "compute_output")


@pytest.fixture(scope="module")
def seen(
    tiny_bundle: Bundle, red_png: bytes, server_process: Any,
    tmp_path_factory: pytest.TempPathFactory,
) -> Any:  # fmt: skip
    """What tritonclient saw of a server that took requests one after another."""
    folder = tmp_path_factory.mktemp("triton")
    (folder / "red.png").write_bytes(red_png)
    np.save(folder / "looks.npy", np.zeros((3, 64, 64, 3), np.uint8))
    shelf = Shelf(folder / "models", tiny_bundle)
    shelf.add("hands", "1.0.0")
    flags = ("--model-repository", str(shelf.path))
    with server_process(tiny_bundle.path, folder / "h.sock", *flags) as (_, address):
        return run_program("triton_observer.py", address, folder / "red.png", folder / "looks.npy")


def _messages(files: list[FileDescriptorProto]) -> dict[str, DescriptorProto]:
    """By full name, nested ones too."""
    found: dict[str, DescriptorProto] = {}

    def add(prefix: str, messages: Any) -> None:
        for message in messages:
            found[f"{prefix}.{message.name}"] = message
            add(f"{prefix}.{message.name}", message.nested_type)

    for file in files:
        add(file.package, file.message_type)
    return found


def _fields(message: DescriptorProto) -> dict[str, tuple[int, int, int, str]]:
    return {f.name: (f.number, f.label, f.type, f.type_name) for f in message.field}


def test_wire_is_tritons(seen: Any) -> None:
    """What we know of a configuration has Triton's names, numbers and types; so have the calls."""
    theirs = [FileDescriptorProto.FromString(base64.b64decode(d)) for d in seen["descriptors"]]
    ours = FileDescriptorProto.FromString(model_configuration_pb2.DESCRIPTOR.serialized_pb)
    known = _messages(theirs)
    assert ours.message_type
    for name, message in _messages([ours]).items():
        assert _fields(message).items() <= _fields(known[name]).items(), name
        assert [o.name for o in message.oneof_decl] in ([], ["policy_choice"])
    (types,) = ours.enum_type
    published = next(e for e in theirs[1].enum_type if e.name == types.name)
    assert {v.name: v.number for v in types.value} == {v.name: v.number for v in published.value}
    service = open_inference_pb2.DESCRIPTOR.services_by_name["GRPCInferenceService"]
    called = {m.name: (m.input_type, m.output_type) for m in theirs[0].service[0].method}
    for name in ("ModelConfig", "ModelStatistics"):
        method = service.methods_by_name[name]
        types_of = (f".{method.input_type.full_name}", f".{method.output_type.full_name}")
        assert types_of == called[name]


def test_extensions_are_announced(seen: Any) -> None:
    """By the names that Triton gives them."""
    assert {"model_configuration", "statistics"} <= set(seen["extensions"])


def test_configuration_says_what_metadata_says(seen: Any, tiny_bundle: Bundle) -> None:
    """Tensors of both have the same names, types and shapes, and no batch is said to be left out."""
    config, metadata = seen["config"], seen["metadata"]
    types = {"UINT8": "TYPE_UINT8", "FP32": "TYPE_FP32", "BYTES": "TYPE_STRING"}
    for kind in ("input", "output"):
        told = [(t["name"], t["data_type"], t["dims"]) for t in config[kind]]
        described = [(t["name"], types[t["datatype"]], t["shape"]) for t in metadata[f"{kind}s"]]
        assert told == described
    assert all(tensor["optional"] for tensor in config["input"])
    assert (config["name"], config["platform"]) == ("tiny", metadata["platform"])
    assert config["backend"] == "hunique"
    assert config.get("max_batch_size", 0) == 0
    assert config["version_policy"] == {"specific": {}}
    parameters = {key: value.get("string_value") for key, value in config["parameters"].items()}
    assert parameters == {
        "version": "1.2.3",
        "versions": "1.2.3",
        "aliases": "default",
        "model_sha256": tiny_bundle.sha256,
        "engine": "onnxruntime:cpu",
    }


def _change(seen: Any, step: str, model: str = "tiny:1.2.3") -> dict[str, Any]:
    """By how much a step moved the counters of a model."""
    steps = list(seen["steps"])
    now = seen["steps"][step]["models"][model]
    before = seen["steps"][steps[steps.index(step) - 1]]["models"][model]
    change = {kind: [a - b for a, b in zip(now[kind], before[kind], strict=True)]
              for kind in ("success", "fail", *STAGES)}  # fmt: skip
    for kind in ("inference_count", "execution_count"):
        change[kind] = now[kind] - before[kind]
    return change


def test_nothing_is_counted_before_there_is_anything(seen: Any) -> None:
    """Self-test and warm-up are no requests, at the start and after a load."""
    for step, model in (("start", "tiny:1.2.3"), ("loaded", "hands:1.0.0")):
        counters = seen["steps"][step]["models"][model]
        assert counters.pop("batches") == []
        assert {json.dumps(value) for value in counters.values()} == {"0", "[0, 0]"}
    assert set(seen["steps"]["start"]["models"]) == {"tiny:1.2.3"}


@pytest.mark.parametrize(("step", "items"), [("picture", 1), ("two pictures", 2), ("looks", 3)])
def test_answer_counts_once_and_its_pictures_each(seen: Any, step: str, items: int) -> None:
    """One success, with the time of each stage within it; nothing failed."""
    change = _change(seen, step)
    assert change["inference_count"] == items
    assert (change["fail"], change["success"][0]) == ([0, 0], 1)
    assert [change[stage][0] for stage in STAGES] == [1] * 4
    times_ns = [change[stage][1] for stage in STAGES]
    assert all(ns > 0 for ns in times_ns)
    assert sum(times_ns) <= change["success"][1] <= seen["steps"][step]["took_ns"]


@pytest.mark.parametrize("step", ["no picture", "one of two", "wrong shape", "late"])
def test_refusal_counts_as_failure_alone(seen: Any, step: str) -> None:
    """Whatever was wrong: one failure, no success, no time of a stage, no picture."""
    change = _change(seen, step)
    assert change["fail"][0] == 1
    assert 0 < change["fail"][1] <= seen["steps"][step]["took_ns"]
    assert change["inference_count"] == 0
    assert [change[kind] for kind in ("success", *STAGES)] == [[0, 0]] * 5


def test_runs_are_counted_by_their_looks(seen: Any) -> None:
    """Each look of each answer was in one run; what a run took is in it and in no other."""
    steps = list(seen["steps"].values())[:4]
    batches = steps[-1]["models"]["tiny:1.2.3"]["batches"]
    looks = sum(step.get("looks", 0) for step in steps)
    assert looks > 6
    assert sum(size * count for size, count, _ in batches) == looks
    assert all(ns > 0 for *_, ns in batches)
    executions = steps[-1]["models"]["tiny:1.2.3"]["execution_count"]
    assert executions == sum(count for _, count, _ in batches)
    assert [size for size, *_ in batches] == sorted({size for size, *_ in batches})


def test_last_inference_is_when_the_engine_last_ran(seen: Any) -> None:
    """In milliseconds since the epoch; a refusal without a run leaves it as it was."""
    steps = seen["steps"]
    last_ms = [steps[s]["models"]["tiny:1.2.3"]["last_inference"] for s in ("picture", "looks")]
    assert steps["start"]["now_ms"] <= last_ms[0] <= steps["picture"]["now_ms"] <= last_ms[1]
    assert last_ms[1] <= steps["looks"]["now_ms"]
    assert steps["no picture"]["models"]["tiny:1.2.3"]["last_inference"] == last_ms[1]


def test_models_count_apart(seen: Any) -> None:
    """A model that is loaded later counts its own; one that is not served counts nowhere."""
    nothing = {kind: [0, 0] for kind in ("success", "fail", *STAGES)}
    nothing |= {"inference_count": 0, "execution_count": 0}  # type: ignore[dict-item]
    assert _change(seen, "other model") == nothing
    assert _change(seen, "loaded picture") == nothing
    hands = _change(seen, "loaded picture", "hands:1.0.0")
    assert (hands["success"][0], hands["inference_count"], hands["execution_count"]) == (1, 1, 1)


@pytest.mark.parametrize("case", ["config", "statistics"])
def test_unknown_model_is_not_found(seen: Any, case: str) -> None:
    """With the sentence that says which are served."""
    assert seen["errors"][case][0] == "StatusCode.NOT_FOUND"
    assert "found 'other'" in seen["errors"][case][1]
    status, message = seen["errors"][f"{case} of a version"]
    assert status == "StatusCode.NOT_FOUND"
    assert "expected version '1.2.3' of 'tiny' or none, found '9'" in message
