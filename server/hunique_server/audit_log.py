"""The audit log of a server: who had what done, when, with which model, and how it ended.

    observers of pictures -> pending -> (thread) AuditFile

Nobody waits for the disk. While it cannot be written, entries are kept, tried again every
second, and callers are refused, or served all the same, as was chosen.
"""

import logging
import time
from collections import deque
from collections.abc import Callable
from threading import Condition, Thread
from typing import Any

import grpc

from hunique_server.audit_config import AuditConfig
from hunique_server.audit_file import AuditFile, utc_text
from hunique_server.config_error import ConfigError
from hunique_server.errors import Failure
from hunique_server.picture_record import PictureRecord
from hunique_server.quota import Bucket

logger = logging.getLogger(__name__)

_MOST_PENDING = 10_000
_REFUSALS_PER_MINUTE = 60
_TRY_AGAIN_S = 1.0
_NOT_KEPT = Failure(
    code=grpc.StatusCode.UNAVAILABLE,
    message="This server cannot keep its audit log now and examines nothing without it.",
)
Entry = dict[str, Any]


class AuditLog:
    """Writes what it observes; see `hunique_server.audit_chain` for the form.

    Args:
        config: where, signed with what, and what to do when it cannot be written.
        model_sha256: says the digest of the default model, for what was done with none.
        append: writes entries; None: to the file that the configuration names.

    Raises:
        ConfigError: the log cannot be written, or was altered.
    """

    def __init__(
        self,
        config: AuditConfig,
        model_sha256: Callable[[], str],
        append: Callable[[list[Entry]], None] | None = None,
    ) -> None:
        self._config = config
        self._model_sha256 = model_sha256
        self._file = None if append else _open(config)
        self._append = append or self._append_to_file
        self._pending: deque[Entry] = deque()
        self._lost = 0
        # whoever is turned away must not be able to fill the disk
        self._refusals = Bucket(_REFUSALS_PER_MINUTE, time.monotonic())
        self._omitted = 0
        self._changed = Condition()
        self._closing = False
        self.failing = False
        """Whether the log cannot be written now."""
        self._thread = Thread(target=self._write, name="audit", daemon=True)
        self._thread.start()

    @property
    def entries(self) -> int:
        """Entries that are on the disk."""
        return 0 if self._file is None else self._file.entries

    def observe(self, record: PictureRecord) -> None:
        """Write down what became of a request; of a flood of refusals, some and their number."""
        entry = self._entry(record)
        with self._changed:
            if record.refused:
                now_s = time.monotonic()
                if self._refusals.wait_s(1, now_s):
                    self._omitted += 1
                    return
                self._refusals.spend(1, now_s)
                if self._omitted:
                    entry["omitted_before"], self._omitted = self._omitted, 0
            if len(self._pending) < _MOST_PENDING:
                self._pending.append(entry)
            else:
                self._lost += 1
            self._changed.notify()

    def gate(self) -> Failure | None:
        """Why no picture is examined now; None where they are."""
        return _NOT_KEPT if self.failing and self._config.on_failure == "refuse" else None

    def close(self) -> None:
        """Write what is left, once, and let go of the file."""
        with self._changed:
            self._closing = True
            self._changed.notify()
        self._thread.join()
        if self._file is not None:
            self._file.close()

    def _entry(self, record: PictureRecord) -> Entry:
        entry: Entry = {
            "time": utc_text(record.ended_ns / 1e9),
            "identity": record.identity.name,
            "method": record.method,
            "code": record.code.name,
            "model_sha256": record.model_sha256 or self._model_sha256(),
        }
        if record.change is not None:
            entry["model"] = record.change.model
        if self._config.inputs:
            entry["input_sha256"] = [one.input_sha256 for one in record.examined]
        return entry

    def _write(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(self._is_to_write, _TRY_AGAIN_S if self.failing else None)
                closing, batch = self._closing, list(self._pending)
                lost = self._lost
            if lost:
                batch.append({"time": utc_text(), "event": "lost", "count": lost})
            if batch and self._try(batch):
                with self._changed:
                    for _ in range(len(batch) - bool(lost)):
                        self._pending.popleft()
                    self._lost -= lost
            if closing:
                return

    def _is_to_write(self) -> bool:
        return self._closing or (bool(self._pending) and not self.failing)

    def _try(self, batch: list[Entry]) -> bool:
        try:
            self._append(batch)
        except OSError as error:
            failed_before, self.failing = self.failing, True
            if not failed_before:
                logger.error("the audit log cannot be written: %s", error)
            return False
        failed_before, self.failing = self.failing, False
        if failed_before:
            logger.warning("the audit log is written again")
        return True

    def _append_to_file(self, batch: list[Entry]) -> None:
        assert self._file is not None  # noqa: S101 - set where this is the way
        self._file.append(batch)


def _open(config: AuditConfig) -> AuditFile:
    if config.log is None or config.key is None:
        raise ConfigError("no audit log is named: give --audit-log and --audit-key")
    return AuditFile(config.log, config.key)
