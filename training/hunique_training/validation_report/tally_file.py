"""Tallies on disk, so that an interrupted run goes on where it stopped.

One JSON line a picture, after a line that says what they rest on: the bundle, the label
file, how closely was looked. A line that was cut short is done again, and so is a picture
whose file or mask was changed since.
"""

import json
from collections.abc import Mapping
from pathlib import Path

from hunique_training.data.labels import DataError
from hunique_training.validation_report.picture_tally import PictureTally

TALLIES = "tallies.jsonl"
"""Name of the file in the out folder."""
Key = tuple[int, str]
"""Row and variant."""


class TallyFile:
    """The tallies of one out folder.

    Args:
        path: the file; made with its folder if it is not there.
        basis: what the tallies rest on, by name.
        restart: whether tallies that are there may go.

    Raises:
        DataError: tallies of another basis are there.
    """

    def __init__(self, path: Path, basis: Mapping[str, str], *, restart: bool = False) -> None:
        self._path = path
        self.tallies: dict[Key, PictureTally] = {}
        """By row and variant."""
        if path.is_file() and not restart:
            self._read(basis)
        path.parent.mkdir(parents=True, exist_ok=True)
        lines = [json.dumps({"basis": dict(basis)})]
        lines += [json.dumps(tally.as_dict()) for tally in self.tallies.values()]
        partial = path.with_suffix(".partial")
        partial.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
        partial.replace(path)

    def add(self, tally: PictureTally) -> None:
        """Keep a tally; it is on disk when this returns."""
        self.tallies[tally.row, tally.variant] = tally
        with self._path.open("a", encoding="utf-8") as stream:
            stream.write(json.dumps(tally.as_dict()) + "\n")

    def get(self, key: Key, stamp: str) -> PictureTally | None:
        """The tally of a picture whose files are as they were then."""
        tally = self.tallies.get(key)
        return tally if tally is not None and tally.stamp == stamp else None

    def _read(self, basis: Mapping[str, str]) -> None:
        first, *lines = self._path.read_text(encoding="utf-8").splitlines() or [""]
        found = _read_basis(first)
        differing = sorted(n for n in basis.keys() | found.keys() if basis.get(n) != found.get(n))
        if differing:
            raise DataError(
                f"{self._path} holds tallies of another run; what differs: "
                f"{', '.join(differing)}. Take another folder (--out), or begin anew (--restart)."
            )
        for line in lines:
            tally = _read_tally(line)
            if tally is not None:
                self.tallies[tally.row, tally.variant] = tally


def _read_basis(line: str) -> dict[str, str]:
    try:
        values = json.loads(line)["basis"]
    except (ValueError, KeyError, TypeError):
        values = {}
    return dict(values)


def _read_tally(line: str) -> PictureTally | None:
    """A tally, or None where its line was cut short."""
    try:
        return PictureTally.from_dict(json.loads(line))
    except (ValueError, KeyError, TypeError):
        return None
