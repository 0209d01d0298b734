"""Sources of training pictures: found out, read, split, and kept as label files.

    path -> format -> labelled pictures -> split -> checks -> label files of the run

Whatever a source's format, the run works from a label file (docs/training.md): a source
that is one is taken as it is, of any other a label file is written into the run's folder.
"""

import csv
import dataclasses
import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from hunique_training.data.drawn import write_drawn_pictures
from hunique_training.data.formats.label_csv import class_columns, label_file_of
from hunique_training.data.formats.registry import LABEL_CSV, SourceFormat, format_of
from hunique_training.data.labels import DataError, LabelledPicture
from hunique_training.data.marks import MarkError, labels_with_marks, marks_as_text
from hunique_training.data.reading import Reading, ReadingOptions
from hunique_training.data.splitting import SplitRule, make_split
from hunique_training.data.truth_column import Masks, find_masks, path_column
from hunique_training.data.vocabulary import ClassVocabulary

logger = logging.getLogger(__name__)

DRAWN = "drawn:"
"""What stands before the number of hands to draw."""


@dataclass(frozen=True, kw_only=True)
class Source:
    """A source that has been read."""

    path: Path
    """As it was given."""
    format: SourceFormat
    """What it is in."""
    pictures: list[LabelledPicture]
    """Its pictures."""
    unmatched: Counter[str]
    """Names that mean no class, and on how many pictures they stood."""
    label_file: Path | None
    """The label file with just these pictures; None where it has to be written."""
    drawn: bool = False
    """Whether its pictures are drawn: those are never chosen on."""


def read_source(path: Path, class_names: Sequence[str], options: ReadingOptions) -> Source:
    """Find a source's format and read it.

    Raises:
        DataError: no format fits, the source is at fault, or none of its pictures is there.
    """
    found = format_of(path)
    reading = Reading(vocabulary=ClassVocabulary(class_names, options.aliases), options=options)
    pictures = found.read(path, reading)
    if not any(picture.path.is_file() for picture in pictures):
        looked = f"e.g. at {pictures[0].path}" if pictures else "for none is listed"
        raise DataError(
            f"{path}: expected pictures of the {found.name}, found none, {looked}. "
            "Put them beside the annotations as the tool exports them."
        )
    label_file = None
    taken = [_with_marks(picture, options.marks, class_names) for picture in pictures]
    if found is LABEL_CSV:
        file = label_file_of(path)
        as_named = class_columns(file, reading.vocabulary) == tuple(class_names)
        label_file = file if as_named else None
    return Source(
        path=path,
        format=found,
        pictures=taken,
        unmatched=reading.vocabulary.unmatched,
        label_file=label_file,
    )


def take_source(
    text: str, class_names: Sequence[str], options: ReadingOptions, *, drawn: Path, seed: int
) -> Source:
    """Read a source as it is typed: a path, or `drawn:N`.

    Args:
        text: what was typed.
        class_names: the model's.
        options: what the source does not say itself.
        drawn: folder in which drawn hands are, or are drawn.
        seed: of drawing.

    Raises:
        DataError: see `read_source`; N is no number of pictures.
    """
    if not text.startswith(DRAWN):
        return read_source(Path(text), class_names, options)
    count = text.removeprefix(DRAWN)
    if not count.isdigit() or int(count) < 1:
        raise DataError(f"expected drawn:N with N pictures to draw, found {text!r}")
    logger.info("drawing %s hands, unless they are there", count)
    file = write_drawn_pictures(drawn, int(count), seed=seed)
    return dataclasses.replace(read_source(file, class_names, options), drawn=True)


def _with_marks(
    picture: LabelledPicture, kinds: Sequence[str], class_names: Sequence[str]
) -> LabelledPicture:
    """The picture with its marks of these kinds alone, and the labels that follow from them."""
    marks = tuple(mark for mark in picture.marks if mark.kind in kinds)
    try:
        labels = labels_with_marks(picture.labels, marks, class_names)
    except MarkError as error:
        raise DataError(f"{picture.path}: {error}") from error
    return dataclasses.replace(picture, marks=marks, labels=labels)


def split_sources(
    sources: Sequence[Source], rule: SplitRule, seed: int, digests: Mapping[Path, str]
) -> list[Source]:
    """Split the sources of photographs that bring no split; see `make_split`."""
    photographs = [source.pictures for source in sources if not source.drawn]
    split = iter(make_split(photographs, rule, seed, digests))
    return [source if source.drawn else _with(source, next(split)) for source in sources]


def _with(source: Source, pictures: list[LabelledPicture]) -> Source:
    if pictures == source.pictures:
        return source
    return dataclasses.replace(source, pictures=pictures, label_file=None)


def keep_label_file(source: Source, path: Path, vocabulary: ClassVocabulary) -> Path:
    """The label file of a source: its own, or one written to `path`, with the same masks.

    Raises:
        DataError: see `truth_column.find_masks`.
    """
    if source.label_file is not None:
        return source.label_file
    own = source.format is LABEL_CSV
    masks = find_masks(label_file_of(source.path), vocabulary) if own else ()
    return write_label_file(path, source.pictures, vocabulary.class_names, masks)


def write_label_file(
    path: Path,
    pictures: Sequence[LabelledPicture],
    class_names: Sequence[str],
    masks: Sequence[Masks] = (),
) -> Path:
    """Write pictures as a label file with absolute paths; returns its path.

    Args:
        path: the file; its folder is made.
        pictures: a row each.
        class_names: a column each.
        masks: of each picture, if any has some.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    with partial.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        marked = ["marks"] * any(picture.marks for picture in pictures)
        truth = [path_column(name) for name in class_names] if any(map(any, masks)) else []
        columns = ["file", *class_names, "split", "group", "source", "kind", *marked, *truth]
        writer.writerow(columns)
        for picture, of_picture in zip(pictures, masks or [()] * len(pictures), strict=True):
            labels = ["" if label is None else int(label) for label in picture.labels]
            whence = [picture.split, picture.group, picture.source, picture.kind]
            marks = [marks_as_text(picture.marks, class_names)] * len(marked)
            paths = [mask and mask.resolve() for mask in of_picture] if truth else []
            writer.writerow([picture.path.resolve(), *labels, *whence, *marks, *paths])
    partial.replace(path)
    return path


def describe_unmatched(unmatched: Counter[str], class_names: Sequence[str]) -> str:
    """Which names were left aside, in one sentence."""
    names = ", ".join(f"{name} ({count} pictures)" for name, count in unmatched.most_common(12))
    more = f" and {len(unmatched) - 12} more" if len(unmatched) > 12 else ""
    return (
        f"names that are no class and were left aside: {names}{more}. Classes are "
        f"{', '.join(class_names)}; --alias FOUND=CLASS says that a name means one"
    )
