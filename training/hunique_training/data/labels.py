"""Image-level labels: which classes are on which picture.

What training may know of a picture is in `LabelledPicture`, and no pixel of truth is: the
masks that evaluation uses are opened by `hunique_training.evaluation.truth` alone.

The file is a CSV with the columns `file` (relative to the CSV), one column per class
holding 1 (present), 0 (absent) or nothing (unknown), and optionally `split` (`train`,
`val`), `group` (same person, nail or session: never on both sides of a split), `source`,
`kind`. A class without a column is unknown on all pictures of the file. A column `marks`
holds points, scribbles and boxes (`hunique_training.data.marks`).
"""

import csv
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from hunique_training.data.marks import BACKGROUND, Mark, MarkError, parse_marks, resolve_marks


class DataError(Exception):
    """The training data cannot be used as they are; the message says what to do."""


@dataclass(frozen=True, kw_only=True)
class LabelledPicture:
    """One picture and what is known of it without looking at pixels."""

    path: Path
    """The image file."""
    labels: tuple[bool | None, ...]
    """Per class, in the order of the class names: present, absent, or None for unknown."""
    split: str = "train"
    """`train` or `val`."""
    group: str = ""
    """Pictures of one group show the same person, nail or session."""
    source: str = ""
    """Where the picture comes from; sampling balances sources."""
    kind: str = ""
    """What the picture shows; `background` marks pictures without people."""
    matte: Path | None = None
    """Where there is one: a mask of the hand, 255 hand and 0 background, from
    `foreground/<stem>.png` beside the label file. Backgrounds are changed by it; it says
    nothing about any class."""
    marks: tuple[Mark, ...] = ()
    """Points, scribbles and boxes."""

    @property
    def is_background(self) -> bool:
        """Whether no person is on it."""
        return self.kind == "background"


def _parse_label(text: str, where: str) -> bool | None:
    known = {"1": True, "0": False, "": None}
    if text.strip() not in known:
        raise DataError(f"{where}: a label is 1, 0 or empty (unknown), found {text!r}")
    return known[text.strip()]


@contextmanager
def opened_csv(csv_path: Path) -> Iterator[TextIO]:
    """A CSV as text, as spreadsheets save it: with or without a mark in front.

    Raises:
        DataError: what is read of it is not UTF-8.
    """
    try:
        with csv_path.open(newline="", encoding="utf-8-sig") as stream:
            yield stream
    except UnicodeDecodeError as error:
        raise DataError(
            f"{csv_path}: expected UTF-8, found the byte {error.object[error.start]:#04x}. "
            "Spreadsheets call it 'CSV UTF-8' when saving."
        ) from error


def read_labels(csv_path: Path, class_names: Sequence[str]) -> list[LabelledPicture]:
    """Read every row of a label file.

    Args:
        csv_path: the CSV; picture paths are relative to its folder.
        class_names: the columns to read as labels, in this order.

    Raises:
        DataError: there is no such file, it is not UTF-8 or not parted by commas, it has no column
            `file`, no column of any class or no rows, a row names no picture, or a label is none
            of 1, 0, empty.
    """
    if not csv_path.is_file():
        raise DataError(f"Expected a label file at {csv_path}, found none. See docs/training.md.")
    with opened_csv(csv_path) as stream:
        reader = csv.DictReader(stream)
        columns = set(reader.fieldnames or [])
        if len(columns) == 1 and ";" in "".join(columns):
            raise DataError(
                f"{csv_path}: expected fields parted by commas, found semicolons. Save it again with "
                "commas; within the column truth semicolons are right."
            )
        if "file" not in columns or columns.isdisjoint(class_names):
            raise DataError(
                f"{csv_path}: expected the column file and at least one of "
                f"{', '.join(class_names)}; found {', '.join(sorted(columns)) or 'none'}"
            )
        pictures = [_read_row(row, csv_path, class_names, n) for n, row in enumerate(reader, 2)]
    if not pictures:
        raise DataError(f"{csv_path}: expected at least one picture, found no rows")
    return pictures


def _read_row(
    row: dict[str, str], csv_path: Path, class_names: Sequence[str], line: int
) -> LabelledPicture:
    where = f"{csv_path}:{line}"
    if not (row["file"] or "").strip():
        raise DataError(f"{where}: expected a picture in the column file, found nothing")
    matte = csv_path.parent / "foreground" / f"{Path(row['file']).stem}.png"
    return LabelledPicture(
        path=csv_path.parent / row["file"],
        labels=tuple(_parse_label(row.get(name) or "", where) for name in class_names),
        split=row.get("split") or "train",
        group=row.get("group") or "",
        source=row.get("source") or "",
        kind=row.get("kind") or "",
        matte=matte if matte.is_file() else None,
        marks=_read_marks(row, class_names, where),
    )


def _read_marks(row: dict[str, str], class_names: Sequence[str], where: str) -> tuple[Mark, ...]:
    """Marks of the row; those of columns that are no class of the model are left out."""
    labels = {name: label for label, name in enumerate((BACKGROUND, *class_names))}
    try:
        named = parse_marks(row.get("marks") or "")
        for mark in named:
            if mark.name not in labels and mark.name not in row:
                raise MarkError(f"expected a mark of {', '.join(labels)}; found {mark.name!r}")
        return resolve_marks(named, labels.get)
    except MarkError as error:
        raise DataError(f"{where}: {error}") from error


def refuse_unlabelled_classes(
    pictures: Sequence[LabelledPicture], class_names: Sequence[str]
) -> None:
    """Refuse to train a class whose label is unknown on every training picture.

    Raises:
        DataError: names the classes; a misspelt column is found out here.
    """
    training = [picture for picture in pictures if picture.split == "train"]
    unlabelled = [
        name
        for index, name in enumerate(class_names)
        if all(picture.labels[index] is None for picture in training)
    ]
    if unlabelled:
        raise DataError(
            f"expected some of the {len(training)} training pictures to have a label of every "
            f"class; found none for {', '.join(unlabelled)}. Check the names of the columns and "
            "the values of split."
        )


def refuse_leaks(pictures: Iterable[LabelledPicture]) -> None:
    """Refuse data in which one group stands on both sides of the split.

    Raises:
        DataError: names the first groups that leak.
    """
    splits: dict[str, set[str]] = defaultdict(set)
    for picture in pictures:
        if picture.group:
            splits[picture.group].add(picture.split)
    leaking = sorted(group for group, sides in splits.items() if len(sides) > 1)
    if leaking:
        raise DataError(
            f"{len(leaking)} groups stand in more than one split, e.g. {', '.join(leaking[:5])}. "
            "The same person or nail on both sides makes every figure too good: "
            "give each group one split."
        )
