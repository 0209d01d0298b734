"""From drawn pictures to an answer over the wire, each step by the command a user types."""

import io
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from hunique_client import HuniqueClient, SegmentResult, Status
from hunique_models.drawn import draw_hand
from hunique_models.pipeline import Pipeline
from hunique_training.checkpoint import ClassOperatingPoint, load_model, save_model
from hunique_training.evaluation.torch_engine import TorchEngine
from hunique_training.manifest import manifest_of

INPUT_SIZE_PX = 128


def _run(module: str, *arguments: str) -> str:
    ran = subprocess.run(
        [sys.executable, "-m", module, *arguments],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr[-2000:]
    return ran.stdout


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model after two steps, thresholds in the middle of what it says."""
    run = tmp_path_factory.mktemp("run")
    fit = ["--threads", "1", "fit", "--data", "drawn:4", "--steps", "2", "--batch-size", "2"]
    _run("hunique_training", *fit, "--out", str(run), "--input-size-px", str(INPUT_SIZE_PX))
    model = load_model(run / "model.pt")
    assert model.input_size_px == INPUT_SIZE_PX
    tile = draw_hand(3, size_px=(INPUT_SIZE_PX, INPUT_SIZE_PX)).pixels
    middle = np.median(TorchEngine(model.network).run(tile[None]).probability[0], axis=(1, 2))
    points = {
        name: ClassOperatingPoint(presence_threshold=0.0001, pixel_threshold=float(level) / 255)
        for name, level in zip(model.network.config.class_names, middle, strict=True)
    }
    model.operating_point.update(points)
    save_model(run / "model.pt", model)
    return run / "model.pt"


@pytest.fixture(scope="module")
def picture() -> bytes:
    """A drawn hand as PNG."""
    buffer = io.BytesIO()
    Image.fromarray(draw_hand(3, size_px=(240, 320)).pixels).save(buffer, "PNG")
    return buffer.getvalue()


@pytest.fixture(scope="module")
def answer(
    trained: Path, picture: bytes, tmp_path_factory: pytest.TempPathFactory
) -> SegmentResult:
    """What a private server of the exported model says of the picture."""
    bundle = tmp_path_factory.mktemp("export") / "bundle"
    release = ["--name", "two-steps", "--model-version", "0.0.1", "--licence", "Apache-2.0"]
    release += ["--data-statement", "Four drawn hands.", "--picture-count", "2"]
    _run("hunique_export", "onnx", str(trained), "--out", str(bundle), *release)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HUNIQUE_SERVER_BUNDLE", str(bundle))
        patch.delenv("HUNIQUE_SERVER", raising=False)
        with HuniqueClient() as client:
            described = client.describe_model()
            assert (described.name, described.version) == ("two-steps", "0.0.1")
            return client.segment(picture)


def _union(result: SegmentResult, name: str) -> np.ndarray:
    (found,) = (c for c in result.classes if c.name == name)
    union = np.zeros((240, 320), bool)
    for instance in found.instances:
        union |= np.asarray(Image.open(io.BytesIO(instance.mask_png)), bool)
    return union


def test_served_masks_are_those_of_the_trained_network(
    trained: Path, picture: bytes, answer: SegmentResult
) -> None:
    """The client's masks differ from torch's own on fewer than one pixel in a thousand."""
    model = load_model(trained)
    findings = Pipeline(manifest_of(model)).segment(picture, TorchEngine(model.network)).findings
    compared = 0
    for finding in findings:
        if finding.status.value != Status.PRESENT.value:
            continue
        expected = np.zeros((240, 320), bool)
        for instance in finding.instances:
            expected |= instance.mask.full().astype(bool)
        assert (expected != _union(answer, finding.name)).mean() < 1e-3
        compared += int(expected.any() and not expected.all())
    assert compared
