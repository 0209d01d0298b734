"""What one thread freed another one uses, and what a picture freed the next one does.

glibc gives each thread an arena of its own and keeps what was freed in it. Pictures are
decoded, run and finished by different threads, so that each arena would come to hold as much
as the largest picture needed. Large blocks it maps anew each time and the kernel clears them:
that was 4 % of the processor time of a busy server. So few arenas keep large blocks as well,
up to a bound, beyond which memory is given back.
"""

import contextlib
import ctypes
import sys

_M_TRIM_THRESHOLD = -1
_M_MMAP_THRESHOLD = -3
_M_ARENA_MAX = -8
_CORES_OF_AN_ARENA = 4
_KEPT_BYTES = 64 * 1024 * 1024
"""The most that is kept at the end of an arena."""
_LARGEST_KEPT_BYTES = 32 * 1024 * 1024
"""Larger blocks are mapped for themselves; more than this glibc does not allow."""


def give_back_freed() -> None:
    """Hand memory that nobody uses back to the system, where it would be kept otherwise."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL("libc.so.6").malloc_trim(0)


def keep_for_the_next(cores: int) -> bool:
    """Tell the allocator; says whether it listens. Before any thread is started.

    Elsewhere than with glibc on Linux nothing is done.

    Args:
        cores: that the server may use; threads of many should not wait for one arena.
    """
    if not sys.platform.startswith("linux"):
        return False
    try:
        mallopt = ctypes.CDLL("libc.so.6").mallopt
    except (OSError, AttributeError):
        return False
    settings = (
        (_M_ARENA_MAX, max(1, cores // _CORES_OF_AN_ARENA)),
        (_M_TRIM_THRESHOLD, _KEPT_BYTES),
        (_M_MMAP_THRESHOLD, _LARGEST_KEPT_BYTES),
    )
    return all(mallopt(option, value) == 1 for option, value in settings)
