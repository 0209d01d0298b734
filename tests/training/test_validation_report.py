"""`hunique-train validate` as it is typed, with a real bundle that follows a colour rule."""

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import jsonschema
import pytest
from click.testing import Result
from report_reading import class_of, read_report

from hunique_models.bundle import Bundle

SCHEMA = Path(__file__).resolve().parents[2] / "docs" / "validation.schema.json"
Validate = Callable[..., Result]
Row = dict[str, str]


def test_the_report_follows_its_schema(validate: Validate, tmp_path: Path) -> None:
    """Both files are written and named, and the JSON is as published."""
    result = validate("--stress", "jpeg", "--pool-backgrounds", "train")
    assert result.exit_code == 0, result.output
    assert result.stdout.split() == [str(tmp_path / "out" / n) for n in ("report.html",
                                                                         "report.json")]  # fmt: skip
    schema = json.loads(SCHEMA.read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(read_report(tmp_path), schema, jsonschema.Draft202012Validator)


def test_the_figures_are_those_of_the_colour_rule(validate: Validate, tmp_path: Path) -> None:
    """Red squares are found as they are; one green one is a false alarm by its label."""
    validate()
    report = read_report(tmp_path)
    assert report["data"]["pictures"] == 21
    tattoo, ring, lunule = (class_of(report, name) for name in ("tattoo", "ring", "lunule"))
    assert tattoo["figures"]["sensitivity"]["value"] == 1
    assert tattoo["figures"]["iou"]["value"] > 0.8
    assert tattoo["figures"]["instance_recall_50"]["value"] == 1
    absent = ring["absent"]
    assert ring["figures"]["specificity"]["value"] == pytest.approx(1 - 1 / absent, abs=1e-5)
    assert ring["figures"]["instance_precision_50"]["value"] < 1
    assert {one["missing"] for one in lunule["figures"].values()} == {"not measured"}
    worst = report["worst_cases"][0]
    assert (worst["class_name"], worst["fault"], worst["row"]) == ("ring", "false alarm", 9)


def test_figures_without_intervals_stand_alone(validate: Validate) -> None:
    """The lines on the terminal hold a value and no brackets of nan."""
    said = validate("--resamples", "0").stderr
    assert re.search(r"^tattoo +IoU 0\.\d{3} +image-level F1 1\.000$", said, re.MULTILINE), said
    assert "nan" not in said


def test_false_alarms_tell_hands_from_backgrounds(validate: Validate, tmp_path: Path) -> None:
    """The mislabelled ring is on a hand; backgrounds of `train` are added on request."""
    validate()
    alone = {(a["name"], a["population"]): a for a in read_report(tmp_path)["false_alarms"]}
    validate("--pool-backgrounds", "train")
    pooled = read_report(tmp_path)
    more = {(a["name"], a["population"]): a for a in pooled["false_alarms"]}
    assert alone["ring", "hands without it"]["alarms"] == 1
    assert alone["ring", "pictures without hands"]["alarms"] == 0
    added = pooled["data"]["pooled_pictures_without_hands"]
    assert added == 1
    for population, extra in (("pictures without hands", added), ("hands without it", 0)):
        before, after = (table["ring", population]["pictures"] for table in (alone, more))
        assert after - before == extra
    assert pooled["data"]["pictures"] == 21


def test_pictures_are_in_the_page_on_request_alone(validate: Validate, tmp_path: Path) -> None:
    """Nothing is embedded, fetched, run or named; with --with-pictures the cases are shown."""
    validate()
    page = (tmp_path / "out" / "report.html").read_text()
    assert "data:image" not in page
    assert "anna" not in page
    assert not re.search(r"<script|<link|(src|href)\s*=\s*[\"']?(https?:)?//", page)
    assert "default-src 'none'" in page
    assert "<street>" not in page
    assert "&lt;street&gt;" in page
    validate("--with-pictures")
    shown = (tmp_path / "out" / "report.html").read_text()
    assert shown.count("data:image/jpeg;base64,") == len(read_report(tmp_path)["worst_cases"]) > 0
    assert "anna" not in shown


def test_a_laboratory_file_without_extras_will_do(
    validate: Validate, squares: list[Row], write_squares: Callable[..., None], tmp_path: Path
) -> None:
    """No split, group, source, kind or masks: every row, own groups, no outlines measured."""
    kept = ("file", "tattoo", "ring")
    write_squares(tmp_path / "data", [{name: row[name] for name in kept} for row in squares])
    assert validate().exit_code == 0
    report = read_report(tmp_path)
    data = report["data"]
    assert (data["pictures"], data["groups"], data["pictures_without_group"]) == (24, 24, 24)
    figures = class_of(report, "tattoo")["figures"]
    assert figures["iou"]["missing"] == figures["boundary_f"]["missing"] == "not measured"
    assert figures["sensitivity"]["value"] == 1
    page = (tmp_path / "out" / "report.html").read_text()
    assert "24 of 24 pictures have no group" in page
    assert "No truth masks of tattoo, ring" in page
    assert "No labels of lunule, polished nail" in page


def test_parts_of_few_pictures_say_so(validate: Validate, tmp_path: Path) -> None:
    """Three pictures of a skin tone are counted and not scored."""
    validate()
    (tones,) = (p for p in read_report(tmp_path)["parts"] if p["dimension"] == "skin_tone")
    counts = {one["name"]: (one["pictures"], one["classes"] == []) for one in tones["parts"]}
    assert counts == {"fair": (18, False), "medium": (3, True)}
    page = (tmp_path / "out" / "report.html").read_text()
    assert "Not enough data (fewer than 10 pictures): medium (3)" in page


def test_choosing_on_these_pictures_is_said(
    validate: Validate, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A model made with the very label file carries its digest, and the page warns."""
    validate()
    assert read_report(tmp_path)["data"]["model_was_made_with_this_label_file"] is False
    digest = read_report(tmp_path)["data"]["label_file_sha256"]
    opened = Bundle.open

    def with_digest(path: Path) -> Bundle:
        bundle = opened(path)
        bundle.manifest.training["label_file_sha256"] = [digest]
        return bundle

    monkeypatch.setattr(Bundle, "open", with_digest)
    validate()
    assert read_report(tmp_path)["data"]["model_was_made_with_this_label_file"] is True
    page = (tmp_path / "out" / "report.html").read_text()
    assert "thresholds may have been chosen on these pictures" in page


def test_a_report_needs_no_torch() -> None:
    """The package that makes reports loads without importing it."""
    program = (
        "import sys; import hunique_training.validation_report.making; "
        "sys.exit('torch' in sys.modules)"
    )
    ended = subprocess.run([sys.executable, "-c", program], timeout=60, check=False)
    assert ended.returncode == 0
