"""A process with all that it started: its members, memory and processor time (Linux)."""

import os
import resource
import time
from pathlib import Path

TICKS_PER_S = os.sysconf("SC_CLK_TCK")


def tree(root_id: int) -> list[int]:
    """Ids of a process, of its descendants, and of what was orphaned in its group."""
    parents, found = {}, {root_id}
    for process_id, stat in _stats():
        parents[process_id] = int(stat[1])
        if int(stat[2]) == root_id:
            found.add(process_id)
    while more := {child for child, parent in parents.items() if parent in found} - found:
        found |= more
    return sorted(found)


def _stats() -> list[tuple[int, list[str]]]:
    """Of each process its id and the fields of `stat` behind its name."""
    known = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                known.append((int(folder.name), stat_fields(int(folder.name))))
            except OSError:
                continue  # it has ended meanwhile
    return known


def stat_fields(process_id: int) -> list[str]:
    """Fields of `stat` behind the name: state, parent, group, session, ...

    Raises:
        OSError: there is no such process.
    """
    return Path(f"/proc/{process_id}/stat").read_text().rpartition(")")[2].split()


def resident_mb(root_id: int) -> float:
    """Resident memory of a tree; what processes share counts for each."""
    pages = 0
    for process_id in tree(root_id):
        try:
            pages += int(Path(f"/proc/{process_id}/statm").read_text().split()[1])
        except OSError:
            continue
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def proportional_mb(root_id: int) -> float:
    """Memory of a tree; what processes share is shared out among them."""
    kib = 0
    for process_id in tree(root_id):
        try:
            lines = Path(f"/proc/{process_id}/smaps_rollup").read_text().splitlines()
        except OSError:
            continue
        kib += sum(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
    return kib * 1024 / 1e6


def _core_s(root_id: int) -> float:
    """Processor time of the members that live."""
    ticks = 0
    for process_id in tree(root_id):
        try:
            ticks += sum(map(int, stat_fields(process_id)[11:13]))
        except OSError:
            continue
    return ticks / TICKS_PER_S


class ForeignCores:
    """Cores that were busy neither for us nor for a server, from now on.

    Args:
        server_id: its first process.
    """

    def __init__(self, server_id: int) -> None:
        self._server_id = server_id
        self._began_s = time.monotonic()
        self._before_s = self._foreign_s()

    def _foreign_s(self) -> float:
        machine = Path("/proc/stat").read_text().splitlines()[0].split()[1:]
        busy_s = (sum(map(int, machine[:3])) + sum(map(int, machine[5:8]))) / TICKS_PER_S
        ended = resource.getrusage(resource.RUSAGE_CHILDREN)
        ours_s = time.process_time() + ended.ru_utime + ended.ru_stime
        return busy_s - ours_s - _core_s(self._server_id)

    def core_s(self) -> float:
        """Core seconds that others used since the beginning."""
        return max(0.0, self._foreign_s() - self._before_s)

    def cores(self) -> float:
        """Cores that others used on average since the beginning."""
        return self.core_s() / max(1e-9, time.monotonic() - self._began_s)
