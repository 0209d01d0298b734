"""The programs of benchmarks/ are no package: their folders come before all others here."""

from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture(autouse=True)
def benchmarks(monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of benchmarks, whose files can be imported in tests."""
    for folder in (BENCHMARKS, BENCHMARKS / "peers", BENCHMARKS / "peers" / "served"):
        monkeypatch.syspath_prepend(folder)
    return BENCHMARKS
