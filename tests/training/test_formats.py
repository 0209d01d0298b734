"""Sources in the formats of other tools: each gives the image-level labels that it states."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from hunique_models.drawn import draw_hand
from hunique_training.data.formats.registry import FORMATS
from hunique_training.data.labels import DataError
from hunique_training.data.reading import ReadingOptions
from hunique_training.data.sources import read_source

NAMES = ("tattoo", "ring", "polished_nail")


def _picture(path: Path, seed: int = 0) -> Path:
    """A picture whose content and looks follow from the seed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    coarse = np.random.default_rng(seed).integers(0, 256, (4, 4, 3), np.uint8)
    cv2.imwrite(str(path), cv2.resize(coarse, (32, 32), interpolation=cv2.INTER_CUBIC))
    return path


def _read(path: Path, **options: object) -> dict[str, tuple[str, tuple[bool | None, ...]]]:
    """Format, and by the picture's name its split and labels."""
    source = read_source(path, NAMES, ReadingOptions(**options))  # type: ignore[arg-type]
    assert all(picture.path.is_file() for picture in source.pictures)
    return {picture.path.name: (picture.split, picture.labels) for picture in source.pictures}


def _format(path: Path) -> str:
    return read_source(path, NAMES, ReadingOptions()).format.name


# --- class folders


def test_a_class_folder_says_nothing_of_other_classes(tmp_path: Path) -> None:
    """Present in its folder, absent in `none`, unknown otherwise; names are matched loosely."""
    _picture(tmp_path / "Polished Nail" / "a.png", 1)
    _picture(tmp_path / "ring" / "b.png", 2)
    _picture(tmp_path / "none" / "c.png", 3)
    assert _format(tmp_path) == "class folders"
    assert _read(tmp_path) == {
        "a.png": ("train", (None, None, True)),
        "b.png": ("train", (None, True, None)),
        "c.png": ("train", (False, False, False)),
    }


def test_exclusive_folders_make_other_classes_absent(tmp_path: Path) -> None:
    """Only where the user says so."""
    _picture(tmp_path / "ring" / "a.png")
    assert _read(tmp_path, folder_labels="exclusive")["a.png"][1] == (False, True, False)


def test_a_picture_in_two_folders_has_two_labels(tmp_path: Path) -> None:
    """A copy counts by its content, under whatever name."""
    for folder, name in (("ring", "a.png"), ("tattoo", "copy of a.png"), ("ring", "b.png")):
        _picture(tmp_path / folder / name, seed=name.startswith("b"))
    labels = [one[1] for one in _read(tmp_path, folder_labels="exclusive").values()]
    assert sorted(labels) == [(False, True, False), (True, True, False)]


def test_a_hand_with_a_ring_and_without_stays_two_pictures(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """They have one name and hardly differ: no label is carried over, and the likeness is told."""
    for folder, features in (("ring", ("ring",)), ("none", ())):
        (tmp_path / folder).mkdir()
        hand = draw_hand(500, size_px=(96, 128), features=features, view="hand")
        cv2.imwrite(str(tmp_path / folder / "a.png"), cv2.cvtColor(hand.pixels, cv2.COLOR_RGB2BGR))
    pictures = read_source(tmp_path, NAMES, ReadingOptions()).pictures
    assert {picture.path.parent.name: picture.labels for picture in pictures} == {
        "ring": (None, True, None),
        "none": (False, False, False),
    }
    (told,) = caplog.messages
    assert told.startswith("1 pictures look like one of the same name")


def test_different_pictures_of_one_name_stay_two(tmp_path: Path) -> None:
    """Two cameras both call a picture IMG_0001; neither gets the other's label."""
    _picture(tmp_path / "ring" / "IMG_0001.png", 1)
    _picture(tmp_path / "tattoo" / "IMG_0001.png", 2)
    source = read_source(tmp_path, NAMES, ReadingOptions(folder_labels="exclusive"))
    labels = sorted(picture.labels for picture in source.pictures)
    assert labels == [(False, True, False), (True, False, False)]


def test_folders_above_give_the_split_and_below_the_group(tmp_path: Path) -> None:
    """train/ring/ann/a.png."""
    _picture(tmp_path / "train" / "ring" / "ann" / "a.png", 1)
    _picture(tmp_path / "valid" / "ring" / "bea" / "b.png", 2)
    pictures = read_source(tmp_path, NAMES, ReadingOptions()).pictures
    assert [(p.split, p.group) for p in pictures] == [("train", "ann"), ("val", "bea")]


def test_a_picture_cannot_show_a_class_and_none(tmp_path: Path) -> None:
    """The contradiction is named before anything is trained on it."""
    _picture(tmp_path / "ring" / "a.png")
    _picture(tmp_path / "none" / "a.png")
    with pytest.raises(DataError, match=r"a\.png.*none and ring"):
        _read(tmp_path)


def test_unknown_folders_are_counted_and_can_be_aliased(tmp_path: Path) -> None:
    """A folder that means nothing is left out even when exclusive: it may be a misspelling."""
    _picture(tmp_path / "ring" / "a.png", 1)
    _picture(tmp_path / "watch" / "b.png", 2)
    source = read_source(tmp_path, NAMES, ReadingOptions(folder_labels="exclusive"))
    assert (len(source.pictures), dict(source.unmatched)) == (1, {"watch": 1})
    aliased = _read(tmp_path, aliases=(("Watch", "none"),))
    assert aliased["b.png"][1] == (False, False, False)


def test_folders_without_any_class_say_what_is_there(tmp_path: Path) -> None:
    """Neither trained on nor silently empty."""
    _picture(tmp_path / "cats" / "a.png")
    with pytest.raises(DataError, match=r"(?s)tattoo, ring.*found cats.*--alias"):
        _read(tmp_path)


# --- COCO


def _coco(file: Path, image_folder: Path, first_id: int = 1) -> None:
    """Instances as cvat and pycocotools' own files have them: one ring, one picture empty."""
    names = [f"{first_id:012}.png", f"{first_id + 1:012}.png"]
    for number, name in enumerate(names):
        _picture(image_folder / name, first_id + number)
    box = {"bbox": [1, 1, 5, 5], "area": 25.0, "iscrowd": 0, "segmentation": [[1, 1, 6, 1, 6, 6]]}
    document = {
        "licenses": [{"name": "", "id": 0, "url": ""}],
        "info": {"contributor": "", "date_created": "", "version": ""},
        "categories": [
            {"id": 1, "name": "ring", "supercategory": ""},
            {"id": 7, "name": "Watch", "supercategory": ""},
            {"id": 9, "name": "tattoo", "supercategory": ""},
        ],
        "images": [
            {"id": first_id + n, "width": 32, "height": 32, "file_name": name, "license": 0}
            for n, name in enumerate(names)
        ],
        "annotations": [
            {"id": 1, "image_id": first_id, "category_id": 1, **box},
            {"id": 2, "image_id": first_id, "category_id": 7, **box},
        ],
    }
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(document))


def test_coco_annotations_become_labels_with_the_split_of_their_file(tmp_path: Path) -> None:
    """Categories without an annotation are absent; classes that are no category, unknown."""
    _coco(tmp_path / "annotations/instances_train2017.json", tmp_path / "train2017", 1)
    _coco(tmp_path / "annotations/instances_val2017.json", tmp_path / "val2017", 5)
    (tmp_path / "annotations/captions_val2017.json").write_text('{"info": {}, "images": []}')
    assert _format(tmp_path) == "COCO"
    assert _read(tmp_path) == {
        "000000000001.png": ("train", (False, True, None)),
        "000000000002.png": ("train", (False, False, None)),
        "000000000005.png": ("val", (False, True, None)),
        "000000000006.png": ("val", (False, False, None)),
    }
    source = read_source(tmp_path, NAMES, ReadingOptions())
    assert dict(source.unmatched) == {"Watch": 2}


@pytest.mark.parametrize(
    ("file", "folder"),
    [
        ("annotations/instances_default.json", "images"),
        ("annotations/instances_Train.json", "images/Train"),
        ("train/_annotations.coco.json", "train"),
        ("result.json", "images"),
    ],
)
def test_coco_pictures_are_found_where_tools_put_them(
    tmp_path: Path, file: str, folder: str
) -> None:
    """CVAT's tasks and projects, Roboflow, Label Studio; by the folder and by the file."""
    _coco(tmp_path / file, tmp_path / folder)
    assert len(_read(tmp_path)) == len(_read(tmp_path / file)) == 2


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('{"images": [', "expected JSON"),
        ('{"images": [], "info": {}}', "found images, info"),
        (
            '{"images": [], "categories": [], "annotations": [{"image_id": 1, "category_id": 3}]}',
            "found none for 3",
        ),
    ],
)
def test_broken_coco_files_are_named(tmp_path: Path, text: str, told: str) -> None:
    """Cut short, of another kind, or pointing nowhere."""
    file = tmp_path / "data.json"
    file.write_text(text)
    with pytest.raises(DataError, match=rf"data\.json.*{told}"):
        _read(file)


# --- the registry


def test_what_no_format_fits_is_told_with_what_was_expected(tmp_path: Path) -> None:
    """Every format says what it looks like, and the folder's content is shown."""
    (tmp_path / "notes.txt").touch()
    with pytest.raises(DataError) as raised:
        _read(tmp_path)
    assert all(one.looks_like in str(raised.value) for one in FORMATS)
    assert "found notes.txt" in str(raised.value)


def test_annotations_without_their_pictures_are_refused(tmp_path: Path) -> None:
    """A whole set left out as unreadable would look like an empty one."""
    _coco(tmp_path / "data.json", tmp_path)
    for picture in tmp_path.glob("*.png"):
        picture.unlink()
    with pytest.raises(DataError, match="expected pictures of the COCO, found none"):
        read_source(tmp_path, NAMES, ReadingOptions())


@pytest.mark.parametrize("alias", [("Polish", "polished nail"), ("polish", "Polished-Nail")])
def test_columns_of_a_label_file_take_aliases_too(tmp_path: Path, alias: tuple[str, str]) -> None:
    """A file with other column names is read, and written anew for the run."""
    _picture(tmp_path / "a.png")
    (tmp_path / "labels.csv").write_text("\ufefffile,polish,Ring\na.png,1,0\n", encoding="utf-8")
    source = read_source(tmp_path, NAMES, ReadingOptions(aliases=(alias,)))
    assert source.pictures[0].labels == (None, False, True)
    assert source.label_file is None


def test_an_alias_for_no_class_is_refused(tmp_path: Path) -> None:
    """A misspelt class would otherwise lose its pictures."""
    _picture(tmp_path / "ring" / "a.png")
    with pytest.raises(DataError, match=r"tattoo, ring, polished_nail.*watch=rings"):
        _read(tmp_path, aliases=(("watch", "rings"),))
