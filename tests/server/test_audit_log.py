"""The audit log as a file: that it cannot be altered unseen, and goes on after a crash."""

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from hunique_server.audit_chain import Link, sign_head
from hunique_server.audit_config import AuditConfig
from hunique_server.audit_file import AuditFile, head_of, public_key_of
from hunique_server.cli import main
from hunique_server.config import ConfigError

LONG_S = 120.0
Lines = list[bytes]


def _pem(key: Any) -> bytes:
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    assert isinstance(pem, bytes)
    return pem


@pytest.fixture
def key(tmp_path: Path) -> Path:
    """A key to sign with."""
    file = tmp_path / "key.pem"
    file.write_bytes(_pem(ed25519.Ed25519PrivateKey.generate()))
    return file


@pytest.fixture
def log(tmp_path: Path, key: Path) -> Path:
    """A log of an opening and five entries."""
    path = tmp_path / "audit.jsonl"
    written = AuditFile(path, key)
    for number in range(5):
        written.append([{"identity": f"caller {number}"}])
    written.close()
    return path


def _verify(log: Path, *arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(main, ["audit-verify", str(log), *arguments])
    return result.exit_code, result.output


def test_log_that_nobody_touched_is_verified(log: Path, key: Path, tmp_path: Path) -> None:
    """By its own public key, or by one from elsewhere; the command says how many entries."""
    assert _verify(log) == (0, _verify(log)[1])
    assert "6 entries, none changed, moved or missing" in _verify(log)[1]
    elsewhere = tmp_path / "elsewhere.pem"
    elsewhere.write_bytes(public_key_of(log).read_bytes())
    assert _verify(log, "--key", str(elsewhere))[0] == 0
    assert _verify(log, "--key", str(key))[0] == 0
    assert _verify(log, "--at-least", "6")[0] == 0
    code, said = _verify(log, "--at-least", "7")
    assert code == 1
    assert "expected at least 7 entries, found 6" in said


@pytest.mark.parametrize("pem", [b"{}", _pem(rsa.generate_private_key(65537, 2048))])
def test_key_that_is_none_is_named_rather_than_the_log(
    log: Path, tmp_path: Path, pem: bytes
) -> None:
    """A wrong file for --key does not read as if the log had been altered."""
    wrong = tmp_path / "wrong.pem"
    wrong.write_bytes(pem)
    code, said = _verify(log, "--key", str(wrong))
    assert code == 1
    assert f"{wrong}: expected an Ed25519 public key" in said
    assert log.name not in said


def _change(lines: Lines) -> Lines:
    return [line.replace(b"caller 2", b"caller 9") for line in lines]


def _add(lines: Lines) -> Lines:
    entry = json.loads(lines[-1])
    return [*lines, json.dumps({**entry, "sequence": 7}).encode()]


@pytest.mark.parametrize(
    ("alter", "said"),
    [
        (_change, "line 5 does not hold on to the line before"),
        (lambda lines: lines[:2] + lines[3:], "line 3 says that it is entry 4"),
        (lambda lines: lines[1:], "line 1 says that it is entry 2"),
        (lambda lines: [*lines[:2], lines[3], lines[2], *lines[4:]], "line 3 says"),
        (lambda lines: lines[:-1], "the head covers 6 entries and 5 are there"),
        (lambda _: [], "the head covers 6 entries and 0 are there"),
        (lambda lines: [*lines[:-1], lines[-1][:-5]], "line 6 is no entry"),
        (lambda lines: [*lines[:-1], lines[-1].replace(b"caller 4", b"caller 9")], "line 6 is not"),
        (_add, "line 7 does not hold on"),
        (lambda lines: [*lines[:3], b"null", *lines[3:]], "line 4 is no entry"),
        (lambda lines: [*lines[:3], b"", *lines[3:]], "line 4 is no entry"),
    ],
    ids=[
        "changed", "removed", "first removed", "exchanged", "end removed", "emptied", "cut short",
        "last changed", "added", "inserted", "blank",
    ],
)  # fmt: skip
def test_altered_log_is_found_out(
    log: Path, key: Path, alter: Callable[[Lines], Lines], said: str
) -> None:
    """The command fails and names the line; and no server goes on with such a log."""
    lines = log.read_bytes().splitlines()
    log.write_bytes(b"".join(line + b"\n" for line in alter(lines)))
    code, output = _verify(log)
    assert code == 1
    assert said in output
    with pytest.raises(ConfigError, match="not as it was written"):
        AuditFile(log, key)


def _rebuilt(log: Path) -> Link:
    """Write a log anew, its chain in order, with another content."""
    link, lines = Link(), []
    for line in log.read_bytes().splitlines():
        values = json.loads(line)
        line, link = link.next_line({**values, "identity": "nobody"})
        lines.append(line)
    log.write_bytes(b"".join(lines))
    return link


def test_forged_head_is_found_out(log: Path, key: Path, tmp_path: Path) -> None:
    """A chain that was built anew needs a head, which takes the key: another one does not do."""
    forger = ed25519.Ed25519PrivateKey.generate()
    trusted = tmp_path / "trusted.pem"
    trusted.write_bytes(public_key_of(log).read_bytes())
    link = _rebuilt(log)
    code, said = _verify(log)
    assert code == 1
    assert "line 6 is not the one that the head covers" in said
    head_of(log).write_bytes(sign_head(link, "2026-01-01T00:00:00.000Z", forger))
    assert _verify(log) == (1, _verify(log)[1])
    assert "the head was not signed with this key" in _verify(log)[1]
    with pytest.raises(ConfigError, match="not signed with this key"):
        AuditFile(log, key)
    assert _verify(log, "--key", str(trusted))[0] == 1


@pytest.mark.parametrize("field", ["entries", "sha256", "time", "signature"])
def test_every_field_of_the_head_is_signed(log: Path, field: str) -> None:
    """None of them can be changed by itself."""
    head = json.loads(head_of(log).read_bytes())
    others = {"entries": 5, "sha256": "0" * 64, "time": "2020", "signature": "AAAA"}
    head_of(log).write_text(json.dumps({**head, field: others[field]}), encoding="utf-8")
    code, said = _verify(log)
    assert code == 1
    assert "not signed with this key" in said


def test_log_without_its_head_is_not_verified(log: Path) -> None:
    """Who removes the head does not get away with it."""
    head_of(log).unlink()
    code, said = _verify(log)
    assert code == 1
    assert "audit.jsonl.head" in said


def test_log_goes_on_after_a_restart(log: Path, key: Path) -> None:
    """The chain is one; each opening is an entry."""
    again = AuditFile(log, key)
    again.append([{"identity": "later"}, {"identity": "later still"}])
    again.close()
    assert _verify(log)[0] == 0
    assert "9 entries" in _verify(log)[1]


def test_entries_behind_the_head_are_told_for_good(
    log: Path, key: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A crash leaves lines that no head covers, or half of one; the next opening says so."""
    monkeypatch.setattr("hunique_server.audit_file._BETWEEN_LOOKS_S", 0.0)
    lines = log.read_bytes().splitlines(keepends=True)
    link = Link()
    for line in lines:
        _, link = link.follow(line[:-1])
    extra, _ = link.next_line({"identity": "unsigned"})
    with log.open("ab") as stream:
        stream.write(extra)
    code, said = _verify(log)
    assert code == 3
    assert "1 entries were written and not signed for" in said
    with log.open("ab") as stream:
        stream.write(b'{"half": ')
    code, said = _verify(log)
    assert (code, "the last line is cut short" in said) == (1, True)
    AuditFile(log, key).close()
    code, said = _verify(log)
    assert code == 3
    assert "8 entries" in said
    opened = json.loads(log.read_bytes().splitlines()[-1])
    assert opened["uncovered_entries"] == 1
    assert opened["torn_bytes"] == 9


def test_log_is_verified_while_it_is_written(
    log: Path, key: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Lines that come between a look at the head and one at the log are no false alarm."""
    written = AuditFile(log, key)
    read = Path.read_bytes

    def read_and_go_on(file: Path) -> bytes:
        data = read(file)
        if file == head_of(log):
            written.append([{"identity": "meanwhile"}])
        return data

    monkeypatch.setattr(Path, "read_bytes", read_and_go_on)
    code, said = _verify(log)
    assert (code, "none changed, moved or missing" in said) == (0, True)
    assert _verify(log, "--at-least", "8")[0] == 0
    written.close()


@pytest.mark.parametrize("half", [True, False])
def test_line_that_is_being_written_is_waited_for(
    log: Path, key: Path, monkeypatch: pytest.MonkeyPatch, half: bool
) -> None:
    """A line is there before its head, or half of it; a moment later all of it is verified."""
    whole, head = log.read_bytes(), head_of(log).read_bytes()
    written = AuditFile(log, key)
    last, last_head = log.read_bytes()[len(whole) :], head_of(log).read_bytes()
    log.write_bytes(whole + (last[:20] if half else last))
    head_of(log).write_bytes(head)
    waits: list[float] = []

    def wait(seconds: float) -> None:
        waits.append(seconds)
        if len(waits) == 2:
            log.write_bytes(whole + last)
            head_of(log).write_bytes(last_head)

    monkeypatch.setattr("hunique_server.audit_file.time.sleep", wait)
    code, said = _verify(log)
    assert (code, "7 entries" in said) == (0, True)
    written.close()


@pytest.mark.parametrize("failing", ["line", "head"])
def test_write_that_fails_leaves_nothing_behind(
    log: Path, key: Path, monkeypatch: pytest.MonkeyPatch, failing: str
) -> None:
    """Whether the line or the head found no room: the log is verified as before, and goes on."""
    written = AuditFile(log, key)
    write, whole = os.write, 1 if failing == "head" else 0
    writes: list[int] = []

    def write_in_part(handle: int, data: bytes) -> int:
        writes.append(handle)
        if len(writes) <= whole:
            return write(handle, data)
        if len(writes) == whole + 1:
            return write(handle, data[:20])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("hunique_server.audit_file.os.write", write_in_part)
    with pytest.raises(OSError, match="No space"):
        written.append([{"identity": "x"}])
    assert "7 entries" in _verify(log)[1]
    assert _verify(log)[0] == 0
    monkeypatch.undo()
    written.append([{"identity": "x"}])
    written.close()
    assert "8 entries" in _verify(log)[1]


def test_one_log_has_one_writer(log: Path, key: Path) -> None:
    """A second server on the same log is refused; the first goes on."""
    first = AuditFile(log, key)
    with pytest.raises(ConfigError, match="another process writes"):
        AuditFile(log, key)
    first.append([{"identity": "x"}])
    first.close()
    assert _verify(log)[0] == 0


def test_wrong_keys_are_explained(tmp_path: Path, log: Path) -> None:
    """A key of another kind, none at all, or of another log."""
    other = tmp_path / "rsa.pem"
    other.write_bytes(_pem(rsa.generate_private_key(65537, 2048)))
    for file, said in ((other, "Ed25519"), (log, "Ed25519"), (tmp_path / "none", "cannot open")):
        with pytest.raises(ConfigError, match=said):
            AuditFile(tmp_path / "new", file)
    new = tmp_path / "new.pem"
    new.write_bytes(_pem(ed25519.Ed25519PrivateKey.generate()))
    with pytest.raises(ConfigError, match="not signed with this key"):
        AuditFile(log, new)


def test_half_a_choice_is_refused() -> None:
    """Log and key go together; the message says how to make a key."""
    for choices in ({"log": Path("l")}, {"key": Path("k")}, {"inputs": True}):
        with pytest.raises(ConfigError, match=r"go together|needs --audit-log"):
            AuditConfig(**choices)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="expected one of"):
        AuditConfig(on_failure="panic")


def test_key_of_openssl_is_taken(tmp_path: Path) -> None:
    """The command that messages name makes a key that works."""
    file = tmp_path / "k.pem"
    command = ["openssl", "genpkey", "-algorithm", "ed25519", "-out", str(file)]
    try:
        subprocess.run(command, check=True, capture_output=True, timeout=LONG_S)
    except FileNotFoundError:
        pytest.skip("openssl is not here")
    AuditFile(tmp_path / "log", file).close()
    assert _verify(tmp_path / "log")[0] == 0
