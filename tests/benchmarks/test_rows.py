from dataclasses import dataclass
from pathlib import Path

import pytest


@dataclass(frozen=True)
class _Row:
    callers: int
    p50_ms: float


def test_rows_are_added(tmp_path: Path) -> None:
    """The second run adds to the rows of the first, below one heading."""
    from rows import append_rows

    path = tmp_path / "rows.csv"
    append_rows(path, [_Row(1, 2.5)])
    append_rows(path, [_Row(4, 9.0)])
    assert path.read_text().splitlines() == ["callers,p50_ms", "1,2.5", "4,9.0"]


def test_other_columns_are_refused(tmp_path: Path) -> None:
    """Rows are never put below a heading that is not theirs."""
    from rows import append_rows

    path = tmp_path / "rows.csv"
    path.write_text("callers,p99_ms\n")
    with pytest.raises(ValueError, match="other columns"):
        append_rows(path, [_Row(1, 2.5)])
    assert path.read_text() == "callers,p99_ms\n"
