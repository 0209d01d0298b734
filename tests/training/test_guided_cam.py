"""The talk's experiment: three arms that differ in guidance alone, resumed and drawn."""

import csv
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from click.testing import CliRunner, Result

from hunique_training.cli import main
from hunique_training.guided_cam.chart import COLOURS, write_curves
from hunique_training.guided_cam.config import ARMS
from hunique_training.guided_cam.guidance import cam_target
from hunique_training.second_stage.batches import LabelledBatch


def _run(data: Path, out: Path, steps: int = 4) -> Result:
    words = ["guided-cam", "--data", str(data), "--out", str(out), "--steps", str(steps),
             "--every-steps", "2", "--batch-size", "2", "--crop-size-px", "64",
             "--input-size-px", "96", "--pictures", "2"]  # fmt: skip
    return CliRunner().invoke(main, words)


def _table(out: Path) -> list[dict[str, str]]:
    with (out / "guided-cam.csv").open(encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


@pytest.fixture(scope="module")
def experiment(tmp_path_factory: pytest.TempPathFactory, labelled_folder: Path) -> Path:
    """A finished one."""
    out = tmp_path_factory.mktemp("guided")
    done = _run(labelled_folder / "labels.csv", out)
    assert done.exit_code == 0, done.output
    return out


def test_arms_start_alike_and_part(experiment: Path) -> None:
    """A row for each arm and score; before the first step all are the same network."""
    rows = _table(experiment)
    assert [(row["arm"], int(row["step"])) for row in rows] == [
        (arm, step) for arm in ARMS for step in (0, 2, 4)
    ]
    starts = {tuple(v for k, v in row.items() if k != "arm") for row in rows if row["step"] == "0"}
    assert len(starts) == 1
    states = [
        torch.load(experiment / arm / "last.pt", weights_only=True)["network"] for arm in ARMS
    ]
    heads = [state["classifier.classes.weight"] for state in states]
    assert not torch.equal(heads[0], heads[1])
    assert not torch.equal(heads[1], heads[2])
    # guidance is the main CAM's alone
    assert torch.equal(
        states[0]["auxiliary_classifier.weight"], states[1]["auxiliary_classifier.weight"]
    )
    assert (experiment / "guided-cam.png").read_bytes()[1:4] == b"PNG"


def test_a_stopped_experiment_goes_on_exactly(
    tmp_path: Path, experiment: Path, labelled_folder: Path
) -> None:
    """An arm that lost its last part, and one that was never begun, give the same figures."""
    out = tmp_path / "again"
    assert _run(labelled_folder / "labels.csv", out).exit_code == 0
    before = (out / "guided-cam.csv").read_text()
    assert before == (experiment / "guided-cam.csv").read_text()
    kept = (out / "truth" / "last.pt").stat().st_mtime_ns
    with (out / "truth" / "curve.csv").open("a", encoding="utf-8") as stream:
        stream.write("6" + ",0.5" * 7 + "\n")  # scored, and stopped before its state was kept
    for file in (out / "noise").iterdir():
        file.unlink()
    (out / "none" / "last.pt").unlink()
    assert _run(labelled_folder / "labels.csv", out).exit_code == 0
    assert (out / "guided-cam.csv").read_text() == before
    assert (out / "truth" / "last.pt").stat().st_mtime_ns == kept


def test_another_experiment_is_refused(experiment: Path, labelled_folder: Path) -> None:
    """Rather than mixed into the curves of the first."""
    done = _run(labelled_folder / "labels.csv", experiment, steps=5)
    assert done.exit_code == 1
    assert "another experiment" in done.output


def _batch() -> LabelledBatch:
    pixels = torch.zeros(1, 8, 8, dtype=torch.int64)
    pixels[0, :4, :6] = 2
    pixels[0, 7] = 255
    images = torch.zeros(1, 3, 8, 8)
    return LabelledBatch(
        weak=images, strong=images, labels=torch.tensor([[1.0, 1.0, 0.0]]),
        known=torch.tensor([[True, True, True]]), boxes=torch.tensor([[0, 8, 0, 8]]),
        pixel_labels=pixels, open_classes=torch.tensor([[True, False, False]]),
    )  # fmt: skip


def test_truth_is_the_share_of_each_cell() -> None:
    """Of classes whose place is known; ignored pixels are of no class."""
    target = cam_target("truth", _batch(), 4, 0)
    assert target is not None
    assert target.places[0, 2].tolist() == [[1.0, 0.5], [0.0, 0.0]]
    assert not target.places[0, [1, 3]].any()
    assert target.known.tolist() == [[False, True, True]]


def test_noise_stands_where_masks_would() -> None:
    """The same pairs are guided, absent classes towards nothing; other noise each step."""
    first, second = (cam_target("noise", _batch(), 4, seed) for seed in (0, 1))
    assert first is not None
    assert second is not None
    assert first.known.tolist() == [[False, True, True]]
    assert 0 < first.places[0, 2].min() < first.places[0, 2].max() < 1
    assert not first.places[0, 3].any()
    assert not torch.equal(first.places, second.places)
    assert cam_target("none", _batch(), 4, 0) is None


def test_a_chart_shows_each_curve_in_its_colour(tmp_path: Path) -> None:
    """Higher values higher up; nothing to draw makes no file."""
    curves = {"high": [(0, 1.0), (10, 3.0)], "low": [(0, 1.0), (10, 2.0)]}
    assert write_curves(tmp_path / "chart.png", curves, "title")
    chart = cv2.cvtColor(cv2.imread(str(tmp_path / "chart.png")), cv2.COLOR_BGR2RGB)
    # the topmost place of each colour, names and circles aside: there the curve ends
    tops = [np.nonzero((chart[:, :620] == colour).all(axis=2))[0].min() for colour in COLOURS[:2]]
    assert tops[0] < tops[1]
    assert not write_curves(tmp_path / "none.png", {"empty": []}, "title")
    assert not (tmp_path / "none.png").exists()
