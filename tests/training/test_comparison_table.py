"""The table of a comparison: means and spreads over seeds, ratios, words on what differs."""

import csv
import math
from pathlib import Path

import pytest

from hunique_training.comparison.ratios import with_ratios
from hunique_training.comparison.rows import plans_of
from hunique_training.comparison.statements import notes
from hunique_training.comparison.table import Section, as_markdown, write_tables
from hunique_training.config import TrainConfig


def test_seeds_are_averaged_with_their_spread() -> None:
    """In per cent; a single seed has no spread, and what is not defined is a dash."""
    runs = {
        "cosa": {0: {"cam": 0.5, "picture_s": 0.1}, 1: {"cam": 0.54, "picture_s": 0.3}},
        "cam": {0: {"cam": 0.25, "segmentation_label_free": math.nan, "steps": 400.0}},
        "without_guided_cam": {},
    }
    text = as_markdown([Section(heading="heading", runs=runs)])
    assert text.startswith("heading\n\n| row | seeds | steps | CAM mIoU |")
    assert "| cosa | 2 | - | 52.0 ± 2.8 | - | - | - | - | - | - | - | - | 200.0 | - |" in text
    assert "| cam | 1 | 400 | 25.0 | - |" in text
    assert "without guided cam" not in text


def test_data_sets_stand_under_each_other(tmp_path: Path) -> None:
    """A line for a row and a data set, in CSV with its name in front."""
    sections = [
        Section(heading="first", data="hands", runs={"cosa": {0: {"cam": 0.5}}, "cam": {}}),
        Section(
            heading="second", data="animals", notes=("a note",),
            runs={"cosa": {2: {"cam": 0.25}}, "cam": {0: {"cam": 0.125}}},
        ),
    ]  # fmt: skip
    write_tables(tmp_path, sections)
    lines = (tmp_path / "table.md").read_text().splitlines()
    rows = [line.split(" | ")[:5] for line in lines if line.startswith("| c")]
    assert rows == [
        ["| cosa", "hands", "1", "-", "50.0"],
        ["| cosa", "animals", "1", "-", "25.0"],
        ["| cam", "animals", "1", "-", "12.5"],
    ]
    assert {"first", "second", "a note"} <= set(lines)
    with (tmp_path / "table.csv").open(encoding="utf-8") as stream:
        found = list(csv.reader(stream))
    assert found[0] == ["data", "row", "seed", "cam"]
    assert found[2] == ["animals", "cosa", "2", "0.25"]


def test_a_ratio_is_of_one_seed() -> None:
    """Never over seeds, and never by nothing."""
    runs = {
        "pipeline": {0: {"segmentation_label_free": 0.3}, 1: {"segmentation_label_free": 0.3}},
        "second_stage": {0: {"segmentation_label_free": math.nan, "served_label_free": 0.2}},
        "full_supervision": {0: {"segmentation_label_free": 0.6, "served_label_free": 0.0}},
    }
    found = with_ratios(runs, plans_of(TrainConfig()))
    assert found["pipeline"][0]["weak_by_full"] == pytest.approx(0.5)
    undefined = (
        found["pipeline"][1]["weak_by_full"],
        found["second_stage"][0]["weak_by_full"],
        found["second_stage"][0]["served_weak_by_full"],
        found["full_supervision"][0]["weak_by_full"],
    )
    assert all(math.isnan(value) for value in undefined)


def test_rows_that_differ_are_named() -> None:
    """By steps, stage by stage; without any nothing is said."""
    runs = {
        "cosa": {0: {"steps": 400.0, "teacher_steps": math.nan}},
        "cam": {0: {"steps": 400.0}, 3: {"steps": 200.0}},
        "pipeline": {0: {"steps": 400.0, "teacher_steps": 400.0}},
    }
    said = notes(runs, 400, {"full supervision, seed 0": "no masks"}, "hands")
    assert said == (
        "hands. Another schedule: cam (200 steps, seed 3), pipeline (400 + 400 steps, seed 0).",
        "hands. Failed, to be run again by the same command: full supervision, seed 0 (no masks).",
    )
    assert notes({"cosa": runs["cosa"]}, 400, {}, "") == ()
