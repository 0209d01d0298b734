"""Label files: what is read, and what is refused before anything is trained on it."""

from pathlib import Path

import pytest

from hunique_training.data.labels import (
    DataError,
    read_labels,
    refuse_leaks,
    refuse_unlabelled_classes,
)

NAMES = ("tattoo", "ring")


def _write(folder: Path, text: str) -> Path:
    path = folder / "labels.csv"
    path.write_text(text, encoding="utf-8")
    return path


def test_empty_means_unknown(tmp_path: Path) -> None:
    """1 is present, 0 absent, nothing unknown; paths are relative to the file."""
    path = _write(
        tmp_path, "file,ring,tattoo,split,group,source,kind\na/b.jpg,0,,val,p1,cam,hand\n"
    )
    (picture,) = read_labels(path, NAMES)
    assert picture.labels == (None, False)
    assert picture.path == tmp_path / "a/b.jpg"
    assert (picture.split, picture.group, picture.source, picture.kind) == (
        "val", "p1", "cam", "hand",
    )  # fmt: skip


def test_without_split_everything_is_trained_on(tmp_path: Path) -> None:
    """A file of two columns is enough."""
    (picture,) = read_labels(_write(tmp_path, "file,ring\nb.jpg,1\n"), NAMES)
    assert picture.split == "train"
    assert picture.labels == (None, True)


def test_a_matte_beside_the_pictures_is_found(tmp_path: Path) -> None:
    """foreground/<stem>.png belongs to the picture of that stem."""
    (tmp_path / "foreground").mkdir()
    (tmp_path / "foreground" / "b.png").touch()
    path = _write(tmp_path, "file,ring\nimages/b.jpg,1\nimages/c.jpg,1\n")
    first, second = read_labels(path, NAMES)
    assert first.matte == tmp_path / "foreground" / "b.png"
    assert second.matte is None


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("file,rings\nb.jpg,1\n", "file, rings"),
        ("name,ring\nb.jpg,1\n", "name, ring"),
        ("file,ring\nb.jpg,yes\n", ":2: a label is 1, 0 or empty"),
        ("file,ring\n", "no rows"),
        ("file,ring\n ,1\n", ":2: expected a picture in the column file"),
        ("file;ring\nb.jpg;1\n", "parted by commas, found semicolons"),
        ("", "found none"),
    ],
)
def test_unusable_files_say_what_was_found(tmp_path: Path, text: str, told: str) -> None:
    """Wrong columns, wrong values and empty files name the fault and its place."""
    with pytest.raises(DataError, match=told):
        read_labels(_write(tmp_path, text), NAMES)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    """The message names the path that was looked for."""
    with pytest.raises(DataError, match=r"nowhere\.csv"):
        read_labels(tmp_path / "nowhere.csv", NAMES)


def test_a_group_on_both_sides_is_refused(tmp_path: Path) -> None:
    """The same person in train and val would flatter every figure."""
    text = "file,ring,split,group\na.jpg,1,train,ann\nb.jpg,0,val,ann\nc.jpg,0,val,bea\n"
    with pytest.raises(DataError, match=r"1 groups .* ann\b"):
        refuse_leaks(read_labels(_write(tmp_path, text), NAMES))
    refuse_leaks(read_labels(_write(tmp_path, text.replace("val,ann", "train,ann")), NAMES))


def test_a_class_nobody_labelled_is_refused(tmp_path: Path) -> None:
    """A misspelt column shows before hours are spent on it."""
    pictures = read_labels(_write(tmp_path, "file,ring,tatoo\na.jpg,1,1\n"), NAMES)
    with pytest.raises(DataError, match="none for tattoo"):
        refuse_unlabelled_classes(pictures, NAMES)
    refuse_unlabelled_classes(read_labels(tmp_path / "labels.csv", ("ring",)), ("ring",))
