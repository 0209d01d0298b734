"""Events for TensorBoard, where it is installed; a sentence where it is not."""

import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from hunique_training.cli import main

FIT = ["--threads", "1", "fit", "--pretrained", "none", "--batch-size", "2", "--steps", "2",
       "--input-size-px", "64", "--crop-size-px", "64", "--tensorboard"]  # fmt: skip


def test_its_absence_is_told(
    tmp_path: Path, labelled_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before the first step, with what to install."""
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    command = [*FIT, "--data", str(labelled_folder), "--out", str(tmp_path / "run")]
    result = CliRunner().invoke(main, command)
    assert result.exit_code == 1
    assert "pip install tensorboard" in result.output
    assert not (tmp_path / "run" / "metrics.csv").exists()


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_curves_panels_and_histograms_are_written(tmp_path: Path, labelled_folder: Path) -> None:
    """Of the paper's method: losses, IoU by class, the panel, CAM values and pixel weights."""
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    run = tmp_path / "run"
    command = [*FIT, "--preset", "paper", "--encoder", "efficientnet_lite0"]
    command += ["--validate-every-steps", "1", "--data", str(labelled_folder), "--out", str(run)]
    result = CliRunner().invoke(main, command)
    assert result.exit_code == 0, result.output
    events = EventAccumulator(str(run / "tensorboard"))
    events.Reload()
    tags = events.Tags()
    assert {
        "losses/total",
        "losses/threshold",
        "validation/mean_iou",
        "validation/iou_ring",
    } <= set(tags["scalars"])
    assert [event.step for event in events.Scalars("validation/mean_iou")] == [1, 2]
    assert tags["images"] == ["panels"]
    assert {"threshold/auxiliary_cam", "weights/pixels"} <= set(tags["histograms"])
