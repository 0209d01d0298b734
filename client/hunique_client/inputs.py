"""From what is named on the command line to pictures."""

from collections.abc import Iterable, Iterator
from pathlib import Path

import click

STANDARD_INPUT = "-"
SUFFIXES = frozenset(
    (".jpg", ".jpeg", ".jpe", ".png", ".webp", ".tif", ".tiff", ".bmp", ".heic", ".heif", ".mpo")
)
"""What of a folder is taken for a picture; a file that is named is always sent."""


def list_pictures(inputs: Iterable[str], out: Path | None, *, recursive: bool) -> list[str]:
    """Names of pictures, each once, in the order given; those of a folder sorted.

    Args:
        inputs: files, folders, or `-`.
        out: where results go; it is not searched for pictures.
        recursive: whether sub-folders are taken too.

    Raises:
        click.UsageError: a folder without pictures, or one that is also the folder of results.
    """
    # names only: a folder may have more pictures than memory holds objects
    return list(dict.fromkeys(_expand(inputs, out, recursive)))


def _expand(inputs: Iterable[str], out: Path | None, recursive: bool) -> Iterator[str]:
    for name in inputs:
        path = Path(name)
        if name == STANDARD_INPUT or not path.is_dir():
            yield name
            continue
        if out is not None and out.resolve() == path.resolve():
            raise click.UsageError(
                f"{name}: results would lie among the pictures; choose another --out folder"
            )
        pictures = sorted(_pictures_of(path, out, recursive))
        if not pictures:
            raise click.UsageError(
                f"{name}: expected a folder with pictures, found none"
                + ("" if recursive else " (--recursive takes sub-folders too)")
            )
        yield from pictures


def _pictures_of(folder: Path, out: Path | None, recursive: bool) -> Iterator[str]:
    results = None if out is None else out.resolve()
    try:
        for path in folder.rglob("*") if recursive else folder.iterdir():
            if path.suffix.lower() not in SUFFIXES or not path.is_file():
                continue
            if results is None or not path.resolve().is_relative_to(results):
                yield str(path)
    except OSError as error:
        raise click.UsageError(f"{folder}: cannot be read: {error.strerror}") from error
