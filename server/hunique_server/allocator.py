"""Few arenas for many threads: what one thread freed, another one uses.

glibc gives each thread an arena of its own and keeps what was freed in it. Pictures are
decoded, run and finished by different threads, so that each arena would come to hold as much
as the largest picture needed; with two, the process needs a fifth less.
"""

import contextlib
import ctypes
import sys

_M_ARENA_MAX = -8
_ARENAS = 2


def give_back_freed() -> None:
    """Hand memory that nobody uses back to the system, where it would be kept otherwise."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL("libc.so.6").malloc_trim(0)


def share_arenas() -> bool:
    """Tell the allocator; says whether it listens. Before any thread is started.

    Elsewhere than with glibc on Linux nothing is done.
    """
    if not sys.platform.startswith("linux"):
        return False
    try:
        return bool(ctypes.CDLL("libc.so.6").mallopt(_M_ARENA_MAX, _ARENAS) == 1)
    except (OSError, AttributeError):
        return False
