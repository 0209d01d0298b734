"""How sources are read: what the user chose, and what the readers of all formats share.

A reader gathers `NamedPicture`s, in the names that its tool uses; `label_pictures` puts them
into the model's classes. Points, scribbles and boxes have their place in `NamedPicture`;
pixel masks have none.
"""

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from hunique_training.data.labels import DataError, LabelledPicture
from hunique_training.data.marks import MARK_KINDS, NamedMark, resolve_marks
from hunique_training.data.turned_marks import marks_upright
from hunique_training.data.vocabulary import ClassVocabulary

logger = logging.getLogger(__name__)

FOLDER_LABELS = ("open", "exclusive")
ACCESSORIES = ("unknown", "ring")


@dataclass(frozen=True, kw_only=True)
class ReadingOptions:
    """What a source does not say itself."""

    aliases: tuple[tuple[str, str], ...] = ()
    """Pairs of a name in the source and the class it means, or `none`."""
    folder_labels: str = "open"
    """`open`: a class folder says nothing of other classes. `exclusive`: they are absent."""
    accessories: str = "unknown"
    """What accessories on an 11K Hands picture say of rings: nothing, or `ring`."""
    marks: tuple[str, ...] = ()
    """Kinds of marks (`MARK_KINDS`) that are taken of a source that has any."""

    def __post_init__(self) -> None:
        """Check choices."""
        for value, choices in (
            (self.folder_labels, FOLDER_LABELS),
            (self.accessories, ACCESSORIES),
            *((kind, MARK_KINDS) for kind in self.marks),
        ):
            if value not in choices:
                raise DataError(f"expected one of {', '.join(choices)}, found {value!r}")


@dataclass(frozen=True, kw_only=True)
class Reading:
    """What every reader is given beside the path."""

    vocabulary: ClassVocabulary
    """The classes, and the count of names that are none."""
    options: ReadingOptions
    """The user's choices."""


@dataclass(frozen=True, kw_only=True)
class NamedPicture:
    """A picture with what is said of it in the words of its source."""

    path: Path
    """The image file."""
    said: Mapping[str, bool | None]
    """Name to present, absent, or None for unsure. A name that is not there was not looked for."""
    split: str = "train"
    """`train`, `val` or `test`."""
    group: str = ""
    """Same person or session."""
    marks: tuple[NamedMark, ...] = ()
    """Points, scribbles and boxes. They count for names that are said to be present."""
    annotated_size: tuple[float, float] = (0, 0)
    """(width, height) of the picture that the marks were made on; 0 where the source does not
    tell."""


def absent_unless(
    looked_for: Iterable[str], present: Iterable[str], unsure: Iterable[str] = ()
) -> dict[str, bool | None]:
    """What an annotator says who went through a list of names and marked some."""
    marked: dict[str, bool | None] = dict.fromkeys(unsure)
    return dict.fromkeys(looked_for, False) | marked | dict.fromkeys(present, True)


def label_pictures(
    pictures: Sequence[NamedPicture], reading: Reading, source: str
) -> list[LabelledPicture]:
    """Put what is said into the model's classes, and count the names that are none.

    Raises:
        DataError: no name of the source means a class.
    """
    names = {name for picture in pictures for name in picture.said}
    if not any(map(reading.vocabulary.knows, names)):
        raise DataError(
            f"{source}: expected names of some of {', '.join(reading.vocabulary.class_names)}; "
            f"found {', '.join(sorted(names)[:12]) or 'none'} on {len(pictures)} pictures. "
            "Say what they mean with --alias FOUND=CLASS."
        )
    marks = upright_marks(pictures) if reading.options.marks else [()] * len(pictures)
    return [
        LabelledPicture(
            path=picture.path,
            labels=_labels(picture.said, reading.vocabulary),
            split=picture.split,
            group=picture.group,
            source=source,
            marks=resolve_marks(marks_of, partial(_label_of_mark, picture.said, reading)),
        )
        for picture, marks_of in zip(pictures, marks, strict=True)
    ]


def upright_marks(pictures: Sequence[NamedPicture]) -> list[tuple[NamedMark, ...]]:
    """The marks of each picture on the upright picture; none where nobody knows how it was seen."""
    found = [
        marks_upright(picture.marks, picture.annotated_size, picture.path) for picture in pictures
    ]
    lost = [picture.path for picture, marks in zip(pictures, found, strict=True) if marks is None]
    if lost:
        logger.warning(
            "marks of %d pictures are left out, e.g. of %s: they are stored turned (EXIF "
            "orientation), and the size that the annotations state does not tell whether they "
            "were marked as stored or upright. Save such pictures upright and mark them again.",
            len(lost),
            lost[0],
        )
    return [marks or () for marks in found]


def _label_of_mark(said: Mapping[str, bool | None], reading: Reading, name: str) -> int | None:
    """The label of a mark's name; None for names that are no class, or not surely there."""
    index = reading.vocabulary.class_index(name)
    if index is not None:
        return index + 1 if said.get(name) else None
    return 0 if reading.vocabulary.means_nothing(name) else None


def _labels(
    said: Mapping[str, bool | None], vocabulary: ClassVocabulary
) -> tuple[bool | None, ...]:
    values: list[list[bool | None]] = [[] for _ in vocabulary.class_names]
    for name, value in said.items():
        index = vocabulary.class_index(name)
        if index is not None:
            values[index].append(value)
        elif value and not vocabulary.means_nothing(name):
            vocabulary.unmatched[name] += 1
    return tuple(map(_any_present, values))


def _any_present(values: Sequence[bool | None]) -> bool | None:
    """One label of several names for one class."""
    if True in values:
        return True
    return None if None in values or not values else False
