"""Which formats there are, and which one a source is in."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from hunique_training.data.formats.class_folders import fits_class_folders, read_class_folders
from hunique_training.data.formats.coco import fits_coco, read_coco
from hunique_training.data.formats.cvat import fits_cvat, read_cvat
from hunique_training.data.formats.hand_info import fits_hand_info, read_hand_info
from hunique_training.data.formats.label_csv import fits_label_csv, read_label_csv
from hunique_training.data.formats.label_studio import fits_label_studio, read_label_studio
from hunique_training.data.formats.pascal_voc import fits_pascal_voc, read_pascal_voc
from hunique_training.data.labels import DataError, LabelledPicture
from hunique_training.data.reading import Reading


@dataclass(frozen=True, kw_only=True)
class SourceFormat:
    """A format that sources come in."""

    name: str
    """As `inspect` calls it."""
    looks_like: str
    """What a source of it holds."""
    fits: Callable[[Path], bool]
    """Whether a path is such a source."""
    read: Callable[[Path, Reading], list[LabelledPicture]]
    """Its pictures and their image-level labels."""


LABEL_CSV = SourceFormat(
    name="label file",
    looks_like="a CSV with the column file and one for each class, or a folder with labels.csv",
    fits=fits_label_csv,
    read=read_label_csv,
)
"""The project's own format."""
FORMATS = (
    SourceFormat(
        name="11K Hands",
        looks_like="HandInfo.csv with imageName, accessories, nailPolish, id",
        fits=fits_hand_info,
        read=read_hand_info,
    ),
    LABEL_CSV,
    SourceFormat(
        name="Pascal VOC",
        looks_like="Annotations/*.xml (or image_labels.json) and JPEGImages",
        fits=fits_pascal_voc,
        read=read_pascal_voc,
    ),
    SourceFormat(
        name="COCO",
        looks_like="a JSON with images, annotations, categories, or annotations/*.json",
        fits=fits_coco,
        read=read_coco,
    ),
    SourceFormat(
        name="CVAT for images",
        looks_like="annotations.xml of CVAT for images 1.1",
        fits=fits_cvat,
        read=read_cvat,
    ),
    SourceFormat(
        name="Label Studio",
        looks_like="a JSON list of tasks",
        fits=fits_label_studio,
        read=read_label_studio,
    ),
    SourceFormat(
        name="class folders",
        looks_like="a folder for each class, named like it, with pictures",
        fits=fits_class_folders,
        read=read_class_folders,
    ),
)
"""In the order in which they are tried."""


def format_of(path: Path) -> SourceFormat:
    """The first format that fits.

    Raises:
        DataError: there is nothing, or nothing that fits; says what was found.
    """
    if not path.exists():
        raise DataError(
            f"Expected a label file at {path}, or a folder, found neither. See docs/training.md."
        )
    for one in FORMATS:
        if one.fits(path):
            return one
    expected = "\n".join(f"  {one.name}: {one.looks_like}" for one in FORMATS)
    raise DataError(f"{path}: expected one of\n{expected}\nfound {_contents(path)}.")


def _contents(path: Path) -> str:
    if path.is_file():
        return f"a file {path.suffix or 'without suffix'} of none of these kinds"
    names = sorted(one.name + "/" * one.is_dir() for one in path.iterdir())
    more = f" and {len(names) - 8} more" if len(names) > 8 else ""
    return (", ".join(names[:8]) or "an empty folder") + more
