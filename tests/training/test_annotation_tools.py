"""Exports of Pascal VOC, CVAT, Label Studio and 11K Hands, as the tools write them."""

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from hunique_training.data.labels import DataError
from hunique_training.data.reading import ReadingOptions
from hunique_training.data.sources import Source, read_source

NAMES = ("tattoo", "ring", "polished_nail")


def _pictures(folder: Path, *names: str) -> None:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(path), np.full((8, 8, 3), len(name), np.uint8))


def _source(path: Path, name: str, **options: str) -> Source:
    source = read_source(path, NAMES, ReadingOptions(**options))  # type: ignore[arg-type]
    assert source.format.name == name
    return source


def _labels(source: Source) -> dict[str, tuple[str, tuple[bool | None, ...]]]:
    return {picture.path.name: (picture.split, picture.labels) for picture in source.pictures}


# --- Pascal VOC

_VOC_OBJECT = """
  <object><name>{name}</name><pose>Unspecified</pose><truncated>0</truncated>
    <difficult>{difficult}</difficult>
    <bndbox><xmin>1</xmin><ymin>1</ymin><xmax>5</xmax><ymax>5</ymax></bndbox>
    <part><name>hand</name><bndbox><xmin>1</xmin><ymin>1</ymin><xmax>5</xmax><ymax>5</ymax>
    </bndbox></part></object>"""


def _voc(folder: Path, objects: dict[str, list[tuple[str, int]]]) -> None:
    for stem, named in objects.items():
        _pictures(folder / "JPEGImages", f"{stem}.jpg")
        body = "".join(_VOC_OBJECT.format(name=name, difficult=flag) for name, flag in named)
        file = folder / "Annotations" / f"{stem}.xml"
        file.parent.mkdir(exist_ok=True)
        head = f"<folder>VOC2012</folder><filename>{stem}.jpg</filename><segmented>0</segmented>"
        file.write_text(f"<annotation>{head}{body}\n</annotation>\n")


def _image_set(folder: Path, name: str, *lines: str) -> None:
    file = folder / "ImageSets" / "Main" / f"{name}.txt"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("\n".join(lines) + "\n")


def test_voc_objects_become_labels_and_image_sets_the_split(tmp_path: Path) -> None:
    """Parts of objects are none; difficult objects alone are unknown; unlisted pictures go."""
    _voc(tmp_path, {"a": [("ring", 0), ("ring", 1)], "b": [("ring", 1)], "c": [], "d": []})
    _image_set(tmp_path, "train", "a", "b")
    _image_set(tmp_path, "val", "c")
    _image_set(tmp_path, "trainval", "a", "b", "c")
    _image_set(tmp_path, "tattoo_train", "a -1", "b -1")
    source = _source(tmp_path, "Pascal VOC")
    assert _labels(source) == {
        "a.jpg": ("train", (False, True, None)),
        "b.jpg": ("train", (False, None, None)),
        "c.jpg": ("val", (False, False, None)),
    }
    assert not source.unmatched


def test_the_list_of_published_methods_goes_before_all(tmp_path: Path) -> None:
    """Segmentation/train_aug with val of Segmentation, however it writes its pictures."""
    _voc(tmp_path, {name: [("ring", 0)] for name in "abcd"})
    _image_set(tmp_path, "train", "c", "d")
    segmentation = tmp_path / "ImageSets" / "Segmentation"
    segmentation.mkdir()
    (segmentation / "train_aug.txt").write_text(
        "/JPEGImages/a.jpg /SegmentationClassAug/a.png\nb\n"
    )
    (segmentation / "val.txt").write_text("c\n")
    labels = _labels(_source(tmp_path, "Pascal VOC"))
    assert {name: split for name, (split, _) in labels.items()} == {
        "a.jpg": "train", "b.jpg": "train", "c.jpg": "val",
    }  # fmt: skip


def test_voc_of_cvat_lists_its_labels_in_a_file(tmp_path: Path) -> None:
    """labelmap.txt and default.txt: a label that nobody set is absent, all is train."""
    _voc(tmp_path, {"a": [("ring", 0)]})
    _image_set(tmp_path, "default", "a")
    labelmap = "# label:color_rgb:parts:actions\nbackground:0,0,0::\nring:1,2,3::\ntattoo:4,5,6::\n"
    (tmp_path / "labelmap.txt").write_text(labelmap)
    assert _labels(_source(tmp_path, "Pascal VOC")) == {"a.jpg": ("train", (False, True, None))}


def test_the_voc_subset_at_hand_is_read(shared: Path) -> None:
    """Real pictures: 1,055 to train on and 445 of val, with every class in both."""
    names = ("cat", "cow", "dog", "horse", "sheep", "person")
    pictures = read_source(shared / "data/voc12_animals", names, ReadingOptions()).pictures
    splits = [picture.split for picture in pictures]
    assert (splits.count("train"), splits.count("val")) == (1055, 445)
    for split in ("train", "val"):
        columns = zip(*(p.labels for p in pictures if p.split == split), strict=True)
        assert all(set(column) == {True, False} for column in columns)


# --- CVAT


def _cvat(folder: Path, images: str, kind: str = "task") -> None:
    names = "".join(
        f"<label><name>{name}</name><color>#33ddff</color><type>any</type>"
        "<attributes><attribute><name>sure</name></attribute></attributes></label>"
        for name in ("ring", "tattoo", "watch")
    )
    (folder / "annotations.xml").write_text(
        '<?xml version="1.0" encoding="utf-8"?>\n<annotations>\n  <version>1.1</version>\n'
        f"  <meta><{kind}><id>3</id><name>hands</name><labels>{names}</labels></{kind}>"
        f"<dumped>2025-01-01</dumped></meta>\n{images}</annotations>\n"
    )


def test_cvat_tags_and_shapes_become_labels(tmp_path: Path) -> None:
    """A label of the task without a mark is absent; attributes are no labels."""
    _pictures(tmp_path / "images", "a.jpg", "sub/b.jpg", "cc.jpg")
    _cvat(
        tmp_path,
        '<image id="0" name="a.jpg" width="8" height="8"><tag label="ring" source="manual">'
        '<attribute name="sure">tattoo</attribute></tag></image>'
        '<image id="1" name="sub/b.jpg" width="8" height="8">'
        '<polygon label="tattoo" source="manual" occluded="0" points="1,1;2,2;1,2" z_order="0"/>'
        '<mask label="watch" rle="3, 5" left="0" top="0" width="2" height="4" z_order="0"/></image>'
        '<image id="2" name="cc.jpg" width="8" height="8"></image>',
    )
    source = _source(tmp_path, "CVAT for images")
    assert _labels(source) == {
        "a.jpg": ("train", (False, True, None)),
        "b.jpg": ("train", (True, False, None)),
        "cc.jpg": ("train", (False, False, None)),
    }
    assert dict(source.unmatched) == {"watch": 1}


def test_subsets_of_a_cvat_project_are_the_split(tmp_path: Path) -> None:
    """Their pictures lie in folders of their own."""
    _pictures(tmp_path / "images", "Train/a.jpg", "Validation/a.jpg")
    _cvat(
        tmp_path,
        '<image id="0" name="a.jpg" subset="Train" task_id="1" width="8" height="8"/>'
        '<image id="0" name="a.jpg" subset="Validation" task_id="2" width="8" height="8"/>',
        "project",
    )
    pictures = _source(tmp_path, "CVAT for images").pictures
    assert [(p.split, p.path.parent.name) for p in pictures] == [
        ("train", "Train"), ("val", "Validation"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ('<track id="0" label="ring"/>', "tracks of a video"),
        ("<image", "expected XML"),
    ],
)
def test_other_cvat_exports_are_named(tmp_path: Path, body: str, told: str) -> None:
    """The message says which export to take."""
    _cvat(tmp_path, body)
    with pytest.raises(DataError, match=told):
        _source(tmp_path, "CVAT for images")


def test_xml_with_a_document_type_is_refused(tmp_path: Path) -> None:
    """Entities of a foreign file are never expanded."""
    text = '<?xml version="1.0"?><!DOCTYPE a [<!ENTITY b "c">]><annotations><image/></annotations>'
    (tmp_path / "annotations.xml").write_text(text)
    with pytest.raises(DataError, match="document type"):
        _source(tmp_path, "CVAT for images")


# --- Label Studio


def _task(image: str, *results: list[dict[str, Any]], **more: Any) -> dict[str, Any]:
    annotations = [
        {"id": n, "completed_by": n, "result": result, "was_cancelled": False, **more}
        for n, result in enumerate(results)
    ]
    return {"id": 1, "annotations": annotations, "predictions": [], "data": {"image": image}}


def _choice(*names: str, control: str = "choice") -> dict[str, Any]:
    return {"value": {"choices": list(names)}, "from_name": control, "to_name": "image",
            "type": "choices", "origin": "manual"}  # fmt: skip


def _box(name: str) -> dict[str, Any]:
    place = {"x": 5.0, "y": 5.0, "width": 9.0, "height": 9.0, "rotation": 0}
    return {"original_width": 8, "original_height": 8, "image_rotation": 0, "from_name": "label",
            "to_name": "image", "type": "rectanglelabels",
            "value": {**place, "rectanglelabels": [name]}}  # fmt: skip


def _export(folder: Path, *tasks: dict[str, Any]) -> Source:
    (folder / "project-1-at-2025-01-01.json").write_text(json.dumps(tasks))
    return _source(folder, "Label Studio")


def test_label_studio_choices_and_labels_become_labels(tmp_path: Path) -> None:
    """What is used somewhere and not on a picture is absent; tasks nobody did are left out."""
    _pictures(tmp_path, "images/a.jpg", "images/my b.jpg", "images/c 100%25.jpg", "images/dddd.jpg")
    source = _export(
        tmp_path,
        _task("/data/local-files/?d=hands/images/a.jpg", [_choice("Ring", "watch")]),
        _task("/data/local-files/?d=hands/images/my%20b.jpg", [_box("tattoo"), _box("tattoo")]),
        _task("/data/upload/4/0a1b2c3d-c%20100%2525.jpg", []),
        _task("/data/local-files/?d=hands/images/dddd.jpg"),
        _task("/data/local-files/?d=hands/images/dddd.jpg", [_choice("Ring")], was_cancelled=True),
    )
    assert _labels(source) == {
        "a.jpg": ("train", (False, True, None)),
        "my b.jpg": ("train", (True, False, None)),
        "c 100%25.jpg": ("train", (False, False, None)),
    }
    assert dict(source.unmatched) == {"watch": 1}


def test_yes_and_no_speak_of_their_control(tmp_path: Path) -> None:
    """One question a class: no answer is unknown, not absent."""
    _pictures(tmp_path, "a #1.jpg", "bb.jpg", "ccc.jpg")
    source = _export(
        tmp_path,
        _task("a #1.jpg", [_choice("Yes", control="ring"), _choice("No", control="tattoo")]),
        _task("bb.jpg", [_choice("No", control="ring"), _choice("Yes", control="tattoo")]),
        _task("ccc.jpg", [_choice("Yes", control="tattoo")]),
    )
    assert [labels for _, labels in _labels(source).values()] == [
        (False, True, None), (True, False, None), (True, None, None),
    ]  # fmt: skip


def test_where_annotators_differ_a_label_is_unknown(tmp_path: Path) -> None:
    """Unless one of the annotations is the ground truth."""
    _pictures(tmp_path, "a.jpg", "bb.jpg")
    second = _task("bb.jpg", [_choice("ring")], [])
    second["annotations"][1]["ground_truth"] = True
    source = _export(
        tmp_path, _task("a.jpg", [_choice("ring", "tattoo")], [_choice("tattoo")]), second
    )
    assert [labels for _, labels in _labels(source).values()] == [
        (True, None, None), (False, False, None),
    ]  # fmt: skip


def test_the_short_export_of_label_studio_is_refused(tmp_path: Path) -> None:
    """JSON-MIN does not say which tasks were done."""
    with pytest.raises(DataError, match="not JSON-MIN"):
        _export(tmp_path, {"image": "a.jpg", "choice": "ring", "id": 1})


# --- 11K Hands

_HAND_INFO = """id,age,gender,skinColor,accessories,nailPolish,aspectOfHand,imageName,irregularities
"0000000",27,"male","fair",0,0,"dorsal right","Hand_0000002.jpg",0
"0000001",22,"female","dark",1,1,"dorsal left","Hand_03.jpg",0
"0000001",22,"female","dark",1,1,"palmar left","Hand_4.jpg",0
"""


@pytest.mark.parametrize(("accessories", "ring"), [("unknown", None), ("ring", True)])
def test_hand_info_gives_rings_polish_and_people(
    tmp_path: Path, accessories: str, ring: bool | None
) -> None:
    """No accessory, no ring; what an accessory is, the user says. Palms hardly show polish."""
    _pictures(tmp_path / "Hands", "Hand_0000002.jpg", "Hand_03.jpg", "Hand_4.jpg")
    (tmp_path / "HandInfo.csv").write_text(_HAND_INFO)
    source = _source(tmp_path, "11K Hands", accessories=accessories)
    assert [p.labels for p in source.pictures] == [
        (None, False, False), (None, ring, True), (None, ring, None),
    ]  # fmt: skip
    assert [p.group for p in source.pictures] == ["0000000", "0000001", "0000001"]
    assert len(_source(tmp_path / "HandInfo.csv", "11K Hands").pictures) == 3


def test_other_flags_in_hand_info_are_named(tmp_path: Path) -> None:
    """With the line they stand in."""
    (tmp_path / "HandInfo.csv").write_text(_HAND_INFO.replace('dark",1,1', 'dark",1,2'))
    with pytest.raises(DataError, match=r"HandInfo\.csv:3: expected nailPolish 0 or 1, found '2'"):
        _source(tmp_path, "11K Hands")
