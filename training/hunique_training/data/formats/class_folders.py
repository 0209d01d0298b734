"""A folder a class: `ring/a.jpg` shows a ring; folders `none` hold pictures with no class.

    SOURCE[/train|val|test]/<class>[/<group>]/<picture>

The same picture in several class folders has several labels. It is the same when its content
is; the same name and looks are not enough, for a hand looks the same with a ring and without.
Other classes are unknown, unless folders are said to be exclusive.
"""

import logging
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from hunique_training.data.duplicates import content_digests, look_alike
from hunique_training.data.formats.picture_paths import is_picture, pictures_below, split_named
from hunique_training.data.labels import DataError, LabelledPicture
from hunique_training.data.reading import NamedPicture, Reading, absent_unless, label_pictures

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class _Filed:
    """One file in one class folder."""

    path: Path
    class_folder: str
    split: str
    group: str


def class_folders(path: Path) -> list[tuple[str, Path]]:
    """Split and folder of each class; the split is `train` unless a folder above names it."""
    folders = _folders(path)
    if folders and all(split_named(folder.name) for folder in folders):
        return [
            (split_named(split.name) or "", folder)
            for split in folders
            for folder in _folders(split)
        ]
    return [("train", folder) for folder in folders]


def _folders(path: Path) -> list[Path]:
    inside = sorted(path.iterdir()) if path.is_dir() else []
    return [one for one in inside if one.is_dir() and not one.name.startswith(".")]


def fits_class_folders(path: Path) -> bool:
    """Whether the source has folders with pictures in them."""
    inside = (file for _, folder in class_folders(path) for file in folder.rglob("*"))
    return any(map(is_picture, inside))


def read_class_folders(path: Path, reading: Reading) -> list[LabelledPicture]:
    """All pictures of folders whose names mean a class, or none.

    Raises:
        DataError: no folder's name means a class, or a picture is in a class folder and
            in one for pictures without a class.
    """
    vocabulary = reading.vocabulary
    filed: list[_Filed] = []
    for split, folder in class_folders(path):
        inside = list(_filed(split, folder))
        if vocabulary.knows(folder.name):
            filed += inside
        elif inside:
            vocabulary.unmatched[folder.name] += len(inside)
    if not filed:
        raise DataError(
            f"{path}: expected folders named {', '.join(vocabulary.class_names)} or none; found "
            f"{', '.join(vocabulary.unmatched)}. Say what they mean with --alias FOLDER=CLASS, or "
            "give annotations of a format that docs/training.md names."
        )
    same = _same_pictures(filed)
    _tell_of_look_alikes(same)
    pictures = [_named(copies, reading) for copies in same]
    return label_pictures(pictures, reading, path.resolve().name)


def _filed(split: str, folder: Path) -> Iterator[_Filed]:
    for path in pictures_below(folder):
        group = path.relative_to(folder).parts[0] if path.parent != folder else ""
        yield _Filed(path=path, class_folder=folder.name, split=split, group=group)


def _same_pictures(filed: Sequence[_Filed]) -> list[list[_Filed]]:
    """The files of each picture of each split."""
    digests = content_digests([one.path for one in filed])
    by_content: dict[tuple[str, str], list[_Filed]] = defaultdict(list)
    for one in filed:
        by_content[one.split, digests[one.path]].append(one)
    return list(by_content.values())


def _tell_of_look_alikes(pictures: Sequence[Sequence[_Filed]]) -> None:
    """Report pictures of one name that might be one picture, saved anew for a second folder."""
    by_name: dict[tuple[str, str, str], list[Path]] = defaultdict(list)
    for first, *_ in pictures:
        by_name[first.split, first.group, first.path.name.lower()].append(first.path)
    alike = [
        pair
        for first, *others in by_name.values()
        for pair in zip([first] * len(others), others, strict=True)
        if look_alike(*pair)
    ]
    if alike:
        logger.warning(
            "%d pictures look like one of the same name in another folder, e.g. %s and %s. Each "
            "has the label of its own folder alone. Where both are one picture, saved anew, put a "
            "copy of one file in both folders.",
            len(alike),
            *alike[0],
        )


def _named(copies: Sequence[_Filed], reading: Reading) -> NamedPicture:
    vocabulary, first = reading.vocabulary, copies[0]
    shown = [c.class_folder for c in copies if not vocabulary.means_nothing(c.class_folder)]
    if shown and len(shown) < len(copies):
        raise DataError(
            f"{first.path.name}: expected one picture to show a class or none, found it in "
            f"{' and '.join(sorted({c.class_folder for c in copies}))}. Delete the wrong copy."
        )
    closed = not shown or reading.options.folder_labels == "exclusive"
    indices = {vocabulary.class_index(name) for name in shown}
    present = [name for i, name in enumerate(vocabulary.class_names) if i in indices]
    said = absent_unless(vocabulary.class_names if closed else (), present)
    group = next((c.group for c in copies if c.group), "")
    return NamedPicture(path=first.path, said=said, split=first.split, group=group)
