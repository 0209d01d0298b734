"""The label file of this project: a CSV with a column a class, see docs/training.md."""

import csv
from pathlib import Path

from hunique_training.data.labels import LabelledPicture, opened_csv, read_labels
from hunique_training.data.reading import Reading
from hunique_training.data.vocabulary import ClassVocabulary


def label_file_of(path: Path) -> Path:
    """The label file that a source means: itself, or `labels.csv` in it."""
    return path / "labels.csv" if path.is_dir() else path


def fits_label_csv(path: Path) -> bool:
    """Whether the source is a CSV or a folder with a `labels.csv`."""
    file = label_file_of(path)
    return file.suffix.lower() == ".csv" and file.is_file()


def read_label_csv(path: Path, reading: Reading) -> list[LabelledPicture]:
    """All rows; columns are matched with classes as names are everywhere.

    Raises:
        DataError: see `hunique_training.data.labels.read_labels`.
    """
    file = label_file_of(path)
    return read_labels(file, class_columns(file, reading.vocabulary))


def class_columns(file: Path, vocabulary: ClassVocabulary) -> tuple[str, ...]:
    """The column of each class; the class's own name where the file has none for it."""
    with opened_csv(file) as stream:
        header = next(csv.reader(stream), [])
    columns = {
        index: column
        for column in reversed(header)
        if (index := vocabulary.class_index(column)) is not None
    }
    names = vocabulary.class_names
    return tuple(n if n in header else columns.get(i, n) for i, n in enumerate(names))
