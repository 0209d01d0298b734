"""11K Hands and what is described like it: HandInfo.csv.

    id,age,gender,skinColor,accessories,nailPolish,aspectOfHand,imageName,irregularities

`id` is the person and becomes the group. No accessories: no ring. Accessories may be a ring, a
watch or a bracelet: by default they say nothing of rings, with `--accessories ring` they
are taken for one. Nail polish is what it says, but on the palmar side, where nails hardly
show, it becomes unknown. Nothing is said of tattoos and lunules.
"""

import csv
from pathlib import Path

from hunique_training.data.formats.picture_paths import find_picture
from hunique_training.data.labels import DataError, LabelledPicture, opened_csv
from hunique_training.data.reading import NamedPicture, Reading, label_pictures

COLUMNS = ("id", "accessories", "nailPolish", "aspectOfHand", "imageName")


def _file_of(path: Path) -> Path:
    if not path.is_dir():
        return path
    return next((f for f in sorted(path.glob("*.csv")) if f.stem.lower() == "handinfo"), path)


def fits_hand_info(path: Path) -> bool:
    """Whether the source is a CSV with the columns of 11K Hands, or a folder with one."""
    file = _file_of(path)
    if file.suffix.lower() != ".csv" or not file.is_file():
        return False
    with opened_csv(file) as stream:
        return set(COLUMNS) <= set(next(csv.reader(stream), []))


def read_hand_info(path: Path, reading: Reading) -> list[LabelledPicture]:
    """One picture a row, from `Hands/` or from beside the file.

    Raises:
        DataError: a flag is neither 0 nor 1.
    """
    file = _file_of(path)
    folders = [file.parent / "Hands", file.parent / "images", file.parent]
    with opened_csv(file) as stream:
        pictures = [
            NamedPicture(
                said=_said(row, reading.options.accessories == "ring", f"{file}:{line}"),
                path=find_picture(row["imageName"] or "", folders),
                group=row["id"],
            )
            for line, row in enumerate(csv.DictReader(stream), 2)
        ]
    return label_pictures(pictures, reading, file.parent.resolve().name)


def _said(row: dict[str, str], accessories_are_rings: bool, where: str) -> dict[str, bool | None]:
    polish = _flag(row, "nailPolish", where)
    accessories = _flag(row, "accessories", where)
    palmar = "palmar" in (row["aspectOfHand"] or "").lower()
    return {
        "polished_nail": None if polish and palmar else polish,
        "ring": (True if accessories_are_rings else None) if accessories else False,
    }


def _flag(row: dict[str, str], column: str, where: str) -> bool:
    if row[column] not in ("0", "1"):
        raise DataError(f"{where}: expected {column} 0 or 1, found {row[column]!r}")
    return row[column] == "1"
