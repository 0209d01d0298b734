"""COCO instances: which categories have an annotation on a picture, and their boxes.

A category of the file without an annotation on a picture is absent from it; a class that
is no category of the file is unknown. The split is a word of the file's name
(`instances_val2017.json`) or of its folder's (`valid/_annotations.coco.json`). Outlines are
never read; boxes are marks, which count if they are asked for.
"""

from collections import defaultdict
from pathlib import Path
from typing import Any

from hunique_training.data.formats.document import head_of, read_json
from hunique_training.data.formats.picture_paths import find_picture, split_named
from hunique_training.data.labels import DataError, LabelledPicture
from hunique_training.data.marks import NamedMark, marks_in_pixels
from hunique_training.data.reading import NamedPicture, Reading, absent_unless, label_pictures

KEYS = ("images", "annotations", "categories")
_PLACES = (
    "annotations/instances_*.json",
    "annotations/*.json",
    "*/_annotations.coco.json",
    "*.json",
)


def _looks_like_coco(file: Path) -> bool:
    if file.suffix.lower() != ".json":
        return False
    head = head_of(file)
    return head.startswith("{") and any(f'"{key}"' in head for key in (*KEYS, "info", "licenses"))


def annotation_files(path: Path) -> list[Path]:
    """The COCO files of a source: itself, or those in the first usual place that has any."""
    if path.is_file():
        return [path] if _looks_like_coco(path) else []
    found = ([f for f in sorted(path.glob(place)) if _looks_like_coco(f)] for place in _PLACES)
    return next(filter(None, found), [])


def fits_coco(path: Path) -> bool:
    """Whether the source is or holds COCO files."""
    return bool(annotation_files(path))


def read_coco(path: Path, reading: Reading) -> list[LabelledPicture]:
    """All pictures of all COCO files of the source.

    Raises:
        DataError: a file has not the keys of COCO instances.
    """
    pictures = [picture for file in annotation_files(path) for picture in _read_file(file)]
    return label_pictures(pictures, reading, _base(path).resolve().name)


def _base(path: Path) -> Path:
    folder = path if path.is_dir() else path.parent
    return folder.parent if folder.name == "annotations" else folder


def _read_file(file: Path) -> list[NamedPicture]:
    document = read_json(file)
    if not all(isinstance(document.get(key), list) for key in KEYS):
        raise DataError(
            f"{file}: expected COCO instances with the lists {', '.join(KEYS)}; "
            f"found {', '.join(sorted(document)) or 'no keys'}"
        )
    try:
        return _pictures(document, file)
    except (KeyError, TypeError) as error:
        raise DataError(
            f"{file}: expected images with id and file_name, categories with id and name, "
            f"annotations with image_id and category_id of these; found none for {error}"
        ) from error


def _pictures(document: dict[str, Any], file: Path) -> list[NamedPicture]:
    names = {category["id"]: category["name"] for category in document["categories"]}
    marked: dict[Any, set[str]] = defaultdict(set)
    boxes: dict[Any, list[tuple[str, list[float]]]] = defaultdict(list)
    for annotation in document["annotations"]:
        name, image_id = names[annotation["category_id"]], annotation["image_id"]
        marked[image_id].add(name)
        boxes[image_id].append((name, annotation.get("bbox") or []))
    folders = _picture_folders(file)
    split = split_named(file.stem) or split_named(file.parent.name) or "train"
    return [
        NamedPicture(
            path=find_picture(image["file_name"], folders),
            said=absent_unless(names.values(), marked[image["id"]]),
            split=split,
            marks=_marks(boxes[image["id"]], _size(image)),
            annotated_size=_size(image),
        )
        for image in document["images"]
    ]


def _size(image: dict[str, Any]) -> tuple[float, float]:
    return float(image.get("width") or 0), float(image.get("height") or 0)


def _marks(
    boxes: list[tuple[str, list[float]]], size: tuple[float, float]
) -> tuple[NamedMark, ...]:
    """Boxes [x, y, width, height] of one picture; none if one is not told."""
    if not all(len(box) == 4 for _, box in boxes):
        return ()
    return tuple(
        mark
        for name, (x, y, width, height) in boxes
        for mark in marks_in_pixels(name, "box", ((x, y), (x + width, y + height)), size)
    )


def _picture_folders(file: Path) -> list[Path]:
    base = _base(file)
    subset = file.stem.removeprefix("instances_")
    within = (Path("images"), Path("images") / subset, Path(subset), Path("data"), Path())
    return [base / folder for folder in within]
