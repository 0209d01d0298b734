"""Methods and ablations side by side: rows that differ in one thing, and a table that resumes."""

import csv
import dataclasses
import json
import math
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from hunique_training.cli import main
from hunique_training.comparison import run
from hunique_training.comparison.rows import BASE, ROWS, at_length, rows_of
from hunique_training.comparison.table import as_markdown
from hunique_training.config import METHODS, TrainConfig
from hunique_training.presets import PRESETS


def _run(data: Path, out: Path, *more: str) -> Result:
    words = ["compare", "--data", str(data), "--out", str(out), "--steps", "3", "--batch-size", "2",
             "--crop-size-px", "64", "--input-size-px", "96", *more]  # fmt: skip
    return CliRunner().invoke(main, words)


def _rows(*names: str) -> list[str]:
    return [word for name in names for word in ("--row", name)]


def test_a_table_is_made_of_finished_runs_and_goes_on(
    tmp_path: Path, labelled_folder: Path
) -> None:
    """A row has its figures once; another row and another seed are added to what is there."""
    file = labelled_folder / "labels.csv"
    done = _run(file, tmp_path, *_rows("cam"))
    assert done.exit_code == 0, done.output
    finished = tmp_path / "cam" / "seed-0" / "figures.json"
    first = finished.stat().st_mtime_ns
    done = _run(file, tmp_path, *_rows("cam", BASE), "--seed", "0", "--seed", "1")
    assert done.exit_code == 0, done.output
    assert finished.stat().st_mtime_ns == first
    with (tmp_path / "table.csv").open(encoding="utf-8") as stream:
        table = {(row["row"], row["seed"]): row for row in csv.DictReader(stream)}
    assert set(table) == {(row, seed) for row in ("cam", BASE) for seed in "01"}
    assert table["cam", "0"]["segmentation_label_free"] == "", "a classifier has none"
    for name in ("cam", "auxiliary_cam", "segmentation_label_free", "served_label_filtered"):
        assert 0 <= float(table[BASE, "1"][name]) <= 1
    assert float(table[BASE, "0"]["picture_s"]) > 0
    assert (tmp_path / "table.md").read_text() in done.output
    config = json.loads((tmp_path / "cam" / "seed-1" / "config.json").read_text())
    assert (config["method"], config["seed"], config["total_steps"]) == ("cam", 1, 3)


def test_rows_of_other_options_are_not_mixed(tmp_path: Path, labelled_folder: Path) -> None:
    """One table has one schedule."""
    file = labelled_folder / "labels.csv"
    (tmp_path / "comparison.json").write_text("{}")
    done = _run(file, tmp_path, *_rows("cam"))
    assert done.exit_code == 1
    assert "other options" in done.output


def test_a_row_that_fails_leaves_the_others(
    tmp_path: Path, labelled_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A night is not lost to one row."""

    def failing(request: object) -> Path:
        if "cam" in request.run_folder.parts:  # type: ignore[attr-defined]
            raise ValueError("no such thing")
        return fit(request)  # type: ignore[arg-type]

    fit = run.fit
    monkeypatch.setattr(run, "fit", failing)
    done = _run(labelled_folder / "labels.csv", tmp_path, *_rows("cam", "hide_and_seek"))
    assert done.exit_code == 0, done.output
    assert "| hide and seek | 1 |" in done.output
    assert "| cam |" not in done.output


@pytest.mark.parametrize("preset", ["hunique", "paper", "release"])
def test_each_row_differs_from_the_preset_in_something(preset: str) -> None:
    """What the preset has or lacks already makes no row; every method is one."""
    base = PRESETS[preset]()
    rows = rows_of(base, tuple(ROWS))
    assert {one.method for one in rows.values()} == set(METHODS)
    assert rows[BASE] == base
    assert len({one.to_json() for one in rows.values()}) == len(rows)
    assert ("with_dynamic_threshold" in rows) == (base.threshold == "fixed")
    assert ("without_dynamic_threshold" in rows) == (base.threshold == "dynamic")
    assert ("without_regulariser" in rows) == (base.weights.regulariser > 0)


def test_an_unknown_row_is_told() -> None:
    """With those that there are."""
    with pytest.raises(ValueError, match="expected rows of cam"):
        rows_of(TrainConfig(), ("cam", "camera"))


def test_a_short_run_guides_its_cam_too() -> None:
    """Everything that waits for a step waits in proportion."""
    short = at_length(TrainConfig(), 100)
    long = TrainConfig()
    assert short.total_steps == 100
    for name in ("loss_warm_up_steps", "guidance_start_step", "rate_warm_up_steps"):
        share = getattr(long, name) / long.total_steps
        assert getattr(short, name) == pytest.approx(100 * share, abs=0.5)
    assert dataclasses.replace(at_length(long, long.total_steps)) == long


def test_seeds_are_averaged_with_their_spread() -> None:
    """In per cent; a single seed has no spread, and what is not defined is a dash."""
    runs = {
        "cosa": {0: {"cam": 0.5, "picture_s": 0.1}, 1: {"cam": 0.54, "picture_s": 0.3}},
        "cam": {0: {"cam": 0.25, "segmentation_label_free": math.nan}},
        "without_guided_cam": {},
    }
    text = as_markdown(runs, "heading")
    assert text.startswith("heading\n\n| row | seeds | CAM mIoU |")
    assert "| cosa | 2 | 52.0 ± 2.8 | - | - | - | - | - | 200.0 | - |" in text
    assert "| cam | 1 | 25.0 | - |" in text
    assert "without guided cam" not in text
