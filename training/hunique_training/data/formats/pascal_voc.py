"""Pascal VOC: which names have an object on a picture, and their boxes.

    Annotations/<stem>.xml    objects; or image_labels.json: {stem: [names]}
    JPEGImages/<stem>.jpg
    ImageSets/Main/train.txt, val.txt, test.txt    the split, where there is one

A name that is used anywhere in the set, or is listed in it, and has no object on a picture is
absent from it. A name with difficult objects alone is unknown, as in VOC's own scoring. Boxes are
marks, which count if they are asked for.
"""

import re
from collections.abc import Iterable
from pathlib import Path, PurePosixPath
from xml.etree.ElementTree import Element

from hunique_training.data.formats.document import read_json, read_xml
from hunique_training.data.formats.picture_paths import find_picture
from hunique_training.data.labels import DataError, LabelledPicture
from hunique_training.data.marks import NamedMark, marks_in_pixels
from hunique_training.data.reading import NamedPicture, Reading, absent_unless, label_pictures

Said = dict[str, bool | None]
_IMAGE_SETS = ("default", "trainval", "train", "val", "test")
"""Lists that make a split; what stands in two goes where the later one says."""


def fits_pascal_voc(path: Path) -> bool:
    """Whether the source has VOC's folders."""
    annotated = next((path / "Annotations").rglob("*.xml"), None) is not None
    return (path / "JPEGImages").is_dir() and (annotated or (path / "image_labels.json").is_file())


def read_pascal_voc(path: Path, reading: Reading) -> list[LabelledPicture]:
    """All pictures that are annotated and, where there are image sets, stand in one.

    Raises:
        DataError: an annotation cannot be read.
    """
    marked = _marked_by_stem(path)
    looked_for = _listed_names(path) | {name for said in marked.values() for name in said}
    splits = _splits(path) or dict.fromkeys(marked, "train")
    pictures = []
    for stem in sorted(marked.keys() & splits.keys()):
        annotation = _annotation(path / "Annotations" / f"{stem}.xml")
        picture = NamedPicture(
            path=_picture(path / "JPEGImages", stem),
            said=absent_unless(looked_for, ()) | marked[stem],
            split=splits[stem],
            marks=_marks(annotation),
            annotated_size=_size(annotation),
        )
        pictures.append(picture)
    return label_pictures(pictures, reading, path.resolve().name)


def _marked_by_stem(path: Path) -> dict[str, Said]:
    folder = path / "Annotations"
    if folder.is_dir():
        return {
            file.relative_to(folder).with_suffix("").as_posix(): _objects(read_xml(file))
            for file in sorted(folder.rglob("*.xml"))
        }
    file = path / "image_labels.json"
    named = read_json(file)
    if not isinstance(named, dict) or not all(isinstance(v, list) for v in named.values()):
        raise DataError(f"{file}: expected an object from a picture's stem to a list of names")
    return {stem: dict.fromkeys(names, True) for stem, names in named.items()}


def _objects(annotation: Element) -> Said:
    """Names of the objects: present, or None where all of the name are difficult."""
    objects = annotation.findall("object")
    clear = [one for one in objects if one.findtext("difficult", "0").strip() != "1"]
    return absent_unless((), _names(clear), _names(objects))


def _annotation(file: Path) -> Element:
    """What is said of a picture; nothing where the set has no such file."""
    return read_xml(file) if file.is_file() else Element("annotation")


def _size(annotation: Element) -> tuple[float, float]:
    width, height = (annotation.findtext(f"size/{side}", "0") for side in ("width", "height"))
    return float(width), float(height)


def _marks(annotation: Element) -> tuple[NamedMark, ...]:
    """Boxes of all objects, difficult ones too; none if one is not told."""
    size = _size(annotation)
    boxes = []
    for one in annotation.findall("object"):
        sides = [one.findtext(f"bndbox/{side}") for side in ("xmin", "ymin", "xmax", "ymax")]
        if None in sides:
            return ()
        left, top, right, bottom = (float(side or 0) for side in sides)
        # counted from 1, and the last pixel is in
        corners = ((left - 1, top - 1), (right, bottom))
        name = one.findtext("name", "").strip()
        boxes += list(marks_in_pixels(name, "box", corners, size))
    return tuple(boxes)


def _names(objects: Iterable[Element]) -> set[str]:
    return {one.findtext("name", "").strip() for one in objects} - {""}


def _listed_names(path: Path) -> set[str]:
    """Names in VOC's lists by class, `Main/<class>_<set>.txt`, and in CVAT's labelmap.txt."""
    files = (path / "ImageSets" / "Main").glob("*_*.txt")
    matches = (re.fullmatch(r"(.+)_(train|val|trainval|test)", file.stem) for file in files)
    names = {match[1] for match in matches if match}
    labelmap = path / "labelmap.txt"
    if labelmap.is_file():
        lines = labelmap.read_text(encoding="utf-8").splitlines()
        names |= {line.split(":")[0].strip() for line in lines if line and line[0] != "#"}
    return names - {""}


def _splits(path: Path) -> dict[str, str]:
    """Stem to split, by the lists in Main or, without these, in Segmentation.

    A list `Segmentation/train_aug.txt`, the 10,582 pictures that published methods train on,
    goes before all: then `train_aug` and `val` of Segmentation are the split.
    """
    main, segmentation = path / "ImageSets" / "Main", path / "ImageSets" / "Segmentation"
    # some copies list paths, as /JPEGImages/2007_000032.jpg
    augmented = [PurePosixPath(name).stem for name in _stems(segmentation / "train_aug.txt")]
    if augmented:
        splits = dict.fromkeys(augmented, "train")
        return splits | dict.fromkeys(_stems(segmentation / "val.txt"), "val")
    for folder in (main, segmentation):
        splits = {}
        for name in _IMAGE_SETS:
            split = name if name in ("val", "test") else "train"
            splits |= dict.fromkeys(_stems(folder / f"{name}.txt"), split)
        if splits:
            return splits
    return {}


def _stems(file: Path) -> list[str]:
    if not file.is_file():
        return []
    lines = file.read_text(encoding="utf-8").splitlines()
    return [words[0] for line in lines if (words := line.split())]


def _picture(folder: Path, stem: str) -> Path:
    for suffix in (".jpg", ".jpeg", ".png", ".JPG"):
        path = find_picture(stem + suffix, [folder])
        if path.is_file():
            return path
    return folder / f"{stem}.jpg"
