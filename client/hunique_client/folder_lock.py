"""A folder of results is written by one run at a time."""

import contextlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path

from hunique_client.errors import HuniqueClientError
from hunique_client.result_folder import ResultNotWrittenError

if sys.platform != "win32":
    import fcntl

LOCK_NAME = ".hunique.lock"


class FolderInUseError(HuniqueClientError):
    """Another run writes there."""

    exit_code = 5


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Keep other runs out of a folder while the block runs.

    The lock ends with the process, however that ends. Where there are no locks, as on Windows and
    some file systems, other runs are not kept out.

    Raises:
        FolderInUseError: another run writes there.
        ResultNotWrittenError: nothing can be written there.
    """
    file = folder / LOCK_NAME
    try:
        handle = _lock(file)
    except BlockingIOError:
        raise FolderInUseError(
            f"another run writes to {folder}: wait for its end, or choose another --out folder"
        ) from None
    except OSError as error:
        raise ResultNotWrittenError(f"{file} cannot be written: {error.strerror}") from error
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            file.unlink()
        os.close(handle)


def _lock(file: Path) -> int:
    """The open file, locked; anew where the run before removed it in the meantime."""
    while True:
        handle = os.open(file, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            _take(handle)
            with contextlib.suppress(FileNotFoundError):
                if os.path.samestat(os.fstat(handle), file.stat()):
                    return handle
        except BaseException:
            os.close(handle)
            raise
        os.close(handle)


def _take(handle: int) -> None:
    if sys.platform == "win32":
        return
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise
    except OSError:  # this file system has no locks
        return
