"""How many cores this process may really use: affinity and cgroup quota, not the machine's."""

import os
from math import ceil
from pathlib import Path

_CPU_MAX = Path("/sys/fs/cgroup/cpu.max")


def usable_cores(cpu_max: Path = _CPU_MAX) -> int:
    """Cores of the affinity mask, bounded by the cgroup v2 quota; at least 1."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    try:
        quota, period = cpu_max.read_text(encoding="ascii").split()[:2]
        quota_cores = ceil(int(quota) / int(period))
    except (OSError, ValueError, ZeroDivisionError):  # no quota: none there, or "max"
        return allowed or 1
    return max(1, min(allowed or 1, quota_cores))
