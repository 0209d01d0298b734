"""Rows of the CSV files: how each begins, and how they are added to a file."""

import csv
import os
import platform
import subprocess
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from _typeshed import DataclassInstance


def date_utc() -> str:
    """Today, as rows have it."""
    return datetime.now(UTC).strftime("%Y-%m-%d")


def commit() -> str:
    """What is measured; `+` behind it says that the tree has changes."""

    def git(*arguments: str) -> str:
        command = ["git", "-C", str(Path(__file__).parent), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()  # noqa: S603

    changed = "+" if git("status", "--porcelain", "--untracked-files=no") else ""
    return git("rev-parse", "--short", "HEAD") + changed


def hardware() -> str:
    """Cores that this process may use, and what they are."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        name = next(line.partition(": ")[2] for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        name = platform.processor() or platform.machine()
    return f"{len(os.sched_getaffinity(0))} x {name}"


@dataclass(frozen=True, kw_only=True)
class MeasuredRow:
    """How every row begins: when, what and where something was measured."""

    date_utc: str = field(default_factory=date_utc)
    commit: str = field(default_factory=commit)
    hardware: str = field(default_factory=hardware)


@dataclass(frozen=True, kw_only=True)
class ServingRow(MeasuredRow):
    """A row about a model that is served."""

    model: str
    detail: str


def append_rows(path: Path, rows: "Sequence[DataclassInstance]") -> None:
    """Add rows of one kind to a file, which begins with their columns' names.

    Raises:
        ValueError: the file has other columns.
    """
    names = [column.name for column in fields(rows[0])]
    is_new = not path.exists()
    if not is_new and path.read_text(encoding="utf-8").splitlines()[:1] != [",".join(names)]:
        raise ValueError(f"{path.name} has other columns than {', '.join(names)}")
    with path.open("a", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, names)
        if is_new:
            writer.writeheader()
        writer.writerows(asdict(row) for row in rows)
