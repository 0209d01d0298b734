"""CVAT for images 1.1: labels of a picture's tags and shapes, and some shapes as marks.

A label of the task that a picture has no tag or shape of is absent from it: export finished
tasks. In exports of projects a picture's subset is its split. Points, polylines (scribbles) and
upright boxes are marks, which count if they are asked for; outlines are never read.
"""

from collections.abc import Iterator
from pathlib import Path
from xml.etree.ElementTree import Element

from hunique_training.data.formats.document import head_of, read_xml
from hunique_training.data.formats.picture_paths import find_picture, split_named
from hunique_training.data.labels import DataError, LabelledPicture
from hunique_training.data.marks import NamedMark, marks_in_pixels
from hunique_training.data.reading import NamedPicture, Reading, absent_unless, label_pictures


def _file_of(path: Path) -> Path:
    return path / "annotations.xml" if path.is_dir() else path


def fits_cvat(path: Path) -> bool:
    """Whether the source is a CVAT file or a folder with an `annotations.xml`."""
    file = _file_of(path)
    return file.suffix.lower() == ".xml" and file.is_file() and "<annotations" in head_of(file)


def read_cvat(path: Path, reading: Reading) -> list[LabelledPicture]:
    """All pictures of the file.

    Raises:
        DataError: the file cannot be read or is an export for videos.
    """
    file = _file_of(path)
    root = read_xml(file)
    images = root.findall("image")
    if not images:
        found = "tracks of a video" if root.find("track") is not None else "no image"
        raise DataError(
            f"{file}: expected an export 'CVAT for images 1.1', found {found}. Export it as such."
        )
    listed = {(label.text or "").strip() for label in root.findall("meta//labels/label/name")}
    looked_for = (listed - {""}).union(*map(_labels, images))
    pictures = [_picture(image, looked_for, file.parent) for image in images]
    return label_pictures(pictures, reading, file.parent.resolve().name)


def _labels(image: Element) -> set[str]:
    """Labels of tags, boxes, polygons and whatever other marks a picture has."""
    return {mark.get("label", "").strip() for mark in image} - {""}


def _picture(image: Element, looked_for: set[str], folder: Path) -> NamedPicture:
    subset = image.get("subset", "")
    folders = [folder / "images", folder / "images" / subset, folder, folder / subset]
    return NamedPicture(
        path=find_picture(image.get("name", ""), folders),
        said=absent_unless(looked_for, _labels(image)),
        split=split_named(subset) or "train",
        marks=tuple(_marks(image)),
        annotated_size=_size(image),
    )


def _size(image: Element) -> tuple[float, float]:
    return float(image.get("width", 0)), float(image.get("height", 0))


def _marks(image: Element) -> Iterator[NamedMark]:
    """Points, polylines and boxes; no box at all where one of them is turned."""
    size = _size(image)
    turned = any(float(box.get("rotation", 0)) for box in image.iter("box"))
    for shape in image:
        name = shape.get("label", "").strip()
        if shape.tag == "points":
            for corner in _corners(shape):
                yield from marks_in_pixels(name, "point", [corner], size)
        elif shape.tag == "polyline" and len(_corners(shape)) > 1:
            yield from marks_in_pixels(name, "scribble", _corners(shape), size)
        elif shape.tag == "box" and not turned:
            sides = [float(shape.get(side, 0)) for side in ("xtl", "ytl", "xbr", "ybr")]
            yield from marks_in_pixels(
                name, "box", [(sides[0], sides[1]), (sides[2], sides[3])], size
            )


def _corners(shape: Element) -> list[tuple[float, float]]:
    """The `points` of a shape: `x,y;x,y`."""
    pairs = [pair.split(",") for pair in shape.get("points", "").split(";") if pair]
    return [(float(x), float(y)) for x, y in pairs]
