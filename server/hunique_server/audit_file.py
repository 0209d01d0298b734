"""An audit log on disk: FILE with its lines, FILE.head with its head, FILE.pub with the key.

Lines go in all or not at all; what a crash left half-written is cut off when the file is
opened again, and the entry of that opening says so for good.
"""

import contextlib
import fcntl
import os
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from hunique_server.audit_chain import (
    BrokenChainError,
    Link,
    read_head,
    read_private_key,
    sign_head,
)
from hunique_server.config_error import ConfigError

_PRIVATE_MODE = 0o600
_MOST_LOOKS = 20
_BETWEEN_LOOKS_S = 0.1


@dataclass(frozen=True)
class Found:
    """What a log was found to be."""

    link: Link
    """Where its chain has come to."""
    uncovered: int
    """Entries behind the head."""
    uncovered_before: int
    """Entries that were behind the head when the log was opened again, as it says itself."""
    torn: bool = False
    """Whether half a line stands behind the last entry."""

    @property
    def reached(self) -> int:
        """Entries there are, one that is half written included."""
        return self.link.entries + self.torn

    @property
    def covered(self) -> int:
        """Entries that the head covers."""
        return self.link.entries - self.uncovered


class AuditFile:
    """A log that is being written, by one process.

    Args:
        log: the file; it goes on where it ended.
        key: file of the private key.

    Raises:
        ConfigError: it was altered, is in use, or cannot be written.
    """

    def __init__(self, log: Path, key: Path) -> None:
        self._log = log
        self._head = head_of(log)
        self._link = Link()
        self._size_bytes = 0
        self._torn = False  # half of an append may lie behind what was written
        try:
            self._key = read_private_key(key.read_bytes())
            self._handle = os.open(log, os.O_RDWR | os.O_CREAT | os.O_APPEND, _PRIVATE_MODE)
        except OSError as error:
            raise ConfigError(f"cannot open {error.filename}: {error.strerror}") from error
        try:
            self._resume()
        except BaseException:
            os.close(self._handle)
            raise

    @property
    def entries(self) -> int:
        """Lines that are on disk and covered by the head."""
        return self._link.entries

    def append(self, entries: Iterable[Mapping[str, Any]]) -> None:
        """Write entries, and a head that covers them; on return they are on the disk.

        Raises:
            OSError: nothing was written.
        """
        if self._torn:
            self._cut(self._size_bytes)
        link, lines = self._link, []
        for values in entries:
            line, link = link.next_line(values)
            lines.append(line)
        data = b"".join(lines)
        try:
            _write_all(self._handle, data)
            os.fsync(self._handle)
            self._write_head(link)
        except OSError:
            self._torn = True
            with contextlib.suppress(OSError):
                self._cut(self._size_bytes)
            raise
        self._link = link
        self._size_bytes += len(data)

    def close(self) -> None:
        """Let others have it."""
        os.close(self._handle)

    def _resume(self) -> None:
        try:
            fcntl.flock(self._handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise ConfigError(f"another process writes to {self._log}") from error
        whole_bytes, half_bytes = _whole_lines(self._log)
        try:
            if half_bytes:
                self._cut(whole_bytes)
            head = self._head.read_bytes() if self._head.exists() else None
            found = examine(self._log, self._key.public_key(), head)
            self._link, self._size_bytes = found.link, whole_bytes
            self._write_public_key()
            self.append(({
                "time": utc_text(), "event": "opened", "uncovered_entries": found.uncovered,
                "torn_bytes": half_bytes,
            },))  # fmt: skip
        except BrokenChainError as error:
            raise ConfigError(
                f"{self._log} is not as it was written ({error}). Keep it as evidence, and name "
                "another --audit-log"
            ) from error
        except OSError as error:
            raise ConfigError(f"cannot write {self._log}: {error.strerror}") from error

    def _write_head(self, link: Link) -> None:
        new = self._head.with_name(f"{self._head.name}.new")
        handle = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, _PRIVATE_MODE)
        try:
            _write_all(handle, sign_head(link, utc_text(), self._key))
            os.fsync(handle)
        finally:
            os.close(handle)
        new.replace(self._head)

    def _write_public_key(self) -> None:
        public = self._key.public_key()
        pem = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        public_key_of(self._log).write_bytes(pem)

    def _cut(self, size_bytes: int) -> None:
        os.ftruncate(self._handle, size_bytes)
        self._torn = False


def head_of(log: Path) -> Path:
    """Where the head of a log is."""
    return log.with_name(f"{log.name}.head")


def public_key_of(log: Path) -> Path:
    """Where the server leaves the key that verifies a log."""
    return log.with_name(f"{log.name}.pub")


def utc_text(seconds: float | None = None) -> str:
    """A time, by default now, as ISO 8601 in UTC with milliseconds."""
    moment = datetime.now(UTC) if seconds is None else datetime.fromtimestamp(seconds, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def examine(log: Path, key: Ed25519PublicKey, head: bytes | None) -> Found:
    """Follow a log from its first line to its last.

    Args:
        log: its lines.
        key: that signed the head.
        head: None: there is none, and no line is covered.

    Raises:
        BrokenChainError: it is not as it was written.
        OSError: it cannot be read.
    """
    covered = Link() if head is None else read_head(head, key)
    link, before, met, torn = Link(), 0, covered.entries == 0, False
    with log.open("rb") as lines:
        for line in lines:
            if not line.endswith(b"\n"):
                torn = True
                break
            entry, link = link.follow(line[:-1])
            if entry.get("event") == "opened":
                before += int(entry.get("uncovered_entries", 0))
            if link.entries == covered.entries:
                met = link.sha256 == covered.sha256
                if not met:
                    raise BrokenChainError(
                        f"line {link.entries} is not the one that the head covers"
                    )
    if not met:
        raise BrokenChainError(
            f"the head covers {covered.entries} entries and {link.entries} are there: "
            "the end is missing"
        )
    return Found(link, link.entries - covered.entries, before, torn)


def examine_in_use(log: Path, key: Ed25519PublicKey) -> Found:
    """The same for a log that a server may be writing: lines come first, their head a moment later.

    What was there is followed once its head is there, too; what came since is left out.

    Raises:
        BrokenChainError: it is not as it was written.
        OSError: it cannot be read.
    """
    first = examine(log, key, head_of(log).read_bytes())
    if first.covered == first.reached:
        return first
    for _ in range(_MOST_LOOKS):
        if read_head(head_of(log).read_bytes(), key).entries >= first.reached:
            break
        time.sleep(_BETWEEN_LOOKS_S)
    later = examine(log, key, head := head_of(log).read_bytes())
    if later.covered >= first.reached:
        return Found(read_head(head, key), 0, later.uncovered_before)
    if later.torn:
        raise BrokenChainError("the last line is cut short")
    return later


def _whole_lines(log: Path) -> tuple[int, int]:
    """Bytes of whole lines, and of a half one behind them."""
    whole_bytes = size_bytes = 0
    with log.open("rb") as stream:
        for line in stream:
            size_bytes += len(line)
            if line.endswith(b"\n"):
                whole_bytes = size_bytes
    return whole_bytes, size_bytes - whole_bytes


def _write_all(handle: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(handle, view) :]
