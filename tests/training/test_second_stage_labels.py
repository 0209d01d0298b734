"""Labels of pixels: folders of pseudo-labels, and truth masks for the upper bound."""

import csv
import dataclasses
from collections.abc import Mapping
from pathlib import Path

import cv2
import numpy as np
import pytest

from hunique_training.data.labels import DataError, LabelledPicture, read_labels
from hunique_training.second_stage.generation import count_labels
from hunique_training.second_stage.label_folder import (
    PseudoLabelFolder,
    label_path,
    write_index_png,
    write_manifest,
)
from hunique_training.second_stage.truth_labels import TruthLabels

NAMES = ("ring", "tattoo")


def _picture(folder: Path, name: str, level: int = 0) -> Path:
    path = folder / f"{name}.png"
    cv2.imwrite(str(path), np.full((8, 12, 3), level, np.uint8))
    return path


def _index(folder: Path, picture: Path, labels: np.ndarray) -> None:
    write_index_png(label_path(folder, picture), labels)


def _finish(folder: Path) -> None:
    identity = {"class_names": list(NAMES), "supervision": "image"}
    write_manifest(folder, identity | {"complete": True})


def test_labels_are_found_by_content(tmp_path: Path) -> None:
    """A picture that was renamed keeps its labels, at any size, never mixed."""
    picture = _picture(tmp_path, "before")
    labels = np.zeros((8, 12), np.uint8)
    labels[:, 6:] = 2
    labels[0, 0] = 255
    _index(tmp_path / "labels", picture, labels)
    _finish(tmp_path / "labels")
    moved = picture.rename(tmp_path / "after.png")
    folder = PseudoLabelFolder(tmp_path / "labels")
    assert folder.class_names == NAMES
    assert folder.supervision == "image"
    labelled = LabelledPicture(path=moved, labels=(False, True))
    folder.require([labelled])
    assert np.array_equal(folder.pixel_label(labelled, (8, 12)).labels, labels)
    larger = folder.pixel_label(labelled, (16, 24)).labels
    assert np.array_equal(larger, labels.repeat(2, axis=0).repeat(2, axis=1))


def test_a_present_class_without_a_pixel_is_open(tmp_path: Path) -> None:
    """What the model did not find may be anywhere in the background; unknown ones are not."""
    picture = _picture(tmp_path, "a")
    _index(tmp_path, picture, np.full((8, 12), 2, np.uint8))
    _finish(tmp_path)
    folder = PseudoLabelFolder(tmp_path)
    for labels, expected in (
        ((True, True), (True, False)),
        ((None, True), (False, False)),
        ((False, False), (False, False)),
    ):
        labelled = LabelledPicture(path=picture, labels=labels)
        folder.require([labelled])
        assert folder.pixel_label(labelled, (8, 12)).open_classes == expected


def test_unfinished_and_missing_labels_are_told(tmp_path: Path) -> None:
    """No manifest, an unfinished one, one of another kind, and pictures without labels."""
    with pytest.raises(DataError, match=r"found none. Run hunique-train pseudo-labels"):
        PseudoLabelFolder(tmp_path)
    write_manifest(tmp_path, {"complete": False})
    with pytest.raises(DataError, match="found unfinished ones"):
        PseudoLabelFolder(tmp_path)
    (tmp_path / "manifest.json").write_text("{}")
    with pytest.raises(DataError, match="another file"):
        PseudoLabelFolder(tmp_path)
    _finish(tmp_path)
    known, new = _picture(tmp_path, "known"), _picture(tmp_path, "new", level=9)
    _index(tmp_path, known, np.zeros((8, 12), np.uint8))
    pictures = [LabelledPicture(path=path, labels=(None, None)) for path in (known, new)]
    with pytest.raises(DataError, match=r"labels of 2 pictures, 1 have none, e\.g\. .*new\.png"):
        PseudoLabelFolder(tmp_path).require(pictures)


def test_counts_are_those_of_the_files(tmp_path: Path) -> None:
    """Pixels and pictures of each class, of the background and ignored."""
    first = np.array([[0, 0, 1], [1, 1, 255]], np.uint8)
    for name, labels in (("a", first), ("b", np.full((2, 3), 2, np.uint8))):
        write_index_png(tmp_path / f"{name}.png", labels)
    counts = count_labels([tmp_path / "a.png", tmp_path / "b.png"], NAMES)
    assert counts == {
        "pictures": 2,
        "pixels_of": {"background": 2, "ring": 3, "tattoo": 6, "ignored": 1},
        "pictures_with": {"background": 1, "ring": 1, "tattoo": 1, "ignored": 1},
    }


def _truth_file(folder: Path, rows: Mapping[str, tuple[str, str, dict[str, np.ndarray]]]) -> Path:
    """A label file: picture to labels of both classes and masks."""
    (folder / "truth").mkdir()
    for number, (name, (_, _, masks)) in enumerate(rows.items()):
        _picture(folder, name, level=number)
        for c, mask in masks.items():
            cv2.imwrite(str(folder / "truth" / f"{name}__{c}.png"), mask)
    path = folder / "labels.csv"
    with path.open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["file", *NAMES, "split", "truth"])
        for name, (ring, tattoo, masks) in rows.items():
            writer.writerow([f"{name}.png", ring, tattoo, "train", ";".join(masks)])
    return path


def _masks() -> dict[str, np.ndarray]:
    ring, tattoo = np.zeros((2, 8, 12), np.uint8)
    ring[:4, :6] = 255
    ring[4, :6] = 128
    tattoo[3:6, 4:8] = 255
    return {"ring": ring, "tattoo": tattoo}


def test_truth_is_one_label_a_pixel(tmp_path: Path) -> None:
    """A feature where its mask is, ignored where two meet or nobody knows, background else."""
    path = _truth_file(tmp_path, {"a": ("1", "1", _masks())})
    (picture,) = read_labels(path, NAMES)
    found = TruthLabels([path], NAMES).pixel_label(picture, (8, 12))
    ring, tattoo = (_masks()[name] for name in NAMES)
    for y in range(8):
        for x in range(12):
            hit = (ring[y, x] == 255, tattoo[y, x] == 255)
            expected = 255 if all(hit) else 1 if hit[0] else 2 if hit[1] else 0
            if not any(hit) and ring[y, x] == 128:
                expected = 255
            assert found.labels[y, x] == expected
    assert found.open_classes == (False, False)


def test_a_present_class_without_a_mask_is_open(tmp_path: Path) -> None:
    """Present without mask is open, absent is nowhere, unknown counts as background."""
    ring = {"ring": _masks()["ring"]}
    rows = {
        "a": ("1", "1", ring),
        "b": ("", "0", {}),
        "c": ("1", "", {}),
        "d": ("0", "1", _masks()),
    }
    path = _truth_file(tmp_path, rows)
    labels = TruthLabels([path], NAMES)
    pictures = read_labels(path, NAMES)
    found = [labels.pixel_label(picture, (8, 12)) for picture in pictures]
    assert [one.open_classes for one in found] == [
        (False, True), (False, False), (True, False), (False, False),
    ]  # fmt: skip
    assert [int(one.labels.max()) for one in found[1:3]] == [0, 0]
    assert labels.supervision == "pixel"
    assert labels.facts["masks"] == {"ring": 2, "tattoo": 1}
    labels.require(pictures)


def test_truth_follows_the_picture_when_it_is_shrunk(tmp_path: Path) -> None:
    """At half size every second pixel; at another shape it is refused."""
    path = _truth_file(tmp_path, {"a": ("1", "1", _masks())})
    (picture,) = read_labels(path, NAMES)
    truth = TruthLabels([path], NAMES)
    whole = truth.pixel_label(picture, (8, 12)).labels
    assert np.array_equal(truth.pixel_label(picture, (4, 6)).labels, whole[::2, ::2])
    with pytest.raises(DataError, match="found 8 x 12 for a picture seen at 12 x 8"):
        truth.pixel_label(picture, (12, 8))


def test_a_class_without_any_mask_has_no_upper_bound(tmp_path: Path) -> None:
    """Said before anything is trained."""
    path = _truth_file(tmp_path, {"a": ("1", "1", {"ring": _masks()["ring"]})})
    with pytest.raises(DataError, match=r"every class .* found none of tattoo"):
        TruthLabels([path], NAMES).require(read_labels(path, NAMES))


def test_masks_of_val_teach_nothing(tmp_path: Path) -> None:
    """A picture of `val` has no truth here, even if someone asks."""
    path = _truth_file(tmp_path, {"a": ("1", "1", _masks())})
    path.write_text(path.read_text().replace("train", "val"))
    (picture,) = read_labels(path, NAMES)
    moved = dataclasses.replace(picture, split="train")
    found = TruthLabels([path], NAMES).pixel_label(moved, (8, 12))
    assert not found.labels.any()
    assert found.open_classes == (True, True)
