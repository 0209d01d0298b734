"""A value made from files, made anew when they change: certificates, tokens, keys of issuers."""

import logging
from collections.abc import Callable
from pathlib import Path
from threading import Lock
from typing import Generic, TypeVar

from hunique_server.config_error import ConfigError

logger = logging.getLogger(__name__)

Value = TypeVar("Value")
_Stamp = tuple[tuple[int, int, int, int] | None, ...]


class Watched(Generic[Value]):
    """Looks at its files whenever it is asked; a file that became wrong changes nothing.

    What could not be read is tried again until it can be: rights, and what a file leads to, may
    be put right without a change that shows.

    Args:
        files: what the value is made of. They may be links, as in mounted secrets.
        read: makes the value; raises ConfigError or OSError where it cannot.

    Raises:
        ConfigError: the value cannot be made now.
    """

    def __init__(self, files: tuple[Path, ...], read: Callable[[], Value]) -> None:
        self._files = files
        self._read = read
        self._lock = Lock()
        self._stamp: _Stamp | None = self._look()
        """Of the files as they were read last; None: that failed."""
        self._error = ""
        try:
            self._value = read()
        except OSError as error:
            raise ConfigError(f"cannot read {error.filename}: {error.strerror}") from error

    def value(self) -> Value:
        """What the files last said that could be understood."""
        with self._lock:
            stamp = self._look()
            if stamp != self._stamp:
                self._stamp = stamp if self._try_again() else None
            return self._value

    def _try_again(self) -> bool:
        names = ", ".join(file.name for file in self._files)
        try:
            self._value = self._read()
        except (ConfigError, OSError) as error:
            if str(error) != self._error:
                logger.error("%s changed and cannot be used; the former stays: %s", names, error)
            self._error = str(error)
            return False
        logger.info("%s changed and was read", names)
        self._error = ""
        return True

    def _look(self) -> _Stamp:
        return tuple(_stamp_of(file) for file in self._files)


def _stamp_of(file: Path) -> tuple[int, int, int, int] | None:
    try:
        status = file.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_ctime_ns, status.st_ino, status.st_size
