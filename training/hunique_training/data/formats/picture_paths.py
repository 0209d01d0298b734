"""Where the pictures of an annotation file lie, and which split a name speaks of."""

import re
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

SUFFIXES = frozenset(
    {".jpg", ".jpeg", ".png", ".webp", ".tif", ".tiff", ".bmp", ".heic", ".heif", ".mpo"}
)
"""Of files taken for pictures in folders, in lower case."""
_SPLITS = {
    "train": "train", "training": "train",
    "val": "val", "valid": "val", "validation": "val",
    "test": "test", "testing": "test",
}  # fmt: skip


def is_picture(path: Path) -> bool:
    """Whether the file's name is that of a picture; hidden files are none."""
    return path.suffix.lower() in SUFFIXES and not path.name.startswith(".") and path.is_file()


def pictures_below(folder: Path) -> list[Path]:
    """All pictures of a folder and of the folders in it, sorted."""
    return sorted(path for path in folder.rglob("*") if is_picture(path))


def split_named(name: str) -> str | None:
    """The split that is a word of a name (`instances_val2017`), or None."""
    words = re.findall(r"[a-z]+", name.lower())
    return next((_SPLITS[word] for word in words if word in _SPLITS), None)


def find_picture(name: str, folders: Sequence[Path]) -> Path:
    """A picture by its name in the first folder that has it; in the first folder if none has.

    A file that is not there is left out later, by name, as every unreadable one.
    """
    relative = name.replace("\\", "/")
    found = (folder / relative for folder in folders if (folder / relative).is_file())
    return next(found, folders[0] / relative)


def find_by_end(name: str, folders: Sequence[Path]) -> Path:
    """Like `find_picture`, for a path that began on another machine: its longest end counts."""
    parts = PurePosixPath(name.replace("\\", "/").lstrip("/")).parts
    ends = ["/".join(parts[start:]) for start in range(len(parts))] or [name]
    for end in ends:
        path = find_picture(end, folders)
        if path.is_file():
            return path
    return folders[0] / ends[0]
