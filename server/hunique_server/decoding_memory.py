"""Memory that a picture crosses in, between the server and a decoder process. Linux only.

    server: the encoded picture -> decoder: pixels and looks in its place -> server: frozen, mapped

It has no name and is no file: the system takes it back with the last process that holds it,
however that ended. It is not /dev/shm, which containers keep small.
"""

import fcntl
import mmap
import os

import numpy as np
from numpy.typing import NDArray


class PictureMemory:
    """Given back when it is closed or forgotten; what was mapped of it lasts as long as its users.

    Args:
        data: what it holds at first.
    """

    def __init__(self, data: bytes) -> None:
        self.fd = -1
        """To be handed to a decoder."""
        self.fd = os.memfd_create("picture", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        write(self.fd, data, 0)

    def frozen(self, size_bytes: int) -> NDArray[np.uint8]:
        """What it holds, (size_bytes,) uint8, which from now on nobody can change.

        A decoder that somebody took over could otherwise change pixels while they are looked
        at, or cut the memory off, which ends whoever reads it.

        Raises:
            ValueError: it holds more or less than that.
            OSError: the decoder kept a way to change it.
        """
        seals = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE | fcntl.F_SEAL_SEAL
        fcntl.fcntl(self.fd, fcntl.F_ADD_SEALS, seals)
        if (found := os.fstat(self.fd).st_size) != size_bytes:
            raise ValueError(f"expected {size_bytes} bytes of pixels, found {found}")
        # private: shared mappings of what is sealed are refused by older kernels
        mapped = mmap.mmap(self.fd, size_bytes, flags=mmap.MAP_PRIVATE, prot=mmap.PROT_READ)
        return np.frombuffer(mapped, np.uint8)

    def close(self) -> None:
        """Give it back, but for what is mapped."""
        fd, self.fd = self.fd, -1
        if fd >= 0:
            os.close(fd)

    def __del__(self) -> None:
        self.close()


def write(fd: int, data: bytes | memoryview, offset: int) -> None:
    """Write bytes into such memory; at its end it grows.

    Raises:
        OSError: there is not enough.
    """
    rest = memoryview(data).cast("B")
    while rest:
        written = os.pwrite(fd, rest, offset)
        rest, offset = rest[written:], offset + written
