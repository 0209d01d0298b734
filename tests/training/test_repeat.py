"""A run that another person can do again from its folder alone."""

import hashlib
import json
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from click.testing import CliRunner, Result

from hunique_training.checkpoint import load_model
from hunique_training.cli import main
from hunique_training.run_record import differences, source_commit

FIT = ["--threads", "1", "fit"]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory, labelled_folder: Path) -> Path:
    """A copy of the pictures, to be changed."""
    folder = tmp_path_factory.mktemp("data") / "pictures"
    shutil.copytree(labelled_folder, folder)
    return folder


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, data: Path) -> Path:
    """A run of two steps with options of its own."""
    folder = tmp_path_factory.mktemp("runs") / "first"
    command = [
        *FIT,
        "--pretrained",
        "none",
        "--batch-size",
        "1",
        "--accumulate",
        "2",
        "--seed",
        "7",
    ]
    command += ["--input-size-px", "64", "--crop-size-px", "64", "--steps", "2"]
    command += ["--alias", "nail varnish=polished_nail", "--data", str(data)]
    result = CliRunner().invoke(main, [*command, "--out", str(folder)])
    assert result.exit_code == 0, result.output
    return folder


def _repeat(run: Path, out: Path, *more: str) -> Result:
    return CliRunner().invoke(main, [*FIT, "--repeat", str(run), "--out", str(out), *more])


def test_a_repeated_run_gives_the_same_model(
    tmp_path: Path, run: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Same configuration, same weights to the last bit, and it says that nothing differs."""
    with caplog.at_level("INFO"):
        result = _repeat(run, tmp_path / "again")
    assert result.exit_code == 0, result.output
    assert "not as in" not in caplog.text
    assert "are those of" in caplog.text
    assert (tmp_path / "again/config.json").read_bytes() == (run / "config.json").read_bytes()
    first, second = (load_model(folder / "model.pt") for folder in (run, tmp_path / "again"))
    assert first.input_size_px == second.input_size_px == 64
    for key, value in first.network.state_dict().items():
        assert torch.equal(value, second.network.state_dict()[key]), key
    records = [json.loads((f / "request.json").read_text()) for f in (run, tmp_path / "again")]
    for name in ("data", "reading", "split", "digests", "input_size_px"):
        assert records[0][name] == records[1][name]
    assert records[0]["reading"]["aliases"] == [["nail varnish", "polished_nail"]]


def test_what_differs_is_told(
    tmp_path: Path, run: Path, data: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A picture of other pixels, a label and a version, each by name, before training begins."""
    before, labels = (data / "hand-0.png").read_bytes(), (data / "labels.csv").read_text()
    other = tmp_path / "run"
    shutil.copytree(run, other)
    record = json.loads((other / "request.json").read_text())
    record["environment"]["versions"]["torch"] = "1.0.0"
    (other / "request.json").write_text(json.dumps(record))
    cv2.imwrite(str(data / "hand-0.png"), np.zeros((96, 128, 3), np.uint8))
    (data / "labels.csv").write_text(labels.replace("person-2", "person-22"))
    try:
        assert _repeat(other, tmp_path / "again").exit_code == 0
    finally:
        (data / "hand-0.png").write_bytes(before)
        (data / "labels.csv").write_text(labels)
    told = [r.message for r in caplog.records if "not as in" in r.message]
    for name in ("pictures_sha256", "labels_sha256", "label_file_sha256", "torch: 1.0.0 then"):
        assert any(name in message for message in told), name
    assert len(told) == 4


def test_going_on_with_other_versions_is_told(
    tmp_path: Path, run: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A run that is continued elsewhere keeps its first record and names the difference."""
    folder = tmp_path / "run"
    shutil.copytree(run, folder)
    record = json.loads((folder / "request.json").read_text())
    record["environment"]["versions"]["numpy"] = "0.1"
    text = json.dumps(record)
    (folder / "request.json").write_text(text)
    command = [
        *FIT,
        "--pretrained",
        "none",
        "--batch-size",
        "1",
        "--accumulate",
        "2",
        "--seed",
        "7",
    ]
    command += ["--input-size-px", "64", "--crop-size-px", "64", "--steps", "2"]
    result = CliRunner().invoke(main, [*command, "--data", record["data"][0], "--out", str(folder)])
    assert result.exit_code == 0, result.output
    assert "numpy: 0.1 then" in caplog.text
    assert (folder / "request.json").read_text() == text


def test_a_run_does_not_go_on_with_other_data(tmp_path: Path, run: Path, data: Path) -> None:
    """Another split would teach it what it is then judged by; the record says what it began with."""
    folder = tmp_path / "run"
    shutil.copytree(run, folder)
    command = [*FIT, "--pretrained", "none", "--batch-size", "2", "--seed", "7", "--steps", "2"]
    command += ["--input-size-px", "64", "--crop-size-px", "64", "--out", str(folder)]
    text = (data / "labels.csv").read_text()
    changed = [text.replace(",val,", ",moved,"), text.replace("hand-7.png,val", "hand-7.png,train")]
    for number, labels in enumerate(changed):
        other = tmp_path / str(number)
        shutil.copytree(data, other)
        (other / "labels.csv").write_text(labels)
        result = CliRunner().invoke(main, [*command, "--data", str(other)])
        assert result.exit_code == 1
        assert "was begun with other labels, or another split" in result.output
        assert "choose another --out folder" in result.output
    cv2.imwrite(str(tmp_path / "0" / "hand-0.png"), np.zeros((96, 128, 3), np.uint8))
    result = CliRunner().invoke(main, [*command, "--data", str(tmp_path / "0")])
    assert "other labels and pictures" in result.output
    assert (folder / "model.pt").read_bytes() == (run / "model.pt").read_bytes()


def test_a_record_holds_what_a_run_depends_on(run: Path, data: Path) -> None:
    """Command, seed, versions, threads, device, digests of labels and pictures, duration."""
    record = json.loads((run / "request.json").read_text())
    summary = json.loads((run / "summary.json").read_text())
    assert record["command"]
    assert record["environment"]["threads"] == 1
    assert record["environment"]["device"].startswith("cpu")
    versions = record["environment"]["versions"]
    assert {"python", "torch", "numpy", "opencv", "hunique", "hunique_commit"} == set(versions)
    assert versions["hunique_commit"] == source_commit()
    files = [hashlib.sha256(p.read_bytes()).hexdigest() for p in data.glob("hand-*.png")]
    expected = hashlib.sha256("\n".join(sorted(files)).encode()).hexdigest()
    assert record["digests"]["pictures_sha256"] == summary["pictures_sha256"] == expected
    assert summary["config"]["seed"] == 7
    assert 0 <= summary["duration_s"] <= summary["duration_of_last_part_s"] + 1


def test_duration_is_that_of_all_parts(tmp_path: Path, run: Path) -> None:
    """Going on adds to the time that was spent before."""
    folder = tmp_path / "run"
    shutil.copytree(run, folder)
    state = torch.load(folder / "last.pt", weights_only=True)
    assert state["trained_s"] > 0
    torch.save(state | {"trained_s": 1000.0}, folder / "last.pt")
    command = [*FIT, "--pretrained", "none", "--batch-size", "2", "--seed", "7", "--steps", "2"]
    command += ["--input-size-px", "64", "--crop-size-px", "64", "--out", str(folder)]
    record = json.loads((run / "request.json").read_text())
    assert CliRunner().invoke(main, [*command, "--data", record["data"][0]]).exit_code == 0
    assert json.loads((folder / "summary.json").read_text())["duration_s"] == 1000


@pytest.mark.parametrize(
    ("more", "told"),
    [
        (["--seed", "3"], "--seed"),
        (["--data", "drawn:4", "--steps", "1"], "--data, --steps"),
        (["--val-share", "0.2"], "--val-share"),
    ],
)
def test_other_options_do_not_go_with_repeat(
    tmp_path: Path, run: Path, more: list[str], told: str
) -> None:
    """A repetition is of the whole; what does not fit is named."""
    result = _repeat(run, tmp_path / "again", *more)
    assert result.exit_code == 2
    assert told in result.output


def test_a_folder_without_a_record_is_refused(tmp_path: Path, run: Path) -> None:
    """Runs of earlier versions, other folders, and the run's own folder."""
    (tmp_path / "old").mkdir()
    assert "repeat their options" in _repeat(tmp_path / "old", tmp_path / "new").output
    assert "another folder" in _repeat(run, run).output
    assert "--data" in CliRunner().invoke(main, ["fit", "--out", str(tmp_path / "new")]).output


def test_only_what_differs_differs() -> None:
    """Names that one record lacks count, whatever else stands in the records does not."""
    before = {"digests": {"a": 1, "b": [2]}, "environment": {"versions": {"x": "1"}}, "device": 1}
    now = {"digests": {"a": 1, "b": [3]}, "environment": {"versions": {"x": "1", "y": "2"}}}
    assert differences(before, now) == ["b: [2] then, [3] now", "y: None then, 2 now"]
    assert differences(before, before) == []
