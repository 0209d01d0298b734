"""The allocator keeps what pictures free for the next ones, and no more."""

from typing import NamedTuple

import pytest
from tests.allocator_program import numbers_of

PROGRAM = """
import resource, sys
from concurrent.futures import ThreadPoolExecutor
import numpy as np
from hunique_server.allocator import keep_for_the_next

if sys.argv[1] == "keep" and not keep_for_the_next(2):
    sys.exit("not glibc")

def touched(size_mb):
    block = np.empty(size_mb * 1_000_000, np.uint8)
    block[::4096] = 1
    return block

def pictures(count):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(count):
        parts = [touched(20), touched(20), touched(20)]
        del parts
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

def resident_mb():
    return int(open("/proc/self/statm").read().split()[1]) * resource.getpagesize() // 1_000_000

with ThreadPoolExecutor(1) as thread:
    stays = thread.submit(touched, 5).result()
    thread.submit(pictures, 5).result()
    faults = thread.submit(pictures, 10).result()
    small_mb = resident_mb()
    thread.submit(touched, 300)
print(faults, small_mb, resident_mb())
"""


class _Seen(NamedTuple):
    page_faults: int
    before_large_mb: int
    after_large_mb: int


def _run(how: str) -> _Seen:
    return _Seen(*numbers_of(PROGRAM, how))


def test_pictures_use_the_memory_of_those_before_them() -> None:
    """Pages are cleared once and not for each picture: those would be about 10,000."""
    left = _run("leave").page_faults
    if not left:
        pytest.skip("this kernel counts no page faults")
    assert _run("keep").page_faults * 20 < left


def test_a_large_picture_leaves_nothing_behind() -> None:
    """A block of 300 MB goes back to the system at once."""
    seen = _run("keep")
    assert seen.after_large_mb < seen.before_large_mb + 20
