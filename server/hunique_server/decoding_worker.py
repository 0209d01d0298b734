"""The program of a decoder process: `python -m hunique_server.decoding_worker`.

    job and memory from the server -> decode, cut -> pixels and looks in that memory, an answer

It loads what decodes and nothing else. It ends when the server does, also while a decoder
hangs in it. An error that nobody thought of ends it, and the server starts another.
"""

import contextlib
import ctypes
import os
import resource
import signal
import socket
import sys
from pathlib import Path

import cv2

from hunique_models.errors import ImageTooLargeError, InputError
from hunique_models.preparing import prepare
from hunique_server.decoding_job import (
    MAX_WORDS_BYTES,
    READY,
    DecodeJob,
    write_picture,
    write_refusal,
)
from hunique_server.decoding_memory import write

_SET_PARENT_DEATH_SIGNAL = 1
_SET_DUMPABLE = 4
_SELF = Path("/proc/self")


def main() -> None:
    """Decode until the server closes the channel."""
    channel_fd, server_pid, memory_bytes = map(int, sys.argv[1:])
    channel = socket.socket(fileno=channel_fd)
    _end_with(server_pid)
    _restrain(memory_bytes)
    channel.send(READY)
    while True:
        words, memories, _, _ = socket.recv_fds(channel, MAX_WORDS_BYTES, 1)
        if not words:
            return
        channel.send(_answer(words, memories[0]))


def _end_with(server_pid: int) -> None:
    """Be killed when the server ends, however it does, and whatever this process is doing."""
    _prctl(_SET_PARENT_DEATH_SIGNAL, signal.SIGKILL)
    if os.getppid() != server_pid:  # it ended before
        sys.exit(1)


def _restrain(memory_bytes: int) -> None:
    """Take no more than so much memory, be the first to go where there is none, leave no core."""
    # before the next lines: a process that leaves no core may no longer write this file
    with contextlib.suppress(OSError):  # some sandboxes keep it for themselves
        (_SELF / "oom_score_adj").write_text("1000", encoding="ascii")
    pages = int((_SELF / "statm").read_text(encoding="ascii").split()[0])
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    most = pages * resource.getpagesize() + memory_bytes
    most = most if hard == resource.RLIM_INFINITY else min(most, hard)
    resource.setrlimit(resource.RLIMIT_AS, (most, most))
    _prctl(_SET_DUMPABLE, 0)
    cv2.setNumThreads(1)  # there is a process for each core


def _prctl(option: int, value: int) -> None:
    if ctypes.CDLL(None, use_errno=True).prctl(option, value, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "prctl failed")


def _answer(words: bytes, memory: int) -> bytes:
    """Do a job."""
    try:
        job = DecodeJob.read(words)
        data = os.pread(memory, job.size_bytes, 0)
        prepared = prepare(data, job.limits, job.geometry, job.detail)
        pixels, tiles = prepared.picture.pixels, prepared.looks.tiles
        os.ftruncate(memory, pixels.nbytes + tiles.nbytes)
        write(memory, pixels.data, 0)
        write(memory, tiles.data, pixels.nbytes)
        return write_picture(prepared.picture)
    except MemoryError:
        return write_refusal(
            ImageTooLargeError("Decoding the image takes more memory than there is")
        )
    except InputError as error:
        return write_refusal(error)
    finally:
        os.close(memory)


if __name__ == "__main__":
    main()
