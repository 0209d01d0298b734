"""How many cores this process may really use: affinity and cgroup quotas, not the machine's."""

import os
from collections.abc import Iterator
from math import ceil
from pathlib import Path

_CGROUPS = Path("/sys/fs/cgroup")
_OWN = Path("/proc/self/cgroup")


def usable_cores(cgroups: Path = _CGROUPS, own: Path = _OWN) -> int:
    """Cores of the affinity mask, bounded by every cgroup quota above this process; at least 1.

    Args:
        cgroups: where control groups are mounted, of version 2 or 1.
        own: in which of them this process is.
    """
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return max(1, min([allowed or 1, *_quotas(cgroups, own)]))


def _quotas(cgroups: Path, own: Path) -> Iterator[int]:
    """The quotas in cores that bind: of each group from this process's own to the root."""
    try:
        lines = own.read_text(encoding="utf-8").splitlines()
    except OSError:  # not on Linux: the root, if any
        lines = ["0::/"]
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if not controllers:
            for folder in _from_root(cgroups, path):
                yield from _cores(folder / "cpu.max")
        elif "cpu" in controllers.split(","):
            for folder in _from_root(cgroups / controllers, path):
                yield from _cores(folder / "cpu.cfs_quota_us", folder / "cpu.cfs_period_us")


def _from_root(mounted: Path, path: str) -> list[Path]:
    """A group's folder and those above it. In a container some may not be there."""
    folder = mounted / path.lstrip("/")
    return [folder, *(above for above in folder.parents if above.is_relative_to(mounted))]


def _cores(*files: Path) -> Iterator[int]:
    """Quota by period, where there is one: none is "max" or -1."""
    try:
        text = " ".join(file.read_text(encoding="ascii") for file in files)
        quota, period = (int(part) for part in text.split()[:2])
        if quota > 0:
            yield ceil(quota / period)
    except (OSError, ValueError, ZeroDivisionError):
        return
