"""Engines compute each look for itself, and a device that is not there is said, not replaced."""

import ctypes
import dataclasses
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest

from hunique_models.bundle import Bundle, write_bundle
from hunique_models.engine import open_engine
from hunique_models.errors import EngineRunError, EngineUnavailableError

NO_CUDA = "CUDAExecutionProvider" not in onnxruntime.get_available_providers()


@pytest.fixture
def looks() -> np.ndarray:
    """(5, 64, 64, 3) of coloured blocks, each look another."""
    blocks = np.random.default_rng(3).integers(0, 256, (5, 8, 8, 3), np.uint8)
    return blocks.repeat(8, axis=1).repeat(8, axis=2)


def test_outputs_have_the_promised_form(tiny_bundle: Bundle, looks: np.ndarray) -> None:
    """Maps are uint8 of a quarter of the side, scores float32 of 0 to 1, one row a look."""
    engine = open_engine(tiny_bundle)
    probability, score = engine.run(looks)
    assert (probability.dtype, probability.shape) == (np.uint8, (5, 4, 16, 16))
    assert (score.dtype, score.shape) == (np.float32, (5, 4))
    assert ((score >= 0) & (score <= 1)).all()
    engine.close()


def test_answers_do_not_depend_on_neighbours(tiny_bundle: Bundle, looks: np.ndarray) -> None:
    """Same look, same bytes: alone, in any batch, at any place, with any number of threads."""
    engine, threaded = open_engine(tiny_bundle), open_engine(tiny_bundle, threads=2)
    together = engine.run(looks)
    assert len(np.unique(together.probability, axis=0)) == len(looks)
    backwards = threaded.run(np.ascontiguousarray(looks[::-1]))
    for index in range(len(looks)):
        alone = engine.run(looks[index : index + 1])
        for batch, place in ((together, index), (backwards, -1 - index)):
            assert batch.probability[place].tobytes() == alone.probability[0].tobytes()
            assert batch.score[place].tobytes() == alone.score[0].tobytes()


def test_engine_says_what_it_is(tiny_bundle: Bundle) -> None:
    """For provenance: runtime, device, version and threads."""
    info = open_engine(tiny_bundle, "cpu", threads=2).describe()
    assert (info.name, info.threads) == ("onnxruntime:cpu", 2)
    assert info.runtime_versions == {"onnxruntime": onnxruntime.__version__}


def test_looks_of_another_size_are_an_engine_error(tiny_bundle: Bundle) -> None:
    """A run that fails is an EngineRunError with the shape, and the engine goes on working."""
    engine = open_engine(tiny_bundle)
    with pytest.raises(EngineRunError, match=r"\(1, 32, 32, 3\)"):
        engine.run(np.zeros((1, 32, 32, 3), np.uint8))
    engine.warm_up()


def test_scores_that_are_no_numbers_are_an_engine_error(
    tiny_bundle: Bundle, tmp_path: Path, looks: np.ndarray
) -> None:
    """They would be below every threshold: a picture with a ring would be answered "absent"."""
    model = onnx.load_from_string((tiny_bundle.path / "model.onnx").read_bytes())
    model.graph.node[-1].input[1] = "zero"  # what is divided by it is NaN or infinite
    contents = {"model.onnx": model.SerializeToString()}
    engine = open_engine(write_bundle(tmp_path / "odd", tiny_bundle.manifest, contents))
    for images in (np.zeros_like(looks), looks):
        with pytest.raises(EngineRunError, match="finite scores"):
            engine.run(images)


@pytest.mark.parametrize(
    "device", ["", "gpu", "cpu:0", "cuda:x", "cuda:-1", "tensorrt:1:2", "CPU", "cuda:²", "cuda:٣"]
)
def test_unknown_device_names_are_refused(device: str, tiny_bundle: Bundle) -> None:
    """A device name with a slip is refused with the names that are understood."""
    with pytest.raises(EngineUnavailableError, match="native-tensorrt"):
        open_engine(tiny_bundle, device)


@pytest.mark.skipif(not NO_CUDA, reason="this ONNX Runtime has CUDA")
@pytest.mark.parametrize("device", ["cuda", "cuda:1", "tensorrt"])
def test_gpu_that_is_not_there_is_no_cpu(device: str, tiny_bundle: Bundle) -> None:
    """A GPU that was asked for is never silently replaced; the error says what to install."""
    with pytest.raises(EngineUnavailableError, match=r"hunique\[gpu\]"):
        open_engine(tiny_bundle, device)


def test_native_tensorrt_needs_a_driver(
    tiny_bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a driver the error says so before TensorRT, which would crash, is touched."""

    def absent(name: str) -> None:
        raise OSError(name)

    monkeypatch.setattr(ctypes, "CDLL", absent)
    monkeypatch.setitem(sys.modules, "tensorrt", None)
    with pytest.raises(EngineUnavailableError, match="driver"):
        open_engine(tiny_bundle, "native-tensorrt")


def test_broken_graph_is_unavailable(tiny_bundle: Bundle, tmp_path: Path) -> None:
    """A bundle whose network is no graph opens as a bundle, but no engine runs it."""
    manifest = dataclasses.replace(tiny_bundle.manifest, known_answer=None)
    broken = write_bundle(tmp_path / "broken", manifest, {"model.onnx": b"no graph"})
    with pytest.raises(EngineUnavailableError, match="tiny on cpu"):
        open_engine(broken)


def test_nothing_is_reported_or_left_behind(tiny_bundle: Bundle, tmp_path: Path) -> None:
    """An engine that was opened and run leaves no file of its runtime's makers in the home."""
    program = (
        "import sys, pathlib\n"
        "from hunique_models.bundle import Bundle\n"
        "from hunique_models.engine import open_engine\n"
        "engine = open_engine(Bundle.open(pathlib.Path(sys.argv[1])))\n"
        "engine.warm_up()\n"
    )
    kept = {k: v for k, v in os.environ.items() if k != "ORT_DISABLE_TELEMETRY"}
    home = {"HOME": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path / "cache")}
    command = [sys.executable, "-c", program, str(tiny_bundle.path)]
    subprocess.run(command, check=True, timeout=60, env={**kept, **home, "TMPDIR": str(tmp_path)})
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]
