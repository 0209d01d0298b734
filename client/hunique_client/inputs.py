"""From what is named on the command line to pictures."""

import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

import click

from hunique_client.result_folder import DOCUMENT_SUFFIX

STANDARD_INPUT = "-"
SUFFIXES = frozenset(
    (".jpg", ".jpeg", ".jpe", ".png", ".webp", ".tif", ".tiff", ".bmp", ".heic", ".heif", ".mpo")
)
"""What of a folder is taken for a picture; a file that is named is always sent. Masks and overlays
of an earlier run, whose document stands beside them, are none."""
_RESULT = re.compile(r"(.+)\.(?:overlay\.jpg|[a-z][a-z0-9_]{0,63}\.[1-9][0-9]*\.png)", re.DOTALL)
"""NAME.overlay.jpg or NAME.CLASS.N.png."""


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
    return list({os.path.normpath(n): n for n in _expand(inputs, out, recursive)}.values())


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
    documented: dict[Path, frozenset[str]] = {}
    try:
        for path in folder.rglob("*") if recursive else folder.iterdir():
            if path.suffix.lower() not in SUFFIXES or not path.is_file():
                continue
            if path.parent not in documented:
                documented[path.parent] = _documented_in(path.parent)
            if _is_result(path.name, documented[path.parent]):
                continue
            if results is None or not path.resolve().is_relative_to(results):
                yield str(path)
    except OSError as error:
        raise click.UsageError(f"{folder}: cannot be read: {error.strerror}") from error


def _documented_in(folder: Path) -> frozenset[str]:
    """Names of pictures whose results stand in a folder."""
    names = (path.name for path in folder.iterdir())
    return frozenset(n.removesuffix(DOCUMENT_SUFFIX) for n in names if n.endswith(DOCUMENT_SUFFIX))


def _is_result(name: str, documented: frozenset[str]) -> bool:
    """Whether it is a mask or an overlay of such a name, and nothing that is named much like one."""
    found = _RESULT.fullmatch(name)
    return found is not None and found[1] in documented
