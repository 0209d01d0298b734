"""Stems of the files of results: NAME, NAME-2, ... each for one picture of a run.

Which number a picture has depends on the pictures of its name that came before it. A run that goes
on therefore finds the result of a picture by what its document says, not by its number: pictures
that were added or taken away since change nothing for the others.
"""

import hashlib
import os
from collections import defaultdict, deque
from collections.abc import Callable, Iterator
from pathlib import Path

MAX_BYTES = 160
"""Longest name that is a stem as it is. With a number, .CLASS.N.png and what is put around the name
of a file that is being written it stays below 255 bytes, which file systems take."""


class Stems:
    """Gives each stem once.

    Args:
        picture_of: SHA-256 of the picture of the document that a stem has; empty where it cannot
            be read, None where there is none.
    """

    def __init__(self, picture_of: Callable[[str], str | None]) -> None:
        self._picture_of = picture_of
        self._taken: set[str] = set()
        self._last: dict[str, int] = {}  # number of a name that was looked at last
        self._seen: defaultdict[tuple[str, str], deque[str]] = defaultdict(deque)

    def reserve(self, name: str) -> str:
        """The first stem that no other picture of the run has.

        Args:
            name: the picture's file name or path.
        """
        return self._take(next(self._numbered(_fitting(name))))

    def find(self, name: str, sha256: str, *, alone: bool) -> str:
        """The stem whose document is of this picture, else cannot be read, else is not there.

        Args:
            name: the picture's file name or path.
            sha256: of the picture; empty where it cannot be read.
            alone: whether no other picture of the run has this name. Where documents are of other
                pictures only, the picture is then taken for one of them that has changed.
        """
        name = _fitting(name)
        if stem := self._next_seen(name, sha256):
            return self._take(stem)
        others = ""
        for stem in self._numbered(name):
            picture = self._picture_of(stem)
            if picture is None:
                instead = self._next_seen(name, "") or (others if alone and sha256 else "")
                self._last[name] -= bool(instead)
                return self._take(instead or stem)
            if picture and picture == sha256:
                return self._take(stem)
            others = others or stem
            self._seen[name, picture].append(stem)
        raise AssertionError("there is always another number")

    def _next_seen(self, name: str, picture: str) -> str:
        """A stem that was passed over whose document is of that picture; empty where none is."""
        seen = self._seen.get((name, picture), deque())  # no entry for each of many pictures
        while seen:
            if not self._is_taken(stem := seen.popleft()):
                return stem
        return ""

    def _numbered(self, name: str) -> Iterator[str]:
        """Stems of a name that nobody has, each looked at once in a run."""
        while True:
            self._last[name] = number = self._last.get(name, 0) + 1
            stem = name if number == 1 else f"{name}-{number}"
            if not self._is_taken(stem):
                yield stem

    def _is_taken(self, stem: str) -> bool:
        # some file systems do not tell HAND.JPG from hand.jpg
        return stem.casefold() in self._taken

    def _take(self, stem: str) -> str:
        self._taken.add(stem.casefold())
        return stem


def _fitting(name: str) -> str:
    """The file name of a picture; of a long one its start, and a digest in place of the rest."""
    name = start = Path(name).name
    if len(os.fsencode(name)) <= MAX_BYTES:
        return name
    digest = hashlib.sha256(os.fsencode(name)).hexdigest()[:16]
    while len(os.fsencode(start)) > MAX_BYTES - len(digest) - 1:
        start = start[:-1]
    return f"{start}-{digest}"
