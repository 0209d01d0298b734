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
    assert usable_cores(tmp_path, tmp_path / "absent") == cores


@pytest.mark.usefixtures("eight")
@pytest.mark.parametrize(
    ("quotas", "cores"),
    [
        ({"": "max 100000", "system": "max 100000", "system/h.service": "300000 100000"}, 3),
        ({"": "max 100000", "system": "200000 100000", "system/h.service": "500000 100000"}, 2),
        ({"": "100000 100000"}, 1),
        ({"elsewhere": "100000 100000"}, 8),
    ],
    ids=["own", "the one above", "root", "another's"],
)
def test_strictest_group_above_the_process_counts(
    tmp_path: Path, quotas: dict[str, str], cores: int
) -> None:
    """A service's own quota binds, and so does every one above it; those of others do not."""
    for group, quota in quotas.items():
        (tmp_path / "groups" / group).mkdir(parents=True, exist_ok=True)
        (tmp_path / "groups" / group / "cpu.max").write_text(quota, encoding="ascii")
    own = tmp_path / "cgroup"
    own.write_text("1:memory:/somewhere\n0::/system/h.service\n", encoding="utf-8")
    assert usable_cores(tmp_path / "groups", own) == cores


@pytest.mark.usefixtures("eight")
@pytest.mark.parametrize(("quota_us", "cores"), [(250_000, 3), (-1, 8)])
def test_quota_of_the_first_version_counts(tmp_path: Path, quota_us: int, cores: int) -> None:
    """Older kernels keep quota and period in files of their own, and -1 is none."""
    group = tmp_path / "cpu,cpuacct" / "docker"
    group.mkdir(parents=True)
    (group / "cpu.cfs_quota_us").write_text(f"{quota_us}\n", encoding="ascii")
    (group / "cpu.cfs_period_us").write_text("100000\n", encoding="ascii")
    own = tmp_path / "cgroup"
    own.write_text("4:cpu,cpuacct:/docker\n", encoding="utf-8")
    assert usable_cores(tmp_path, own) == cores


@pytest.mark.usefixtures("eight")
def test_without_a_quota_the_affinity_counts(tmp_path: Path) -> None:
    """Outside of a container all cores that the process may run on are used."""
    assert usable_cores(tmp_path, tmp_path / "absent") == 8
