"""From pictures to a served second stage, each step by the command a user types."""

import json
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from click.testing import CliRunner, Result

from hunique_export.cli import main as export
from hunique_models.bundle import Bundle
from hunique_models.engine import open_engine
from hunique_training.checkpoint import load_model
from hunique_training.cli import main
from hunique_training.network.cosa import NetworkConfig

SMALL = ["--pretrained", "none", "--batch-size", "2", "--steps", "2", "--input-size-px", "64"]
SMALL += ["--crop-size-px", "64"]
RELEASE = ["--name", "second", "--model-version", "0.0.1", "--licence", "none", "--picture-count"]
RELEASE += ["1", "--data-statement", "Drawn hands."]


def _train(*arguments: str | Path) -> Result:
    words = ["--threads", "1", *map(str, arguments)]
    return CliRunner().invoke(main, words, catch_exceptions=False)


def _done(*arguments: str | Path) -> str:
    result = _train(*arguments)
    assert result.exit_code == 0, result.output
    return result.output


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory, labelled_folder: Path) -> Path:
    """A CoSA model after two steps."""
    run = tmp_path_factory.mktemp("first")
    _done("fit", "--data", labelled_folder, "--out", run, *SMALL)
    return run / "model.pt"


@pytest.fixture(scope="module")
def labels(tmp_path_factory: pytest.TempPathFactory, first: Path, labelled_folder: Path) -> Path:
    """Its pseudo-labels."""
    folder = tmp_path_factory.mktemp("labels")
    _done("pseudo-labels", first, "--data", labelled_folder, "--out", folder, "--scale", "1")
    return folder


@pytest.fixture(scope="module")
def second(tmp_path_factory: pytest.TempPathFactory, labels: Path, labelled_folder: Path) -> Path:
    """A second stage after two steps on them."""
    run = tmp_path_factory.mktemp("second")
    command = ("fit-second-stage", "--labels", labels, "--data", labelled_folder, "--out", run)
    assert str(run / "model.pt") in _done(*command, *SMALL)
    return run / "model.pt"


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory, labelled_folder: Path) -> Path:
    """The same network on truth masks."""
    run = tmp_path_factory.mktemp("full")
    command = ("fit-second-stage", "--labels", "truth", "--data", labelled_folder, "--out", run)
    _done(*command, *SMALL)
    return run / "model.pt"


def test_every_training_picture_has_labels(labels: Path) -> None:
    """An index PNG of the picture's size for each of six, counted in the manifest."""
    found = [cv2.imread(str(path), cv2.IMREAD_UNCHANGED) for path in labels.glob("labels/*.png")]
    assert [image.shape for image in found] == [(96, 128)] * 6
    assert set(np.unique(found)) <= {0, 1, 2, 3, 4, 255}
    manifest = json.loads((labels / "manifest.json").read_text())
    assert manifest["pictures"] == 6
    assert manifest["complete"] is True
    assert manifest["supervision"] == "image"
    assert manifest["settings"]["source"] == "segmentation"
    assert sum(manifest["pixels_of"].values()) == 6 * 96 * 128


def test_labelling_goes_on_where_it_stopped(
    tmp_path: Path, labels: Path, first: Path, labelled_folder: Path
) -> None:
    """Only what is missing is labelled again, to the same bytes; other settings are refused."""
    before = {path: path.read_bytes() for path in labels.glob("labels/*.png")}
    gone, kept = list(before)[:2]
    gone.unlink()
    touched = kept.stat().st_mtime_ns
    command = ("pseudo-labels", first, "--data", labelled_folder, "--out", labels, "--scale", "1")
    _done(*command)
    assert {path: path.read_bytes() for path in labels.glob("labels/*.png")} == before
    assert kept.stat().st_mtime_ns == touched
    result = _train(*command, "--from", "cam")
    assert result.exit_code == 1
    assert "pseudo-labels of another settings" in result.output
    other = _train(
        "pseudo-labels", first, "--data", "drawn:2", "--out", tmp_path, "--refine", "blur"
    )
    assert other.exit_code == 2


def test_labels_of_several_threads_are_those_of_one(
    tmp_path: Path, first: Path, labelled_folder: Path, labels: Path
) -> None:
    """Byte for byte; afterwards torch has its threads back."""
    words = ["--threads", "2", "pseudo-labels", str(first), "--data", str(labelled_folder)]
    words += ["--out", str(tmp_path), "--scale", "1"]
    CliRunner().invoke(main, words, catch_exceptions=False)
    with ThreadPoolExecutor(1) as later:
        assert later.submit(torch.get_num_threads).result() == 2
    torch.set_num_threads(1)
    files = sorted(labels.glob("labels/*.png"))
    assert len(files) == 6
    for file in files:
        assert (tmp_path / "labels" / file.name).read_bytes() == file.read_bytes()


def test_a_second_stage_is_a_model_as_fit_writes_it(second: Path, labels: Path) -> None:
    """With a class head, thresholds from val, and where its labels come from."""
    model = load_model(second)
    assert model.supervision == "image"
    assert set(model.operating_point) == set(NetworkConfig.class_names)
    assert model.training["stage"] == 2
    assert model.training["pictures"] == 6
    manifest = json.loads((labels / "manifest.json").read_text())
    assert model.training["pixel_labels"]["model_sha256"] == manifest["model_sha256"]
    for name in ("config.json", "metrics.csv", "summary.json", "validation.json", "last.pt"):
        assert (second.parent / name).stat().st_size > 0


def test_a_finished_run_is_not_done_again(
    second: Path, labels: Path, labelled_folder: Path
) -> None:
    """The same command again leaves the metrics and the weights as they are."""
    before = {k: v.clone() for k, v in load_model(second).network.state_dict().items()}
    metrics = (second.parent / "metrics.csv").read_text()
    command = ("fit-second-stage", "--labels", labels, "--data", labelled_folder)
    _done(*command, "--out", second.parent, *SMALL)
    after = load_model(second).network.state_dict()
    assert all((after[k] == v).all() for k, v in before.items())
    assert (second.parent / "metrics.csv").read_text() == metrics


def _export(model: Path, folder: Path) -> str:
    words = ["onnx", str(model), "--out", str(folder), *RELEASE]
    result = CliRunner().invoke(export, words, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    bundle = Bundle.open(folder)
    open_engine(bundle, "cpu", threads=1).close()
    return bundle.manifest.to_json()


def test_both_export_and_the_bundle_says_what_taught_it(
    tmp_path: Path, second: Path, full: Path
) -> None:
    """Weak: as typed. Full: supervision in the run, and masks named in the data statement."""
    weak = json.loads(_export(second, tmp_path / "weak"))
    assert weak["training_data_statement"] == "Drawn hands."
    assert weak["training"]["supervision"] == "image"
    taught = json.loads(_export(full, tmp_path / "full"))
    assert taught["training"]["supervision"] == "pixel"
    assert taught["training_data_statement"].startswith("Drawn hands. Fully supervised: masks")


def test_pseudo_labels_of_a_full_model_stay_full(
    tmp_path: Path, full: Path, labelled_folder: Path
) -> None:
    """Supervision is handed on: what masks taught cannot be called weak one stage later."""
    command = ("pseudo-labels", full, "--data", labelled_folder, "--out", tmp_path, "--scale", "1")
    _done(*command)
    assert json.loads((tmp_path / "manifest.json").read_text())["supervision"] == "pixel"


def test_ratio_prints_both_and_refuses_a_wrong_order(
    second: Path, full: Path, labelled_folder: Path
) -> None:
    """A row a class; a weak model in place of the full one is told."""
    data = ("--data", labelled_folder / "labels.csv", "--resamples", "20")
    heading, *rows = _train("ratio", second, full, *data).stdout.splitlines()
    assert heading.split()[:3] == ["class", "weak", "IoU"]
    assert [row.split()[0] for row in rows][:4] == list(NetworkConfig.class_names)
    result = _train("ratio", full, second, *data)
    assert result.exit_code == 1
    assert "found supervision pixel and image" in result.output


def test_the_pipeline_is_its_three_commands(tmp_path: Path) -> None:
    """Drawn hands to a second stage in one go; again, it goes through without training.

    The classifier, whose segmentation is random, is not exported.
    """
    command = (
        "pipeline",
        "--data",
        "drawn:8",
        "--out",
        tmp_path,
        "--method",
        "hide_and_seek",
        *SMALL,
    )
    told = _done(*command)
    steps = [line.split()[1] for line in told.splitlines() if line.startswith("hunique-train ")]
    assert steps == ["fit", "pseudo-labels", "fit-second-stage"]
    classifier = load_model(tmp_path / "classifier" / "model.pt")
    assert classifier.training["config"]["method"] == "hide_and_seek"
    manifest = json.loads((tmp_path / "labels" / "manifest.json").read_text())
    assert (manifest["settings"]["source"], manifest["settings"]["refine"]) == ("cam", "par")
    assert load_model(tmp_path / "model" / "model.pt").training["stage"] == 2
    lines = _done(*command).splitlines()
    again = [line.split()[1] for line in lines if line.startswith("hunique-")]
    assert again == ["pseudo-labels", "fit-second-stage"]
    other = _train(*command, "--seed", "1")
    assert other.exit_code == 1
    assert "tells of other options. Choose another --out folder" in other.output
    words = ["onnx", str(tmp_path / "classifier" / "model.pt"), "--out", str(tmp_path / "bundle")]
    refused = CliRunner().invoke(export, [*words, *RELEASE])
    assert refused.exit_code == 1
    assert "hide_and_seek, a classifier alone" in refused.output


def test_a_second_stage_goes_on_with_its_own_data(
    tmp_path: Path, second: Path, labels: Path, labelled_folder: Path
) -> None:
    """With another split of the same pictures it is another run; again with its own it goes on."""
    shutil.copytree(second.parent, tmp_path / "run")
    header, *rows = (labelled_folder / "labels.csv").read_text().splitlines()
    moved = [f"{labelled_folder}/{row}".replace(",val,", ",test,") for row in rows]
    (tmp_path / "labels.csv").write_text("\n".join([header, *moved]) + "\n")
    command = ("fit-second-stage", "--labels", labels, "--out", tmp_path / "run", *SMALL, "--data")
    other = _train(*command, tmp_path)
    assert other.exit_code == 1
    assert "a run on other labels or pictures, or another split" in other.output
    assert (tmp_path / "run" / "model.pt").read_bytes() == second.read_bytes()
    _done(*command, labelled_folder)


def test_second_stages_have_any_classes(tmp_path: Path, labelled_folder: Path) -> None:
    """Those of the first stage, or with masks those that are named; never two kinds at once."""
    data = ("--data", labelled_folder)
    two = ("--class", "ring", "--class", "polished_nail")
    _done("pipeline", *data, "--out", tmp_path / "p", *two, *SMALL)
    _done("fit-second-stage", "--labels", "truth", *data, "--out", tmp_path / "f", *two, *SMALL)
    for run in ("p/model", "f"):
        model = load_model(tmp_path / run / "model.pt")
        assert model.network.config.class_names == ("ring", "polished_nail")
        summary = json.loads((tmp_path / run / "summary.json").read_text())
        assert (summary["steps_done"], summary["duration_s"] >= 0) == (2, True)
    command = ("fit-second-stage", "--labels", tmp_path / "p" / "labels", *data)
    other = _train(*command, "--out", tmp_path / "o", "--class", "tattoo")
    assert other.exit_code == 1
    assert "ring, polished_nail, found tattoo. Leave out --class" in other.output


def test_a_transformer_is_a_second_stage_too(
    tmp_path: Path, labels: Path, labelled_folder: Path
) -> None:
    """Another encoder and decoder on the same labels, exported the same way."""
    words = [*SMALL, "--network", "vit_tiny_16"]
    command = ("fit-second-stage", "--labels", labels, "--data", labelled_folder)
    _done(*command, "--out", tmp_path, *words)
    model = load_model(tmp_path / "model.pt")
    assert model.network.config.decoder == "large_fov"
    assert json.loads(_export(tmp_path / "model.pt", tmp_path / "bundle"))["geometry"]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--labels", "nowhere"], "nowhere: expected finished pseudo-labels"),
        (["--labels", "truth", "--data", "drawn:2"], "truth masks of every class"),
        (
            ["--labels", "truth", "--pretrained", "none", "--input-size-px", "90"],
            "expected --input-size-px to divide by the stride 16",
        ),
    ],
)
def test_faults_are_sentences(
    tmp_path: Path, labelled_folder: Path, arguments: list[str], told: str
) -> None:
    """What cannot be learned from is told in one line, with exit code 1."""
    data = [] if "--data" in arguments else ["--data", str(labelled_folder)]
    result = _train("fit-second-stage", "--out", tmp_path / "run", *data, *arguments)
    assert result.exit_code == 1
    assert told in result.output
    assert "Traceback" not in result.output
