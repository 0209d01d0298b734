"""From what is named on the command line to pictures."""

import os
import re
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import click

from hunique_client.result_folder import DOCUMENT_SUFFIX

STANDARD_INPUT = "-"
SUFFIXES = frozenset((
    ".jpg", ".jpeg", ".jpe", ".jfif", ".pjpeg", ".mpo", ".png", ".webp",
    ".tif", ".tiff", ".bmp", ".dib", ".heic", ".heif",
))  # fmt: skip
"""What of a folder is taken for a picture; a file that is named is always sent. Masks and overlays
of an earlier run, whose document stands beside them, are none."""
_RESULT = re.compile(r"(.+)\.(?:overlay\.jpg|[a-z][a-z0-9_]{0,63}\.[1-9][0-9]*\.png)", re.DOTALL)
"""NAME.overlay.jpg or NAME.CLASS.N.png."""


@dataclass(kw_only=True)
class Listing:
    """What inputs come to."""

    names: list[str] = field(default_factory=list)
    """Pictures, each once, in the order given; those of a folder sorted."""
    unread: dict[str, str] = field(default_factory=dict)
    """What should have been looked into and cannot be, and why."""
    without_suffix: int = 0
    """Files of folders that were left out because they are not named like a picture."""
    links: int = 0
    """Links to folders that were left out."""
    beside_results: int = 0
    """Pictures that were left out because results are written to their folder, or above it."""

    def left_out(self) -> str:
        """What was left out, and what to do; empty where that is nothing."""
        parts = [
            _counted(self.without_suffix, "file", "without a picture's suffix"),
            _counted(self.links, "link", "to folders"),
            _counted(self.beside_results, "picture", "within the --out folder"),
        ]
        said = ", ".join(filter(None, parts))
        return f"left out: {said}; name those that shall be examined" if said else ""


def _counted(count: int, thing: str, more: str) -> str:
    return f"{count} {thing}{'s' * (count > 1)} {more}" if count else ""


def list_pictures(inputs: Iterable[str], out: Path | None, *, recursive: bool) -> Listing:
    """The pictures among what is named.

    Args:
        inputs: files, folders, or `-`.
        out: where results go; where it lies below a folder it is not searched for pictures.
        recursive: whether sub-folders are taken too.

    Raises:
        click.UsageError: a folder without pictures, or one that is also the folder of results.
    """
    listing = Listing()
    expanded = _expand(inputs, out, recursive, listing)
    # names only: a folder may have more pictures than memory holds objects
    listing.names = list({os.path.normpath(name): name for name in expanded}.values())
    return listing


def _expand(
    inputs: Iterable[str], out: Path | None, recursive: bool, listing: Listing
) -> Iterator[str]:
    for name in inputs:
        # unlike Path's, this one says no of what cannot be looked at: it fails as a picture
        if name == STANDARD_INPUT or not os.path.isdir(name):  # noqa: PTH112
            yield name
            continue
        if out is not None and out.resolve() == Path(name).resolve():
            raise click.UsageError(
                f"{name}: results would lie among the pictures; choose another --out folder"
            )
        pictures = sorted(_pictures_of(name, out, recursive, listing))
        if not pictures and not listing.unread:
            raise click.UsageError(_nothing_in(name, recursive, listing))
        yield from pictures


def _nothing_in(folder: str, recursive: bool, listing: Listing) -> str:
    hint = "" if recursive else " (--recursive takes sub-folders too)"
    left_out = listing.left_out()
    return f"{folder}: expected a folder with pictures, found none{hint}" + (
        f"; {left_out}" if left_out else ""
    )


def _pictures_of(folder: str, out: Path | None, recursive: bool, listing: Listing) -> Iterator[str]:
    results = _found_below(folder, out)

    def note(error: OSError) -> None:
        listing.unread[str(error.filename)] = f"the folder cannot be read: {error.strerror}"

    for place, folders, files in os.walk(folder, onerror=note):
        if not recursive:
            folders.clear()
        here = Path(place)
        if results and here.is_relative_to(results):
            listing.beside_results += sum(1 for _ in _pictures_among(files, here, Listing()))
        else:
            listing.links += sum((here / name).is_symlink() for name in folders)
            yield from _pictures_among(files, here, listing)


def _found_below(folder: str, out: Path | None) -> Path | None:
    """The folder of results as it is met on the way through a folder; None where it is not."""
    if out is None or not out.resolve().is_relative_to(Path(folder).resolve()):
        return None
    return Path(folder) / out.resolve().relative_to(Path(folder).resolve())


def _pictures_among(files: list[str], folder: Path, listing: Listing) -> Iterator[str]:
    """Those of the files of one folder, with what cannot be opened: that is found out later."""
    documents = frozenset(name for name in files if name.endswith(DOCUMENT_SUFFIX))
    documented = frozenset(name.removesuffix(DOCUMENT_SUFFIX) for name in documents)
    for name in files:
        path = str(folder / name)
        if Path(name).suffix.lower() not in SUFFIXES:
            listing.without_suffix += name not in documents
        elif _is_special(path):
            listing.unread[path] = "expected a file, found a pipe, a socket or a device"
        elif not _is_result(name, documented):
            yield path


def _is_special(path: str) -> bool:
    """Whether it is there and no file: to open it might be to wait for ever."""
    try:
        return not stat.S_ISREG(os.stat(path).st_mode)  # noqa: PTH116
    except OSError:
        return False


def _is_result(name: str, documented: frozenset[str]) -> bool:
    """Whether it is a mask or an overlay of such a name, and nothing that is named much like one."""
    found = _RESULT.fullmatch(name)
    return found is not None and found[1] in documented
