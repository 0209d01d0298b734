"""`hunique-train` as it is typed."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from hunique_models.manifest import Manifest
from hunique_training import calibrating
from hunique_training.checkpoint import load_model
from hunique_training.cli import main
from hunique_training.evaluation.evidence import PictureEvidence
from hunique_training.evaluation.run import evidence_of_split

FIT = ["--threads", "1", "fit", "--pretrained", "none", "--batch-size", "2"]
FIT += ["--input-size-px", "64"]


def _train(*arguments: str) -> Result:
    return CliRunner().invoke(main, list(arguments), catch_exceptions=False)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, labelled_folder: Path) -> Path:
    """A run of one step."""
    folder = tmp_path_factory.mktemp("runs") / "first"
    command = [*FIT, "--data", str(labelled_folder), "--steps", "1", "--out", str(folder)]
    result = _train(*command)
    assert result.exit_code == 0, result.output
    assert str(folder / "model.pt") in result.output
    return folder


def test_evaluate_prints_a_table_and_json(run: Path, labelled_folder: Path) -> None:
    """The same figures for people and for programs, one entry a class."""
    command = ["evaluate", str(run / "model.pt"), "--data", str(labelled_folder / "labels.csv")]
    assert "polished_nail" in _train(*command).output
    values = json.loads(_train(*command, "--json").stdout)
    assert [one["name"] for one in values] == ["tattoo", "ring", "lunule", "polished_nail"]
    assert {one["present"] for one in values} == {1}


def test_calibrate_writes_thresholds_into_the_model(run: Path, labelled_folder: Path) -> None:
    """Thresholds of val stand in the file afterwards, whatever stood there before."""
    model = run / "model.pt"
    before = load_model(model).operating_point
    result = _train("calibrate", str(model), "--data", str(labelled_folder / "labels.csv"))
    assert result.exit_code == 0
    assert load_model(model).operating_point == before


def test_thresholds_are_chosen_on_masks_as_they_are_served(
    run: Path, labelled_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Which looks have a say in a mask rests on the presence thresholds, so these come first."""
    merged_with: list[Manifest] = []

    def watched(manifest: Manifest, *args: Any, **options: Any) -> list[PictureEvidence]:
        merged_with.append(manifest)
        return evidence_of_split(manifest, *args, **options)

    monkeypatch.setattr(calibrating, "evidence_of_split", watched)
    model = run / "model.pt"
    result = _train("calibrate", str(model), "--data", str(labelled_folder / "labels.csv"))
    assert result.exit_code == 0
    chosen = load_model(model).operating_point
    (manifest,) = merged_with
    for spec in manifest.classes:
        point = chosen[spec.name]
        assert spec.presence_threshold == point.presence_threshold
        assert spec.calibration.scale == point.calibration_scale
        assert spec.calibration.offset == point.calibration_offset


def test_without_masks_pixel_thresholds_stay_and_that_is_told(
    run: Path, labelled_folder: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Image-level labels choose presence alone: 0.5 is served, and no IoU is made up."""
    rows = (labelled_folder / "labels.csv").read_text().splitlines()
    parted = [row.split(",") for row in rows]
    truth = parted[0].index("truth")
    plain = [[labelled_folder / row[0], *row[1:truth], *row[truth + 1 :]] for row in parted[1:]]
    header = [name for name in parted[0] if name != "truth"]
    lines = [",".join(map(str, row)) for row in (header, *plain)]
    (tmp_path / "labels.csv").write_text("\n".join(lines) + "\n")
    model = shutil.copy(run / "model.pt", tmp_path / "model.pt")
    result = _train("calibrate", str(model), "--data", str(tmp_path / "labels.csv"))
    assert result.exit_code == 0
    points = load_model(model).operating_point
    assert {point.pixel_threshold for point in points.values()} == {0.5}
    values = json.loads((tmp_path / "validation.json").read_text())
    assert [one["label-free"]["iou"] for one in values] == [None] * 4
    assert "tattoo, ring, lunule, polished_nail stays 0.5: val has no truth mask" in caplog.text


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--data", "nowhere.csv"], "Expected a label file at nowhere.csv"),
        (["--data", "drawn:many"], "expected drawn:N"),
        (["--data", "drawn:2", "--pretrained", "absent.pth"], "absent.pth"),
        (
            ["--data", "drawn:2", "--encoder", "vit_tiny_16"],
            "No package carries weights for vit_tiny_16",
        ),
        (
            ["--data", "drawn:2", "--pretrained", "none", "--input-size-px", "90"],
            "found 90: take 80 or 96",
        ),
        (
            [
                "--data",
                "drawn:2",
                "--pretrained",
                "none",
                "--encoder",
                "vit_tiny_16",
                "--crop-size-px",
                "100",
            ],
            "expected --crop-size-px to divide by the stride 16 and 4",
        ),
    ],
)
def test_faults_are_sentences(tmp_path: Path, arguments: list[str], told: str) -> None:
    """What cannot be trained is told in one line, with exit code 1 and no traceback."""
    result = CliRunner().invoke(main, ["fit", "--out", str(tmp_path / "run"), *arguments])
    assert result.exit_code == 1
    assert "Error: " in result.output
    assert "Traceback" not in result.output
    assert told in result.output


def test_a_model_that_is_none_is_refused(tmp_path: Path, labelled_folder: Path) -> None:
    """A file that is no checkpoint is named, not unpickled."""
    path = tmp_path / "model.pt"
    path.write_bytes(b"nothing of the kind")
    result = _train("evaluate", str(path), "--data", str(labelled_folder / "labels.csv"))
    assert result.exit_code == 1
    assert "not a checkpoint" in result.output
