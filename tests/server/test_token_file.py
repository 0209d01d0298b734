"""Static tokens: made by the command, kept as hashes, read again when the file changes."""

import json
import os
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from hunique_server import token_file
from hunique_server.cli import main
from hunique_server.config import ConfigError
from hunique_server.identity import Role
from hunique_server.token_file import TokenFile, append_line, new_token


def _made(file: Path, identity: str, *roles: str) -> str:
    token, line = new_token(identity, roles or ("segment",))
    append_line(file, line)
    return token


def test_command_prints_a_token_once_and_keeps_its_hash(tmp_path: Path) -> None:
    """The token is on standard output alone; the file, for its owner alone, holds no part of it."""
    file = tmp_path / "tokens.jsonl"
    arguments = ["token", "--identity", "lab-a", "--role", "segment", "--role", "admin"]
    result = CliRunner().invoke(main, [*arguments, "--file", str(file)])
    assert result.exit_code == 0, result.output
    token = result.stdout.strip()
    assert len(token) >= 43
    text = file.read_text(encoding="utf-8")
    assert token.removeprefix("hunique_") not in text
    assert json.loads(text)["sha256"] == sha256(token.encode()).hexdigest()
    assert file.stat().st_mode & 0o777 == 0o600
    identity = TokenFile(file).identity(token)
    assert identity is not None
    assert identity.name == "token:lab-a"
    assert identity.roles == {Role.SEGMENT, Role.ADMIN}
    again = CliRunner().invoke(main, [*arguments, "--file", str(file)])
    assert again.stdout.strip() != token
    assert len(file.read_text(encoding="utf-8").splitlines()) == 2


def test_command_without_a_file_gives_the_line(tmp_path: Path) -> None:
    """The line for the file is on standard error, so that the token can be piped."""
    result = CliRunner().invoke(main, ["token", "--identity", "x"])
    file = tmp_path / "t"
    file.write_text(result.stderr, encoding="utf-8")
    assert TokenFile(file).identity(result.stdout.strip()) is not None


@pytest.mark.parametrize("identity", ["", "two words", "new\nline", "x" * 200, '"'])
def test_identity_that_would_confuse_logs_is_refused(identity: str) -> None:
    """Names of callers are plain words."""
    result = CliRunner().invoke(main, ["token", "--identity", identity])
    assert result.exit_code == 1
    assert "as an identity" in result.output


def test_only_whole_tokens_are_taken(tmp_path: Path) -> None:
    """A part, another case, more, or the hash itself opens nothing."""
    file = tmp_path / "t"
    token = _made(file, "a")
    tokens = TokenFile(file)
    assert tokens.identity(token) is not None
    digest = sha256(token.encode()).hexdigest()
    for wrong in (token[:-1], token + "x", token.upper(), digest, "", "\udcff", "\0"):
        assert tokens.identity(wrong) is None


def test_every_entry_is_compared_in_constant_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However early the right one stands, as many comparisons are made, and by `compare_digest`."""
    file = tmp_path / "t"
    first = _made(file, "a")
    for name in "bcd":
        _made(file, name)
    compared: list[Any] = []

    def compare(left: str, right: str) -> bool:
        compared.append((left, right))
        return left == right

    monkeypatch.setattr(token_file.hmac, "compare_digest", compare)
    tokens = TokenFile(file)
    assert tokens.identity(first) is not None
    assert len(compared) == 4


def test_file_is_read_again_when_it_changes(tmp_path: Path) -> None:
    """A new token opens, a removed one no longer does; what is no entry changes nothing."""
    file = tmp_path / "t"
    old = _made(file, "old")
    tokens = TokenFile(file)
    new = _made(file, "new")
    assert tokens.identity(new) is not None
    kept = file.read_text(encoding="utf-8").splitlines()[1]
    replaced = tmp_path / "other"
    replaced.write_text(kept + "\n", encoding="utf-8")
    replaced.replace(file)
    assert tokens.identity(old) is None
    assert tokens.identity(new) is not None
    file.write_text("half an ent", encoding="utf-8")
    assert tokens.identity(new) is not None
    file.unlink()
    assert tokens.identity(new) is not None


def test_file_that_is_put_right_counts(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Rights may be mended without a change of what is in it; what is wrong is told once."""
    file, replaced = tmp_path / "t", tmp_path / "other"
    stolen, kept = _made(file, "stolen"), _made(replaced, "kept")
    tokens = TokenFile(file)
    replaced.chmod(0o666)
    replaced.replace(file)
    for _ in range(3):
        assert tokens.identity(stolen) is not None
    assert sum("cannot be used" in line for line in caplog.messages) == 1
    file.chmod(0o600)
    assert tokens.identity(stolen) is None
    assert tokens.identity(kept) is not None


def test_file_is_tried_again_though_nothing_of_it_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A disk that fails once keeps no token that was taken back; another error is told, too."""
    file = tmp_path / "t"
    stolen = _made(file, "stolen")
    tokens = TokenFile(file)
    file.write_text("", encoding="utf-8")
    for error in ("Input/output error", "Stale file handle"):
        with monkeypatch.context() as away:
            away.setattr(Path, "read_text", _raising(OSError(5, error)))
            for _ in range(3):
                assert tokens.identity(stolen) is not None
        assert sum(error in line for line in caplog.messages) == 1
    assert tokens.identity(stolen) is None


def _raising(error: Exception) -> Any:
    def read(*_arguments: Any, **_options: Any) -> str:
        raise error

    return read


@pytest.mark.parametrize(
    "line",
    [
        "token",
        "[]",
        "{}",
        '{"identity": "a", "roles": ["segment"], "sha256": "short"}',
        '{"identity": "a b", "roles": [], "sha256": "' + "0" * 64 + '"}',
        '{"identity": "a", "roles": ["king"], "sha256": "' + "0" * 64 + '"}',
        '{"identity": "a", "roles": 5, "sha256": "' + "0" * 64 + '"}',
        "\xff",
    ],
)
def test_what_is_no_entry_stops_the_start(tmp_path: Path, line: str) -> None:
    """The message names the line, and says nothing of what is in it."""
    file = tmp_path / "t"
    _made(file, "a")
    with file.open("ab") as stream:
        stream.write(line.encode("latin-1") + b"\n")
    with pytest.raises(ConfigError, match="line 2 of") as refused:
        TokenFile(file)
    assert "0000" not in str(refused.value)


def test_file_that_anybody_may_write_to_is_refused(tmp_path: Path) -> None:
    """Who may write to it may call; so it must belong to somebody."""
    file = tmp_path / "t"
    _made(file, "a")
    os.chmod(file, 0o666)  # noqa: PTH101, S103 - the point
    with pytest.raises(ConfigError, match="chmod o-w"):
        TokenFile(file)
    with pytest.raises(ConfigError, match="cannot read"):
        TokenFile(tmp_path / "none")
