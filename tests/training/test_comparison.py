"""Methods, ablations and upper bounds side by side: a table that resumes and says what it holds."""

import csv
import json
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from hunique_training.checkpoint import load_model
from hunique_training.cli import main
from hunique_training.comparison import making
from hunique_training.comparison.rows import BASE, FULL, FULL_FROZEN

WEAK = ("segmentation_label_free", "served_label_free")


def _run(out: Path, *more: str) -> Result:
    words = ["--threads", "1", "compare", "--out", str(out), "--steps", "3", "--batch-size", "2",
             "--crop-size-px", "64", "--input-size-px", "96", *more]  # fmt: skip
    return CliRunner().invoke(main, words)


def _done(out: Path, *more: str) -> str:
    done = _run(out, *more)
    assert done.exit_code == 0, done.output
    return done.output


def _rows(*names: str) -> list[str]:
    return [word for name in names for word in ("--row", name)]


def _data(folder: Path) -> list[str]:
    return ["--data", str(folder / "labels.csv")]


def _table(out: Path) -> dict[tuple[str, ...], dict[str, str]]:
    """The CSV by its columns up to the seed."""
    with (out / "table.csv").open(encoding="utf-8") as stream:
        reader = csv.DictReader(stream)
        names = reader.fieldnames or []
        keys = names[: names.index("seed") + 1]
        return {tuple(row[key] for key in keys): row for row in reader}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, labelled_folder: Path) -> Path:
    """A comparison with a row of every kind."""
    out = tmp_path_factory.mktemp("table")
    rows = _rows("cam", "smooth_grad", BASE, "pipeline", "second_stage", FULL, FULL_FROZEN)
    _done(out, *_data(labelled_folder), *rows)
    return out


def test_a_table_is_made_of_finished_runs_and_goes_on(
    tmp_path: Path, labelled_folder: Path
) -> None:
    """A row has its figures once; another row and another seed are added to what is there."""
    data = _data(labelled_folder)
    _done(tmp_path, *data, *_rows("cam"))
    finished = tmp_path / "cam" / "seed-0" / "figures.json"
    first = finished.stat().st_mtime_ns
    told = _done(tmp_path, *data, *_rows("hide_and_seek"), "--seed", "0", "--seed", "1")
    assert finished.stat().st_mtime_ns == first
    table = _table(tmp_path)
    assert set(table) == {("cam", "0"), ("hide_and_seek", "0"), ("hide_and_seek", "1")}
    assert table["cam", "0"]["segmentation_label_free"] == "", "a classifier has none"
    assert (tmp_path / "table.md").read_text() in told
    assert "Seeds: 0, 1." in told
    config = json.loads((tmp_path / "hide_and_seek/seed-1/config.json").read_text())
    assert (config["method"], config["seed"], config["total_steps"]) == ("hide_and_seek", 1, 3)


def test_every_kind_of_row_has_its_figures(whole: Path) -> None:
    """Maps where maps teach, segmentation where one is trained, times everywhere."""
    table = {row: figures for (row, _), figures in _table(whole).items()}
    has_cam = {"cam", "smooth_grad", BASE}
    segments = {BASE, "pipeline", "second_stage", FULL, FULL_FROZEN}
    for row, figures in table.items():
        assert (figures["cam"] != "") == (row in has_cam), row
        for name in (*WEAK, "segmentation_label_filtered", "served_label_filtered"):
            assert (figures[name] != "") == (row in segments), (row, name)
        assert all(0 <= float(figures[n]) <= 1 for n in WEAK if figures[n])
        assert float(figures["picture_s"]) > 0
    assert table["cam"]["cam"] != table["smooth_grad"]["cam"]
    assert float(table["smooth_grad"]["picture_s"]) > float(table["cam"]["picture_s"])


def test_ratios_are_by_full_supervision_of_the_same_network(whole: Path) -> None:
    """Second stages by the one, single-stage rows by the one with a frozen encoder."""
    table = {row: figures for (row, _), figures in _table(whole).items()}
    for row, bound in ((BASE, FULL_FROZEN), ("pipeline", FULL), ("second_stage", FULL)):
        for name, of in zip(("weak_by_full", "served_weak_by_full"), WEAK, strict=True):
            expected = float(table[row][of]) / float(table[bound][of])
            assert float(table[row][name]) == pytest.approx(expected)
    assert all(table[row]["weak_by_full"] == "" for row in ("cam", FULL, FULL_FROZEN))


def test_only_full_supervision_is_taught_by_masks(whole: Path) -> None:
    """And each second stage by the row that it is named to go on from."""
    taught = {
        row: load_model(whole / row / "seed-0" / "model.pt")
        for row in (BASE, "pipeline", "second_stage", FULL, FULL_FROZEN)
    }
    assert {row for row, one in taught.items() if one.supervision == "pixel"} == {FULL, FULL_FROZEN}
    sources = {
        row: taught[row].training["pixel_labels"]["settings"]["source"]
        for row in ("pipeline", "second_stage")
    }
    assert sources == {"pipeline": "cam", "second_stage": "segmentation"}
    for row in ("second_stage", FULL, FULL_FROZEN):
        config, base = taught[row].training["config"], taught[BASE].training["config"]
        for name in ("total_steps", "batch_size", "learning_rate", "pretrained"):
            assert config[name] == base[name], name
        assert config["views"] == base["views"] | {"degrade_probability": 0}
    frozen = {row: taught[row].training["config"]["frozen_stages"] for row in (FULL, FULL_FROZEN)}
    assert frozen[FULL_FROZEN] == taught[BASE].training["config"]["frozen_stages"] != frozen[FULL]


def test_the_table_says_its_schedule_and_who_had_another(whole: Path) -> None:
    """Steps, crops, seeds, data; two trainings are not one."""
    text = (whole / "table.md").read_text()
    assert "6 pictures of train, 2 of val, 2 of these with masks" in text
    assert "3 steps of 2 crops of 64 px, pseudo-labels from step 2, guided CAMs from step 2" in text
    assert "Seeds: 0." in text
    (note,) = (line for line in text.splitlines() if line.startswith("Another schedule"))
    assert "pipeline (3 + 3 steps, seed 0)" in note
    assert "second stage (3 + 3 steps, seed 0)" in note
    assert "cosa" not in note


def test_one_scale_is_scored_without_thresholds(
    tmp_path: Path, whole: Path, labelled_folder: Path
) -> None:
    """Other figures of the same model, none of served masks, and never among published ones."""
    rows = _rows(BASE, FULL_FROZEN)
    told = _done(tmp_path, *_data(labelled_folder), *rows, "--scoring", "one-scale")
    assert "scored over one scale, mirrored" in told
    assert "scored over five scales, mirrored" in (whole / "table.md").read_text()
    table, published = _table(tmp_path), _table(whole)
    for row in (BASE, FULL_FROZEN):
        figures = table[row, "0"]
        assert figures["served_label_free"] == "" != figures["segmentation_label_free"]
        assert not (tmp_path / row / "seed-0" / "validation.json").exists()
    assert table[BASE, "0"]["cam"] != published[BASE, "0"]["cam"]
    other = _run(tmp_path, *_data(labelled_folder), *rows)
    assert other.exit_code == 1
    assert "a comparison with other options" in other.output


def test_a_row_of_other_length_is_named(tmp_path: Path, labelled_folder: Path) -> None:
    """All that waits for a step waits in proportion, and the table says it."""
    rows = _rows("cam", "hide_and_seek")
    told = _done(tmp_path, *_data(labelled_folder), *rows, "--row-steps", "cam=2")
    assert "Another schedule: cam (2 steps, seed 0)." in told
    assert json.loads((tmp_path / "cam/seed-0/config.json").read_text())["total_steps"] == 2


def test_a_second_stage_trains_what_it_goes_on_from(
    tmp_path: Path, labelled_folder: Path, whole: Path
) -> None:
    """Alone it gives the same model as in a table with its first stage."""
    _done(tmp_path, *_data(labelled_folder), *_rows("pipeline"))
    assert not (tmp_path / "cam/seed-0/figures.json").exists()
    alone, beside = (
        load_model(out / "pipeline/seed-0/model.pt").network.state_dict()
        for out in (tmp_path, whole)
    )
    assert all((alone[name] == beside[name]).all() for name in alone)


def test_rows_of_other_options_are_not_mixed(tmp_path: Path, labelled_folder: Path) -> None:
    """One table has one schedule."""
    (tmp_path / "comparison.json").write_text("{}")
    done = _run(tmp_path, *_data(labelled_folder), *_rows("cam"))
    assert done.exit_code == 1
    assert "other options" in done.output


@pytest.mark.parametrize(
    "options",
    [("--val-share", "0.4"), ("--split-by", "random"), ("--alias", "watch=ring"),
     ("--folder-labels", "exclusive")],
)  # fmt: skip
def test_rows_of_another_split_or_reading_are_not_mixed(
    tmp_path: Path, whole: Path, labelled_folder: Path, options: tuple[str, ...]
) -> None:
    """Their pictures or labels are others; without such options a folder says nothing of them."""
    shared = json.loads((whole / "comparison.json").read_text())
    assert not {"split", "reading"} & set(shared)
    shutil.copy(whole / "comparison.json", tmp_path)
    other = _run(tmp_path, *_data(labelled_folder), *_rows("cam"), *options)
    assert other.exit_code == 1
    assert "a comparison with other options" in other.output


def test_a_split_of_its_own_is_gone_on_with(tmp_path: Path, labelled_folder: Path) -> None:
    """The same words mean the same comparison, though JSON has no tuples."""
    words = (*_data(labelled_folder), *_rows("cam"), "--val-share", "0.4", "--alias", "watch=ring")
    _done(tmp_path, *words)
    _done(tmp_path, *words)


def test_a_row_that_fails_leaves_the_others_and_is_run_again(
    tmp_path: Path, labelled_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A night is not lost to one row, whatever befell it, and the table says which it was."""

    def failing(request: object) -> Path:
        if "cam" in request.run_folder.parts:  # type: ignore[attr-defined]
            raise OSError("no space left")
        return fit(request)  # type: ignore[arg-type]

    fit = making.fit
    command = [*_data(labelled_folder), *_rows("cam", "smooth_grad", "hide_and_seek")]
    with monkeypatch.context() as patch:
        patch.setattr(making, "fit", failing)
        told = _done(tmp_path, *command)
    assert "| hide and seek | 1 | 3 |" in told
    assert "| cam |" not in told
    assert "Failed, to be run again by the same command: cam, seed 0 (OSError: no space" in told
    assert "smooth grad, seed 0 (OSError" in told
    told = _done(tmp_path, *command)
    assert "Failed" not in told
    assert "| cam | 1 | 3 |" in told


def test_without_masks_of_train_only_the_bounds_fail(tmp_path: Path, labelled_folder: Path) -> None:
    """Masks of val are enough for every weakly supervised row."""
    with (labelled_folder / "labels.csv").open(encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    for row in rows:
        row["truth"] = row["truth"] if row["split"] == "val" else ""
    file = labelled_folder / "without.csv"
    with file.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, fieldnames=list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    told = _done(tmp_path, "--data", str(file), *_rows("cam", FULL))
    file.unlink()
    assert "full supervision, seed 0 (DataError: expected truth masks of every class" in told
    assert "| cam | 1 | 3 |" in told


def test_without_masks_of_val_nothing_is_trained(tmp_path: Path) -> None:
    """Told before the first step rather than after each row."""
    done = _run(tmp_path, "--data", "drawn:4", *_rows("cam"))
    assert done.exit_code == 1
    assert "split val with truth masks" in done.output
    assert not (tmp_path / "cam").exists()


def test_several_data_sets_make_one_table(tmp_path: Path, labelled_folder: Path) -> None:
    """By one command: rows of each with its own classes, under the other's."""
    file = labelled_folder / "labels.csv"
    told = _done(
        tmp_path, "--set", f"hands={file}", "--set", f"lunules={file}",
        "--classes", "lunules=lunule", *_rows("cam", "cam_without_size_prior"),
    )  # fmt: skip
    assert set(_table(tmp_path)) == {
        ("hands", "cam", "0"), ("hands", "cam_without_size_prior", "0"), ("lunules", "cam", "0")
    }  # fmt: skip
    assert "| cam | hands | 1 |" in told
    assert "| cam | lunules | 1 |" in told
    config = json.loads((tmp_path / "lunules/cam/seed-0/config.json").read_text())
    assert config["network"]["class_names"] == ["lunule"]
    assert (tmp_path / "hands/table.md").is_file()


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ([], "give --data, or --set"),
        (["--data", "a", "--set", "b=c"], "give --data, or --set"),
        (["--set", "b"], "expected a name, = and a value"),
        (["--set", "b=c", "--classes", "d=ring"], "--classes NAME=... goes with --set NAME"),
        (["--data", "a", "--row-steps", "cam=many"], "takes steps above 0, found many"),
        (["--data", "a", "--row-steps", "camera=4"], "expected rows of cam"),
        (["--data", "a", "--row-steps", "smooth_grad=4"], "smooth_grad, which is not trained"),
    ],
)
def test_faults_are_told(tmp_path: Path, words: list[str], told: str) -> None:
    """Before anything is read."""
    done = _run(tmp_path, *words)
    assert done.exit_code in (1, 2)
    assert told in done.output
    assert "Traceback" not in done.output
