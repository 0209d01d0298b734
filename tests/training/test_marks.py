"""Points, scribbles and boxes: read from every format, and carried onto crops."""

import csv
import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from hunique_training.data.labels import DataError
from hunique_training.data.mark_views import UNMARKED, marks_on_crop, stack_marks
from hunique_training.data.marks import Mark, MarkError, NamedMark, marks_as_text, parse_marks
from hunique_training.data.reading import ReadingOptions
from hunique_training.data.sources import Source, read_source, write_label_file
from hunique_training.data.views import ViewConfig, random_crop

NAMES = ("tattoo", "ring", "polished_nail")
ALL = ("point", "scribble", "box")


def _pictures(folder: Path, *names: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        cv2.imwrite(str(folder / name), np.full((10, 20, 3), 90, np.uint8))


def _label_file(folder: Path, *rows: tuple[str, str]) -> Path:
    """Rows of the label of `ring` and of marks."""
    _pictures(folder, *(f"{n}.png" for n in range(len(rows))))
    file = folder / "labels.csv"
    with file.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(["file", "ring", "watch", "marks"])
        writer.writerows([f"{n}.png", label, "", marks] for n, (label, marks) in enumerate(rows))
    return file


def _read(path: Path, *kinds: str) -> Source:
    return read_source(path, NAMES, ReadingOptions(marks=kinds))


def _entry(name: str, kind: str, places: list[object]) -> str:
    return json.dumps([{"class": name, kind: places}])


def test_a_label_file_holds_marks_of_any_kind(tmp_path: Path) -> None:
    """A marked class is on the picture; background and rows without marks are what they are."""
    file = _label_file(
        tmp_path,
        ("", _entry("ring", "point", [0.25, 0.5])),
        ("0", _entry("background", "scribble", [[0, 0], [1, 0.5]])),
        ("1", _entry("ring", "box", [0.1, 0.2, 0.3, 0.4])),
        ("0", ""),
    )
    first, second, third, fourth = _read(file, *ALL).pictures
    assert first.labels[1] is True
    assert first.marks == (Mark(kind="point", label=2, places=((0.25, 0.5),)),)
    assert second.labels[1] is False
    assert second.marks == (Mark(kind="scribble", label=0, places=((0.0, 0.0), (1.0, 0.5))),)
    assert third.marks == (Mark(kind="box", label=2, places=((0.1, 0.2), (0.3, 0.4))),)
    assert fourth.marks == ()


def test_marks_count_only_if_their_kind_is_asked_for(tmp_path: Path) -> None:
    """Otherwise the data are what they were without the column."""
    file = _label_file(tmp_path, ("", _entry("ring", "point", [0.25, 0.5])))
    for kinds, label, count in (((), None, 0), (("box",), None, 0), (("point",), True, 1)):
        (picture,) = _read(file, *kinds).pictures
        assert (picture.labels[1], len(picture.marks)) == (label, count)


def test_marks_of_other_columns_are_left_out(tmp_path: Path) -> None:
    """A column that is no class of the model may be marked; a name that is no column may not."""
    file = _label_file(tmp_path, ("1", _entry("watch", "point", [0.25, 0.5])))
    assert _read(file, *ALL).pictures[0].marks == ()
    file = _label_file(tmp_path, ("1", _entry("rnig", "point", [0.25, 0.5])))
    with pytest.raises(DataError, match=r"labels.csv:2.*'rnig'"):
        _read(file, *ALL)


@pytest.mark.parametrize(
    ("label", "marks", "told"),
    [
        ("1", "[{", "as JSON"),
        ("1", '{"class": "ring"}', "list of marks"),
        ("1", '[{"class": "ring"}]', "one of point, scribble, box"),
        ("1", _entry("ring", "point", [3, 4]), "0 to 1"),
        ("1", _entry("ring", "point", [0.5]), "0 to 1"),
        ("1", _entry("ring", "scribble", [[0.5, 0.5]]), "0 to 1"),
        ("1", _entry("ring", "box", [0.1, 0.2, "wide", 0.4]), "0 to 1"),
        ("0", _entry("background", "box", [0.1, 0.2, 0.3, 0.4]), "a box holds a class"),
        ("0", _entry("ring", "point", [0.5, 0.5]), "a mark of ring on a picture labelled without"),
    ],
)
def test_marks_at_fault_are_told(tmp_path: Path, label: str, marks: str, told: str) -> None:
    """With what was expected, as everything in a label file."""
    with pytest.raises(DataError, match=told):
        _read(_label_file(tmp_path, (label, marks)), *ALL)


def test_marks_survive_the_label_file_of_a_run(tmp_path: Path) -> None:
    """What another format said is read back the same from the file written for it."""
    marks = (
        Mark(kind="point", label=3, places=((0.125, 0.75),)),
        Mark(kind="scribble", label=0, places=((0.0, 0.5), (0.25, 0.5), (1.0, 1.0))),
        Mark(kind="box", label=1, places=((0.0, 0.25), (0.5, 1.0))),
    )
    assert [m.places for m in parse_marks(marks_as_text(marks, NAMES))] == [m.places for m in marks]
    file = _label_file(tmp_path, ("1", _entry("ring", "box", [0.1, 0.2, 0.3, 0.4])), ("0", ""))
    source = _read(file, *ALL)
    written = write_label_file(tmp_path / "sources" / "0.csv", source.pictures, NAMES)
    assert [p.marks for p in _read(written, *ALL).pictures] == [p.marks for p in source.pictures]


def test_a_label_file_without_marks_is_written_as_before(tmp_path: Path) -> None:
    """No column that nobody needs."""
    source = _read(_label_file(tmp_path, ("1", "")), *ALL)
    written = write_label_file(tmp_path / "sources" / "0.csv", source.pictures, NAMES)
    assert "marks" not in written.read_text(encoding="utf-8")


def test_coco_boxes_are_marks(tmp_path: Path) -> None:
    """In shares of the picture; a file that does not tell its size gives none."""
    _pictures(tmp_path / "images", "a.png")
    document = {
        "images": [{"id": 1, "file_name": "a.png", "width": 20, "height": 10}],
        "categories": [{"id": 7, "name": "ring"}, {"id": 8, "name": "watch"}],
        "annotations": [
            {"id": 1, "image_id": 1, "category_id": 7, "bbox": [5, 2, 10, 4]},
            {"id": 2, "image_id": 1, "category_id": 8, "bbox": [0, 0, 1, 1]},
        ],
    }
    file = tmp_path / "boxes.json"
    file.write_text(json.dumps(document))
    box = Mark(kind="box", label=2, places=((0.25, 0.2), (0.75, 0.6)))
    assert _read(file, "box").pictures[0].marks == (box,)
    del document["images"][0]["width"]
    file.write_text(json.dumps(document))
    assert _read(file, "box").pictures[0].marks == ()


def test_cvat_points_polylines_and_boxes_are_marks(tmp_path: Path) -> None:
    """Polygons are not; where a box is turned no box counts, for one would be missing."""
    _pictures(tmp_path, "a.png", "b.png")
    shapes = """<points label="ring" points="5,5;10,5"/><polyline label="background"
        points="0,0;20,10"/><polygon label="tattoo" points="1,1;2,2;3,1"/>
        <box label="tattoo" xtl="2" ytl="1" xbr="10" ybr="5" {turned}/>"""
    images = "".join(
        f'<image name="{n}.png" width="20" height="10">{shapes.format(turned=turned)}</image>'
        for n, turned in (("a", ""), ("b", 'rotation="30"'))
    )
    (tmp_path / "annotations.xml").write_text(f"<annotations>{images}</annotations>")
    first, second = (p.marks for p in _read(tmp_path, *ALL).pictures)
    expected = (
        Mark(kind="point", label=2, places=((0.25, 0.5),)),
        Mark(kind="point", label=2, places=((0.5, 0.5),)),
        Mark(kind="scribble", label=0, places=((0.0, 0.0), (1.0, 1.0))),
        Mark(kind="box", label=1, places=((0.1, 0.1), (0.5, 0.5))),
    )
    assert first == expected
    assert second == expected[:3]


def test_label_studio_points_and_rectangles_are_marks(tmp_path: Path) -> None:
    """Given in percent of the picture."""
    _pictures(tmp_path, "a.png")
    values = [
        {"x": 50, "y": 25, "width": 1, "keypointlabels": ["ring"]},
        {"x": 10, "y": 20, "width": 30, "height": 40, "rotation": 0, "rectanglelabels": ["tattoo"]},
    ]
    task = {"data": {"image": "a.png"}, "annotations": [{"result": [{"value": v} for v in values]}]}
    (tmp_path / "export.json").write_text(json.dumps([task]))
    point, box = _read(tmp_path, *ALL).pictures[0].marks
    assert (point.label, point.places) == (2, ((0.5, 0.25),))
    assert (box.kind, box.label) == ("box", 1)
    assert np.allclose(box.places, ((0.1, 0.2), (0.4, 0.6)))


def test_voc_boxes_are_marks_difficult_ones_too(tmp_path: Path) -> None:
    """Coordinates count from 1; a class with difficult objects alone is unknown and has none."""
    _pictures(tmp_path / "JPEGImages", "a.jpg")
    objects = "".join(
        f"<object><name>{name}</name><difficult>{difficult}</difficult><bndbox><xmin>{x}</xmin>"
        f"<ymin>1</ymin><xmax>10</xmax><ymax>5</ymax></bndbox></object>"
        for name, difficult, x in (("ring", 0, 1), ("ring", 1, 6), ("tattoo", 1, 1))
    )
    folder = tmp_path / "Annotations"
    folder.mkdir()
    size = "<size><width>20</width><height>10</height></size>"
    (folder / "a.xml").write_text(f"<annotation>{size}{objects}</annotation>")
    (picture,) = _read(tmp_path, "box").pictures
    assert [mark.label for mark in picture.marks] == [2, 2]
    assert [mark.places for mark in picture.marks] == [
        ((0.0, 0.0), (0.5, 0.5)),
        ((0.25, 0.0), (0.5, 0.5)),
    ]


# --- on crops


def _crops(height: int, width: int) -> list[tuple[int, object]]:
    config = ViewConfig(size_px=64, scale_high=2.0)
    return [
        (seed, random_crop(height, width, config, np.random.default_rng(seed)))
        for seed in range(40)
    ]


def test_points_go_where_their_pixel_goes() -> None:
    """Through turns, mirrors, scales and crops, as labels of pixels are carried."""
    seen = 0
    for seed, crop in _crops(90, 130):
        rng = np.random.default_rng(seed)
        row, column = int(rng.integers(90)), int(rng.integers(130))
        plane = np.zeros((90, 130), np.uint8)
        plane[max(0, row - 2) : row + 3, max(0, column - 2) : column + 3] = 1
        moved = crop.of_labels(plane, 0)
        mark = Mark(kind="point", label=1, places=(((column + 0.5) / 130, (row + 0.5) / 90),))
        cells = marks_on_crop([mark], crop, 1).cells
        assert (cells == 1).sum() <= 1
        if (cells == 1).any():
            seen += 1
            assert moved[cells == 1].all()
        else:  # at most its margin is seen
            assert moved.sum() < 25 * (max(crop.scaled) / 90) ** 2
    assert seen > 15


def test_boxes_hold_what_they_held() -> None:
    """The box on the crop is the smallest around its pixels, but for rounding; or it is empty."""
    shown = 0
    for _, crop in _crops(90, 130):
        plane = np.zeros((90, 130), np.uint8)
        plane[20:50, 60:120] = 1
        mark = Mark(kind="box", label=3, places=((60 / 130, 20 / 90), (120 / 130, 50 / 90)))
        rows, columns = np.nonzero(crop.of_labels(plane, 0))
        ((label, *box),) = marks_on_crop([mark], crop, 4).boxes.tolist()
        assert label == 3
        if len(rows):
            shown += 1
            found = (rows.min(), rows.max() + 1, columns.min(), columns.max() + 1)
            assert np.abs(np.array(box) - found).max() <= 2
        else:
            assert box[1] - box[0] <= 1 or box[3] - box[2] <= 1
    assert shown > 15


def test_scribbles_are_drawn_on_the_grid_and_end_with_the_picture() -> None:
    """Cells along the line bear the class, no cell of the padding does, and points win."""
    config = ViewConfig(size_px=64, scale_low=0.5, scale_high=0.5, quarter_turn_probability=0)
    crop = random_crop(100, 100, config, np.random.default_rng(0))
    scribble = Mark(kind="scribble", label=2, places=((0.0, 0.5), (1.0, 0.5)))
    point = Mark(kind="point", label=0, places=((0.5, 0.5),))
    cells = marks_on_crop([point, scribble], crop, 4).cells
    y0, y1, x0, x1 = crop.box
    padding = np.ones_like(cells, bool)
    padding[y0 // 4 : -(-y1 // 4), x0 // 4 : -(-x1 // 4)] = False
    assert (cells[padding] == UNMARKED).all()
    assert (cells == 2).sum() == (x1 - x0) // 4 - 1 or (cells == 2).sum() == (x1 - x0) // 4
    assert (cells == 0).sum() == 1


def test_crops_with_fewer_boxes_are_filled_up() -> None:
    """With rows that mean no class."""
    crop = random_crop(64, 64, ViewConfig(size_px=64), np.random.default_rng(0))
    box = Mark(kind="box", label=2, places=((0.0, 0.0), (1.0, 1.0)))
    stacked = stack_marks([marks_on_crop(marks, crop, 4) for marks in ([], [box, box])])
    assert stacked.labels.shape == (2, 16, 16)
    assert stacked.class_boxes[:, :, 0].tolist() == [[0, 0], [2, 2]]


def test_an_unknown_kind_is_refused() -> None:
    """Of options and of entries."""
    with pytest.raises(DataError, match="point, scribble, box"):
        ReadingOptions(marks=("circle",))
    with pytest.raises(MarkError, match="one of"):
        parse_marks('[{"class": "ring", "circle": [0, 0]}]')
    assert parse_marks("") == ()
    assert parse_marks(_entry("ring", "point", [0, 1])) == (
        NamedMark("ring", "point", ((0.0, 1.0),)),
    )
