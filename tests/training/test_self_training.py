"""`hunique-train self-train`: rounds of models that label and networks that learn from it."""

import hashlib
import json
from pathlib import Path

from click.testing import CliRunner, Result

from hunique_training.checkpoint import load_model
from hunique_training.cli import main

SMALL = ["--pretrained", "none", "--batch-size", "2", "--steps", "2", "--input-size-px", "64"]
SMALL += ["--crop-size-px", "64"]


def _train(*arguments: str | Path) -> Result:
    words = ["--threads", "1", *map(str, arguments)]
    return CliRunner().invoke(main, words, catch_exceptions=False)


def test_self_training_wants_masks_before_it_begins(tmp_path: Path, labelled_folder: Path) -> None:
    """Thresholds decide what becomes a label, so nothing is trained that could not choose them."""
    text = (labelled_folder / "labels.csv").read_text()
    for name, changed in (("no masks", ("truth", "note")), ("no val", (",val,", ",train,"))):
        (tmp_path / name).mkdir()
        (tmp_path / name / "labels.csv").write_text(text.replace(*changed))
        result = _train("self-train", "--data", tmp_path / name, "--out", tmp_path / "out", *SMALL)
        assert result.exit_code == 1
        assert "expected a source with truth masks on val, found none" in result.output
    assert not (tmp_path / "out").exists()


def test_self_training_is_its_commands(tmp_path: Path, labelled_folder: Path) -> None:
    """Each with all sources; what is finished is not done again."""
    data = ["--data", labelled_folder, "--data", "drawn:4"]
    classes = ("--class", "ring", "--class", "polished_nail")
    command = ("self-train", *data, *classes, "--out", tmp_path, *SMALL)
    result = _train(*command, "--rounds", "1")
    told = result.output.splitlines()
    steps = [line.split()[1] for line in told if line.startswith("hunique-train ")]
    assert steps == ["fit", "pseudo-labels", "fit-second-stage", "fit-hand-map"]
    assert all("drawn:4" in line for line in told if line.startswith("hunique-train "))
    assert result.stdout.splitlines()[-1] == str(tmp_path / "with-hands-1" / "model.pt")
    manifest = json.loads((tmp_path / "labels-1" / "manifest.json").read_text())
    assert (manifest["settings"]["source"], manifest["supervision"]) == ("served", "image")
    more = _train(*command, "--rounds", "2")
    again = [line.split()[1] for line in more.output.splitlines() if "hunique-train " in line]
    assert again == ["pseudo-labels", "fit-second-stage", "fit-hand-map"]
    model = load_model(Path(more.stdout.splitlines()[-1]))
    teacher = hashlib.sha256((tmp_path / "round-1" / "model.pt").read_bytes()).hexdigest()
    assert model.training["pixel_labels"]["model_sha256"] == teacher
    sheets = [sorted((tmp_path / name / "drawn").iterdir()) for name in ("first", "round-2")]
    first, last = ([path.stat().st_mtime_ns for path in sheet] for sheet in sheets)
    assert len(first) == 5
    assert first == last  # copied, not drawn again
    assert not model.network.config.hand_map  # no picture here is without hands
    assert (model.training["stage"], model.supervision) == (2, "image")
    assert model.network.config.class_names == ("ring", "polished_nail")
    assert model.training["pixel_labels"]["supervision"] == "image"
    other = _train(*command, "--seed", "1")
    assert other.exit_code == 1
    assert "tells of other options. Choose another --out folder" in other.output
