"""Where truth masks are. Nothing here opens one: `hunique_training.evaluation.truth` does.

The label file's column `truth` names the classes that have a mask, parted by `;`, in
`truth/<stem>__<class>.png` beside it. In label files that a run writes of others, where masks
stay where they are, a column `truth:<class>` holds a mask's path.
"""

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path

from hunique_training.data.labels import DataError, opened_csv
from hunique_training.data.vocabulary import ClassVocabulary

Masks = tuple[Path | None, ...]
"""Per class of a picture: the mask's file, if there is one."""


def path_column(class_name: str) -> str:
    """The column of a class that holds paths of masks."""
    return f"truth:{class_name}"


def find_masks(csv_path: Path, vocabulary: ClassVocabulary) -> list[Masks]:
    """The masks of each row of a label file.

    Args:
        csv_path: the label file; paths in it are relative to its folder.
        vocabulary: the classes, and what else they are called in the file.

    Raises:
        DataError: two pictures, of one name in different folders, claim the same mask.
    """
    with opened_csv(csv_path) as stream:
        rows = list(csv.DictReader(stream))
    masks = [_masks_of(row, csv_path.parent, vocabulary) for row in rows]
    _refuse_shared(csv_path, [row["file"] for row in rows], masks)
    return masks


def _masks_of(row: Mapping[str, str], folder: Path, vocabulary: ClassVocabulary) -> Masks:
    names = [name.strip() for name in (row.get("truth") or "").split(";")]
    # a class's own name counts before another one for it, as for columns of labels
    ranked = sorted(names, key=vocabulary.class_names.__contains__)
    stem = Path(row["file"]).stem
    found = {vocabulary.class_index(n): folder / "truth" / f"{stem}__{n}.png" for n in ranked}
    for index, name in enumerate(vocabulary.class_names):
        if path := row.get(path_column(name)):
            found[index] = folder / path
    return tuple(found.get(index) for index in range(len(vocabulary.class_names)))


def _refuse_shared(csv_path: Path, files: Sequence[str], masks: Sequence[Masks]) -> None:
    """A mask goes by its picture's name without folder: no two may have the same."""
    first: dict[Path, int] = {}
    for line, (file, of_row) in enumerate(zip(files, masks, strict=True), 2):
        for mask in filter(None, of_row):
            before = first.setdefault(mask, line)
            if files[before - 2] != file:
                raise DataError(
                    f"{csv_path}: lines {before} and {line} both claim the mask "
                    f"{mask.parent.name}/{mask.name}; expected pictures with masks to have "
                    "names of their own, whatever folder they are in. Rename one of them."
                )
