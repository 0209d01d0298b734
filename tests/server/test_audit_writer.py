"""The audit log while it is written: a full disk, lost entries, a flood of refusals."""

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import grpc
import pytest

from hunique_server.audit_config import AuditConfig
from hunique_server.audit_log import AuditLog
from hunique_server.identity import Identity
from hunique_server.picture_record import PictureRecord, refused_record

LONG_S = 120.0
MODEL = "ab" * 32


def _record(name: str = "token:a") -> PictureRecord:
    return PictureRecord(
        method="Segment", identity=Identity(name), metadata={}, started_ns=0, ended_ns=1_000_000,
        code=grpc.StatusCode.OK,
    )  # fmt: skip


class Disk:
    """Takes entries, or is full."""

    def __init__(self) -> None:
        self.full = False
        self.entries: list[dict[str, Any]] = []
        self.tried = threading.Condition()
        self.tries = 0

    def append(self, entries: list[dict[str, Any]]) -> None:
        """Take them."""
        with self.tried:
            self.tries += 1
            self.tried.notify_all()
            if self.full:
                raise OSError(28, "No space left on device")
            self.entries += entries

    def until(self, condition: Callable[[], bool]) -> None:
        """Wait until something is so after a try."""
        with self.tried:
            assert self.tried.wait_for(condition, LONG_S)


@pytest.mark.parametrize("on_failure", ["refuse", "continue"])
def test_full_disk_is_noticed_and_nothing_is_lost(
    on_failure: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Entries wait, pictures are refused where that was chosen, and it heals by itself."""
    monkeypatch.setattr("hunique_server.audit_log._TRY_AGAIN_S", 0.001)
    disk = Disk()
    disk.full = True
    config = AuditConfig(log=Path("l"), key=Path("k"), on_failure=on_failure)
    log = AuditLog(config, lambda: MODEL, disk.append)
    log.observe(_record("token:first"))
    disk.until(lambda: disk.tries > 2)
    log.observe(_record("token:second"))
    assert log.failing
    failure = log.gate()
    assert (failure is None) == (on_failure == "continue")
    assert failure is None or failure.code is grpc.StatusCode.UNAVAILABLE
    disk.full = False
    disk.until(lambda: len(disk.entries) == 2)
    log.close()
    assert [entry["identity"] for entry in disk.entries] == ["token:first", "token:second"]
    assert log.gate() is None
    assert sum("cannot be written" in line for line in caplog.messages) == 1


def test_what_could_not_be_kept_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Memory has an end; the log says how many entries are missing."""
    monkeypatch.setattr("hunique_server.audit_log._MOST_PENDING", 3)
    monkeypatch.setattr("hunique_server.audit_log._TRY_AGAIN_S", 0.001)
    disk = Disk()
    disk.full = True
    log = AuditLog(
        AuditConfig(log=Path("l"), key=Path("k"), on_failure="continue"),
        lambda: MODEL,
        disk.append,
    )
    log.observe(_record())
    disk.until(lambda: disk.tries > 0)
    for _ in range(6):
        log.observe(_record())
    disk.full = False
    disk.until(lambda: len(disk.entries) == 4)
    log.close()
    assert disk.entries[-1]["event"] == "lost"
    assert disk.entries[-1]["count"] == 4


def test_flood_of_refusals_does_not_fill_the_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """Strangers get a line a second at most; the next one says how many were left out."""
    clock = [1000.0]
    monkeypatch.setattr("hunique_server.audit_log.time.monotonic", lambda: clock[0])
    disk = Disk()
    log = AuditLog(AuditConfig(log=Path("l"), key=Path("k")), lambda: MODEL, disk.append)
    stranger = refused_record("Segment", grpc.StatusCode.UNAUTHENTICATED, None)
    for _ in range(1_000):
        log.observe(stranger)
    log.observe(_record())
    clock[0] += 1.0
    log.observe(stranger)
    log.close()
    refused = [e for e in disk.entries if e["code"] == "UNAUTHENTICATED"]
    assert len(refused) == 61
    assert refused[-1]["omitted_before"] == 940
    assert len(disk.entries) == 62
