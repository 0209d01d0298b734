"""From a source on the command line to the label file that a run works from."""

import csv
import json
import tempfile
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from click.testing import CliRunner, Result

from hunique_models.drawn import draw_hand
from hunique_training.calibrating import calibrate_on_val
from hunique_training.checkpoint import ModelCheckpoint, save_model
from hunique_training.cli import main
from hunique_training.comparison.figures import with_masks
from hunique_training.config import TrainConfig
from hunique_training.data.labels import DataError, LabelledPicture, read_labels
from hunique_training.data.reading import ReadingOptions
from hunique_training.data.source_summary import guess_by_source, label_warnings
from hunique_training.data.splitting import SplitRule
from hunique_training.evaluation.truth import first_with_masks, read_truth
from hunique_training.fit_options import with_classes
from hunique_training.fitting import FitRequest, read_sources
from hunique_training.network.cosa import CosaNetwork, NetworkConfig
from hunique_training.validating import RunValidator

NAMES = ("tattoo", "ring", "lunule", "polished_nail")


def _picture(path: Path, seed: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), draw_hand(seed, size_px=(48, 64), view="hand").pixels[..., ::-1])


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three people in each class folder and in `none`."""
    source = tmp_path_factory.mktemp("folders") / "mine"
    for number, name in enumerate(("tattoo", "Ring", "lunule", "nail polish", "none")):
        for person in range(3):
            _picture(source / name / f"person {person}" / f"{number}.png", 10 * number + person)
    return source


def _request(run_folder: Path, *data: Path | str, **more: Any) -> FitRequest:
    return FitRequest(
        config=TrainConfig(),
        data=tuple(map(str, data)),
        run_folder=run_folder,
        reading=ReadingOptions(aliases=(("nail polish", "polished_nail"),)),
        **more,
    )


def test_any_source_leaves_a_label_file_in_the_run(tmp_path: Path, folders: Path) -> None:
    """What the run was trained on, with its split, in the format that evaluate reads."""
    request = _request(tmp_path, folders, "drawn:4", split=SplitRule(val_share=0.3))
    pictures, (own, drawn) = read_sources(request)
    again = read_labels(own, NAMES)
    assert [(p.labels, p.split, p.group, p.source) for p in again] == [
        (p.labels, p.split, p.group, p.source) for p in pictures[: len(again)]
    ]
    assert {p.group for p in again if p.split == "val"} in [{f"person {n}"} for n in range(3)]
    assert {p.split for p in read_labels(drawn, NAMES)} == {"train"}


def test_a_label_file_is_taken_as_it_is(tmp_path: Path, labelled_folder: Path) -> None:
    """Its masks lie beside it: no copy of it is made."""
    _, label_files = read_sources(_request(tmp_path, labelled_folder))
    assert label_files == [labelled_folder / "labels.csv"]
    assert not list(tmp_path.iterdir())


def _with_masks(folder: Path, column: str, named: str, first: int = 0) -> Path:
    """A label file without a split: six pictures, every second one with a mask of a ring."""
    (folder / "truth").mkdir(parents=True)
    rows = []
    for number in range(first, first + 6):
        _picture(folder / f"{number}.png", number)
        if number % 2:
            cv2.imwrite(str(folder / "truth" / f"{number}__{named}.png"), np.eye(48, 64) * 255)
        rows.append((f"{number}.png", number % 2, f"g{number}", named * (number % 2)))
    with (folder / "labels.csv").open("w", newline="") as stream:
        csv.writer(stream).writerows([("file", column, "group", "truth"), *rows])
    return folder / "labels.csv"


@pytest.mark.parametrize(
    ("column", "named"), [("ring", "ring"), ("Ring", "ring"), ("Ring", "Ring"), ("Band", "Band")]
)
def test_a_label_file_that_is_written_anew_keeps_its_masks(
    tmp_path: Path, column: str, named: str
) -> None:
    """With a split made for it, and with a column of another name: nothing is lost on val."""
    file = _with_masks(tmp_path / "mine", column, named)
    request = FitRequest(
        config=with_classes(TrainConfig(), ("ring",)),
        data=(str(file),),
        run_folder=tmp_path / "run",
        reading=ReadingOptions(aliases=(("band", "ring"),)),
        split=SplitRule(val_share=0.5),
    )
    _, (written,) = read_sources(request)
    assert written.parent == tmp_path / "run" / "sources"
    truths = [t for split in ("train", "val") for t in read_truth(written, ("ring",), split)]
    assert len({truth.picture.split for truth in truths}) == 2
    for truth in truths:
        shown = int(truth.picture.path.stem) % 2
        assert (truth.picture.labels, truth.masks[0] is not None) == ((bool(shown),), bool(shown))
        assert truth.mask(0, 48, 64).any() == bool(shown)


def test_masks_decide_which_label_file_is_scored(tmp_path: Path) -> None:
    """The first one has pictures of val as well, but nothing to choose pixels by."""
    files = []
    for number, name in enumerate(("plain", "masked")):
        file = _with_masks(tmp_path / name, "ring", "ring", 6 * number)
        rows = file.read_text().splitlines()
        split = [f"{rows[0]},split", *(f"{row},val" for row in rows[1:])]
        text = "\n".join(split) + "\n"
        file.write_text(text if number else text.replace("truth", "note"))
        files.append(file)
    assert first_with_masks(files, ("ring",)) == files[1]
    assert first_with_masks(files[:1], ("ring",)) is None
    assert with_masks(files, ("ring",)) == files[1]
    looked_at = RunValidator(files, ("ring",), 4, 64).pictures
    assert {one.picture.path.parent.name for one in looked_at} == {"masked"}
    network = CosaNetwork(NetworkConfig(class_names=("ring",)), None)
    model = tmp_path / "model.pt"
    save_model(model, ModelCheckpoint(network=network, input_size_px=64))
    calibrate_on_val(model, files)
    (figures,) = json.loads((tmp_path / "validation.json").read_text())
    assert (figures["masks"], figures["present"]) == (3, 3)


def test_one_picture_in_two_sources_and_splits_is_refused(
    tmp_path: Path, labelled_folder: Path
) -> None:
    """The second source has the same file without the first one's group."""
    path = labelled_folder / "hand-7.png"
    with (tmp_path / "labels.csv").open("w", newline="") as stream:
        csv.writer(stream).writerows([("file", "ring"), (path, 1)])
    with pytest.raises(DataError, match=r"more than one split.*hand-7"):
        read_sources(_request(tmp_path / "run", labelled_folder, tmp_path))


def _run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, list(map(str, arguments)))


def test_inspect_prints_counts_faults_and_warnings(tmp_path: Path, folders: Path) -> None:
    """What a user wants to know before hours are spent."""
    _picture(tmp_path / "ring" / "a.png", 1)
    (tmp_path / "ring" / "broken.jpg").write_bytes(b"\xff\xd8no picture")
    _picture(tmp_path / "watch" / "b.png", 2)
    alias = ("--alias", "nail-polish=polished nail")
    result = _run("inspect", folders, tmp_path, *alias, "--val-share", "0.3")
    assert result.exit_code == 0, result.output
    lines = [" ".join(line.split()) for line in result.output.splitlines()]
    assert "format class folders" in lines
    assert "unreadable 1" in lines
    assert any("broken.jpg" in line for line in lines)
    assert any("watch (1 pictures)" in line for line in lines)
    assert "ring val 1 1 3" in lines  # of the first source: one person of three
    assert any(line.startswith("- lunule: only 2 training pictures") for line in lines)


def test_inspect_counts_drawn_hands(
    tmp_path: Path, folders: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are a source like others, and nothing of them is left behind."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    result = _run("inspect", folders, "drawn:8", "--alias", "nail polish=polished_nail")
    assert result.exit_code == 0, result.output
    lines = [" ".join(line.split()) for line in result.output.splitlines()]
    drawn = lines[lines.index("drawn:8") :]
    assert "pictures 8 (train 8)" in drawn
    assert "unreadable 0" in drawn
    assert "pictures 23 (train 23)" in drawn  # all together
    refused = _run("inspect", "drawn:many")
    assert refused.exit_code == 1
    assert "expected drawn:N with N pictures to draw" in refused.output
    assert not list(tmp_path.iterdir())


def test_inspect_tells_what_fit_would_refuse(tmp_path: Path) -> None:
    """Copies on both sides, copies that contradict, groups that leak: all at once, as warnings."""
    for name, seed in (("a", 1), ("b", 1), ("c", 2), ("d", 2)):
        _picture(tmp_path / f"{name}.png", seed)
    rows = "a.png,1,train,ann\nb.png,1,val,ann\nc.png,1,train,bea\nd.png,0,train,bea\n"
    (tmp_path / "labels.csv").write_text(f"file,ring,split,group\n{rows}")
    output = _run("inspect", tmp_path).output
    assert "1 pictures stand in more than one split" in output
    assert "1 pictures have contradicting copies" in output
    assert "1 groups stand in more than one split, e.g. ann" in output


def test_inspect_tells_faults_in_a_sentence(tmp_path: Path) -> None:
    """As fit does."""
    result = _run("inspect", tmp_path)
    assert result.exit_code == 1
    assert "found an empty folder" in result.output
    assert _run("inspect", tmp_path, "--alias", "ring").exit_code == 2


@pytest.mark.parametrize("encoding", ["cp1252", "utf-16"])
@pytest.mark.parametrize("header", ["file,ring", "id,accessories,nailPolish,aspectOfHand,größe"])
def test_a_file_in_another_encoding_is_named(tmp_path: Path, encoding: str, header: str) -> None:
    """As spreadsheets save it, with a name that is not ASCII: of any command, and before training."""
    file = tmp_path / "labels.csv"
    file.write_bytes(f"{header}\nfinger-größe.png,1\n".encode(encoding))
    for command in (("inspect", file), ("fit", "--data", file, "--out", tmp_path / "run")):
        result = _run(*command)
        assert result.exit_code == 1
        assert f"{file}: expected UTF-8, found the byte 0x" in result.output
        assert "'CSV UTF-8'" in result.output


def _of(source: str, *labels: bool | None) -> list[LabelledPicture]:
    return [LabelledPicture(path=Path("a"), labels=(one,), source=source) for one in labels]


def test_a_label_that_follows_the_source_is_told() -> None:
    """All rings from one camera: the camera is learned. Unknown labels do not count."""
    apart = _of("studio", *[True] * 30, *[None] * 9) + _of("phone", *[False] * 30)
    assert guess_by_source(apart, 0) == 1
    assert any("30 of 30 present are of studio" in line for line in label_warnings(apart, ["ring"]))
    mixed = _of("studio", *[True, False] * 15) + _of("phone", *[True, False] * 15)
    assert guess_by_source(mixed, 0) == 0.5
    assert label_warnings(mixed, ["ring"]) == []


@pytest.mark.parametrize(
    ("labels", "told"),
    [
        ([True] * 30, "known not to show it"),
        ([False] * 30, "no training picture shows it"),
        ([None] * 30, "has a label of it"),
        ([True] * 3 + [False] * 30, "only 3 training pictures of one kind"),
        ([True] * 20 + [False] * 500, "20 present to 500 absent"),
    ],
)
def test_classes_that_cannot_be_learned_well_are_named(
    labels: list[bool | None], told: str
) -> None:
    """Before training, not by poor figures after it."""
    (warning,) = label_warnings(_of("", *labels), ["ring"])
    assert warning.startswith("ring: ")
    assert told in warning


def test_the_hands_at_hand_are_inspected(shared: Path) -> None:
    """Real photographs, and a trap in them that their own page names."""
    result = _run("inspect", "--quick", shared / "data/hands")
    lines = [" ".join(line.split()) for line in result.output.splitlines()]
    assert "pictures 1512 (train 1131, val 381)" in lines
    assert "lunule train 35 252 844" in lines
    assert any(line.startswith("- tattoo: the label follows the source") for line in lines)
