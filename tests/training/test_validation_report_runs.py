"""Runs of `hunique-train validate` that are interrupted, resumed, refused, or meet bad files."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from click.testing import CliRunner, Result
from report_reading import class_of, read_report

from hunique_training.cli import main
from hunique_training.validation_report import examining
from hunique_training.validation_report.examining import Examiner
from hunique_training.validation_report.tally_file import TALLIES

Validate = Callable[..., Result]
Row = dict[str, str]


def test_an_interrupted_run_goes_on(
    validate: Validate, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After Ctrl-C on the sixth picture the same command examines the other ones alone."""
    seen: list[int] = []
    examine = Examiner.examine

    def examine_five(self: Examiner, case: Any, *rest: Any) -> Any:
        if len(seen) == 5:
            raise KeyboardInterrupt
        seen.append(case.row)
        return examine(self, case, *rest)

    with monkeypatch.context() as patched:
        patched.setattr(Examiner, "examine", examine_five)
        stopped = validate()
    assert stopped.exit_code == 130
    assert "goes on" in stopped.stderr
    assert not (tmp_path / "out" / "report.html").exists()
    further = _count_examined(monkeypatch)
    assert validate().exit_code == 0
    assert len(further) == 16
    assert not set(further) & set(seen)


def _count_examined(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    seen: list[int] = []
    examine = Examiner.examine

    def counted(self: Examiner, case: Any, *rest: Any) -> Any:
        seen.append(case.row)
        return examine(self, case, *rest)

    monkeypatch.setattr(Examiner, "examine", counted)
    return seen


def test_what_was_changed_or_cut_short_is_done_again(
    validate: Validate, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A mask that was corrected and a line that was half written are examined again alone."""
    validate()
    before = class_of(read_report(tmp_path), "tattoo")["figures"]["iou"]["value"]
    path = tmp_path / "out" / TALLIES
    path.write_text(path.read_text()[:-40])
    mask = np.zeros((96, 128), np.uint8)
    mask[0:8, 0:8] = 255
    cv2.imwrite(str(tmp_path / "data" / "truth" / "anna-0__tattoo.png"), mask)
    seen = _count_examined(monkeypatch)
    validate()
    assert seen == [2, 25]
    assert class_of(read_report(tmp_path), "tattoo")["figures"]["iou"]["value"] < before


def test_tallies_of_another_run_are_not_mixed_in(validate: Validate, tmp_path: Path) -> None:
    """Another detail is refused with what differs, unless the folder may begin anew."""
    validate()
    refused = validate("--detail", "fast")
    assert refused.exit_code == 1
    assert "what differs: detail" in refused.stderr
    assert validate("--detail", "fast", "--restart").exit_code == 0
    assert read_report(tmp_path)["model"]["detail"] == "fast"


def test_unreadable_pictures_are_named_counted_and_left_out(
    validate: Validate, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The report is made of the others, says which lines are missing, and the code is 5."""
    (tmp_path / "data" / "anna-3.png").write_bytes(b"no picture")
    (tmp_path / "data" / "anna-4.png").unlink()
    result = validate()
    assert result.exit_code == 5
    assert "left out as unreadable: 2 (lines 5, 6)" in result.stderr
    report = read_report(tmp_path)
    assert [one["row"] for one in report["data"]["unreadable"]] == [5, 6]
    assert report["data"]["pictures"] == 19
    assert "anna" not in json.dumps(report)
    assert "anna-3.png" in caplog.text


def test_stress_repeats_only_what_counts_under_stress(
    validate: Validate, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A picture that cannot be read is tried and named once, and pooled ones are sent once."""
    (tmp_path / "data" / "anna-3.png").write_bytes(b"no picture")
    assert validate("--stress", "jpeg", "--pool-backgrounds", "train").exit_code == 5
    assert caplog.text.count("left out line 5") == 1
    _, *lines = (tmp_path / "out" / TALLIES).read_text().splitlines()
    sent = [json.loads(line) for line in lines]
    assert sum(one["variant"] == "as it is" for one in sent) == 20 + 1
    assert sum(one["variant"] == "jpeg-30" for one in sent) == 20


def test_without_any_readable_picture_there_is_no_report(
    validate: Validate, tmp_path: Path
) -> None:
    """A folder that was moved is said, not scored."""
    for path in (tmp_path / "data").glob("*.png"):
        path.unlink()
    result = validate()
    assert result.exit_code == 1
    assert "found none of 21" in result.stderr
    assert not (tmp_path / "out" / "report.json").exists()


def test_a_broken_label_file_is_said(
    validate: Validate, squares: list[Row], write_squares: Callable[..., None], tmp_path: Path
) -> None:
    """Semicolons, other encodings, a split that is not there, masks and names that are missing."""
    folder = tmp_path / "data"
    assert "found train, val" in validate("--split", "test").stderr
    write_squares(folder, [row | {"truth": "polished_nail"} for row in squares[:3]])
    assert "line 2: anna-0__polished_nail.png" in validate().stderr
    write_squares(folder, [row | {"file": ""} for row in squares])
    assert "labels.csv:2: expected a picture in the column file" in validate().stderr
    write_squares(folder, squares, delimiter=";")
    assert "parted by commas, found semicolons" in validate().stderr
    (folder / "labels.csv").write_bytes("file,ring\nfinger-größe.png,1\n".encode("cp1252"))
    result = validate()
    assert "CSV UTF-8" in result.stderr
    assert result.exit_code == 1
    assert "Traceback" not in result.stderr


def test_a_mask_of_another_size_is_an_error(validate: Validate, tmp_path: Path) -> None:
    """It says which mask, and what was done before is kept."""
    path = tmp_path / "data" / "truth" / "anna-1__ring.png"
    cv2.imwrite(str(path), np.zeros((9, 9), np.uint8))
    result = validate()
    assert result.exit_code == 1
    assert "anna-1__ring.png: expected a mask of 96 x 128, found 9 x 9" in result.stderr
    assert len((tmp_path / "out" / TALLIES).read_text().splitlines()) == 2


def test_a_bundle_that_does_not_compute_is_not_validated(
    validate: Validate, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The self-test of a server's start is run first."""
    asked = []
    monkeypatch.setattr(examining, "check_known_answer", lambda *a: asked.append(a))
    validate()
    assert len(asked) == 1


def test_a_changed_bundle_is_refused(tmp_path: Path, squares: list[Row]) -> None:
    """As the server refuses it."""
    assert squares
    folder = tmp_path / "bundle"
    folder.mkdir()
    command = ["validate", str(folder), "--data", str(tmp_path / "data")]
    result = CliRunner().invoke(main, command)
    assert result.exit_code == 1
    assert "Expected a bundle" in result.stderr
