"""Curves of a run as CSV files: a row each time, and none twice after a crash."""

import csv
import math
from collections.abc import Mapping
from pathlib import Path


def append_row(path: Path, row: Mapping[str, float | str]) -> None:
    """Add a row, below a heading where the file is new; NaN becomes an empty cell.

    A file that was begun with other columns keeps them.
    """
    new = not path.exists()
    columns = list(row) if new else _columns(path)
    with path.open("a", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, fieldnames=columns, extrasaction="ignore")
        if new:
            writer.writeheader()
        writer.writerow({name: "" if _undefined(value) else value for name, value in row.items()})


def _columns(path: Path) -> list[str]:
    with path.open(newline="", encoding="utf-8") as stream:
        return next(csv.reader(stream))


def _undefined(value: float | str) -> bool:
    return isinstance(value, float) and math.isnan(value)


def read_curve(path: Path) -> list[dict[str, float]]:
    """Rows in the order written, NaN for empty cells; none if there is no file."""
    if not path.is_file():
        return []
    with path.open(newline="", encoding="utf-8") as stream:
        return [
            {name: float(value or "nan") for name, value in row.items()}
            for row in csv.DictReader(stream)
        ]


def forget_after(path: Path, step: int) -> None:
    """Drop rows of steps after `step`, from which a stopped run goes on."""
    if not path.is_file():
        return
    with path.open(newline="", encoding="utf-8") as stream:
        heading, *rows = list(csv.reader(stream))
    place = heading.index("step")
    kept = [row for row in rows if int(row[place]) <= step]
    if len(kept) < len(rows):
        partial = path.with_suffix(".partial")
        with partial.open("w", newline="", encoding="utf-8") as stream:
            csv.writer(stream).writerows([heading, *kept])
        partial.replace(path)
