"""Scenes: large pictures composed of labelled ones, with labels and masks that are still true."""

import csv
from pathlib import Path

import cv2
import numpy as np
import pytest
from click.testing import CliRunner

from hunique_training.cli import main
from hunique_training.data.labels import DataError
from hunique_training.evaluation.scenes import SceneConfig, scenes, write_scenes
from hunique_training.evaluation.truth import read_truth

NAMES = ("ring", "tattoo")
SMALL = SceneConfig(width_px=400, height_px=200, pictures=2)
RED, BLUE = (255, 0, 0), (0, 0, 255)


def _write_picture(folder: Path, stem: str, colour: tuple[int, int, int]) -> None:
    """60 x 40 of one colour, with a grey square and a mask of it."""
    pixels = np.full((40, 60, 3), colour, np.uint8)
    mask = np.zeros((40, 60), np.uint8)
    mask[14:26, 20:40] = 255
    pixels[mask > 0] = 128
    cv2.imwrite(str(folder / f"{stem}.png"), pixels[..., ::-1])
    (folder / "truth").mkdir(exist_ok=True)
    cv2.imwrite(str(folder / "truth" / f"{stem}__ring.png"), mask)


def _labels(folder: Path, rows: list[str]) -> Path:
    path = folder / "labels.csv"
    path.write_text("\n".join(["file,split,group,ring,tattoo,truth,kind", *rows]) + "\n")
    return path


@pytest.fixture
def labels(tmp_path: Path) -> Path:
    """A red picture with a ring, a blue one of which nothing is known of rings, a green ground."""
    _write_picture(tmp_path, "red", RED)
    _write_picture(tmp_path, "blue", BLUE)
    cv2.imwrite(str(tmp_path / "green.png"), np.full((40, 60, 3), (0, 255, 0), np.uint8))
    return _labels(
        tmp_path,
        [
            "red.png,val,a,1,0,ring,hand",
            "blue.png,val,b,,0,,hand",
            "green.png,val,c,0,0,,background",
        ],
    )


def test_truth_stands_where_the_picture_does(labels: Path) -> None:
    """Its feature under its mask; what is unknown of another picture is not scored there."""
    (scene,) = scenes(read_truth(labels, NAMES, "val"), SMALL)
    assert scene.pixels.shape == (200, 400, 3)
    assert scene.labels == (True, False)
    ring, tattoo = scene.masks
    assert ring is not None
    assert tattoo is None
    assert (ring == 255).sum() == 12 * 20
    assert (scene.pixels[ring == 255] == 128).all()
    blue = (ring == 128).nonzero()
    assert len(blue[0]) == 40 * 60
    assert tuple(scene.pixels[int(blue[0].mean()), int(blue[1].min()) + 14]) == BLUE
    elsewhere = scene.pixels[ring == 0]
    assert (elsewhere == (0, 255, 0)).all(axis=1).mean() > 0.9


def test_pictures_larger_than_their_part_are_shrunk(labels: Path) -> None:
    """Mask and picture alike."""
    config = SceneConfig(width_px=64, height_px=64, pictures=2)
    (scene,) = scenes(read_truth(labels, NAMES, "val"), config)
    ring = scene.masks[0]
    assert ring is not None
    assert 0 < (ring == 255).sum() < 12 * 20 / 3
    assert np.abs(scene.pixels[ring == 255].astype(int) - 128).max(axis=1).mean() < 40


def test_every_group_is_on_one_scene_at_most(labels: Path) -> None:
    """Scenes share nobody, so they are as many as groups allow."""
    rows = [f"red.png,val,g{n // 3},1,0,ring,hand" for n in range(15)]
    many = _labels(labels.parent, rows)
    assert len(list(scenes(read_truth(many, NAMES, "val"), SMALL))) == 2
    with pytest.raises(DataError, match=r"at least 9 groups, found 5\. Give fewer"):
        list(scenes(read_truth(many, NAMES, "val"), SceneConfig(pictures=9)))


def test_the_command_writes_a_set_that_can_be_validated_on(labels: Path, tmp_path: Path) -> None:
    """The same bytes for the same seed; labels and masks are read as those of any set."""
    command = ["compose-scenes", "--data", str(labels), "--width-px", "400", "--height-px", "200"]
    command += ["--pictures", "2", "--class", "ring", "--class", "tattoo", "--out"]
    for name in ("first", "again"):
        result = CliRunner().invoke(main, [*command, str(tmp_path / name)], catch_exceptions=False)
        assert result.output.strip().endswith("labels.csv")
    first, again = (tmp_path / name / "images/scene-0000.jpg" for name in ("first", "again"))
    assert first.read_bytes() == again.read_bytes()
    (truth,) = read_truth(tmp_path / "first" / "labels.csv", NAMES, "val")
    assert truth.picture.labels == (True, False)
    assert truth.scored(0)
    assert (truth.mask(0, 200, 400) == 255).sum() == 12 * 20
    with (tmp_path / "first" / "labels.csv").open() as stream:
        assert [row["group"] for row in csv.DictReader(stream)] == ["scene-0000"]


def test_files_without_splits_are_taken_whole(labels: Path, tmp_path: Path) -> None:
    """As validation takes them; of a file with splits, one that is not there is said."""
    lines = [line.split(",") for line in labels.read_text().splitlines()]
    labels.write_text("\n".join(",".join([row[0], *row[2:]]) for row in lines) + "\n")
    command = ["compose-scenes", "--data", str(labels), "--pictures", "2"]
    command += ["--width-px", "400", "--height-px", "200", "--out"]
    assert CliRunner().invoke(main, [*command, str(tmp_path / "out")]).exit_code == 0
    _labels(labels.parent, ["red.png,train,a,1,0,ring,hand"])
    refused = CliRunner().invoke(main, [*command, str(tmp_path / "none")])
    assert refused.exit_code == 1
    assert "expected rows of the split val; found train" in refused.output
    assert not (tmp_path / "none").exists()


def test_a_class_that_nobody_is_sure_of_has_no_label(labels: Path, tmp_path: Path) -> None:
    """Absent on some and unknown on others is unknown; nothing is scored."""
    unknown = _labels(labels.parent, ["red.png,val,a,0,0,,hand", "blue.png,val,b,,0,,hand"])
    file = write_scenes(read_truth(unknown, NAMES, "val"), NAMES, "val", tmp_path / "out", SMALL)
    (truth,) = read_truth(file, NAMES, "val")
    assert truth.picture.labels == (None, False)
    assert not truth.scored(0)
