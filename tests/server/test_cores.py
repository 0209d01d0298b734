import os
from pathlib import Path

import pytest

from hunique_server.cores import usable_cores


@pytest.fixture
def eight(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that may use eight cores."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)), raising=False)


@pytest.mark.usefixtures("eight")
@pytest.mark.parametrize(
    ("cpu_max", "cores"),
    [
        ("max 100000", 8),
        ("200000 100000", 2),
        ("150000 100000", 2),
        ("10000 100000", 1),
        ("9900000 100000", 8),
        ("", 8),
        ("many 100000", 8),
        ("100000 0", 8),
    ],
)
def test_quota_of_the_container_counts(tmp_path: Path, cpu_max: str, cores: int) -> None:
    """A container gets as many threads as it may use, however many cores the machine has."""
    (tmp_path / "cpu.max").write_text(cpu_max, encoding="ascii")
    assert usable_cores(tmp_path / "cpu.max") == cores


@pytest.mark.usefixtures("eight")
def test_without_a_quota_the_affinity_counts(tmp_path: Path) -> None:
    """Outside of a container all cores that the process may run on are used."""
    assert usable_cores(tmp_path / "absent") == 8
