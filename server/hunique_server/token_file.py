"""Static bearer tokens: a file of their hashes, one JSON object a line.

    {"identity": "lab-a", "roles": ["segment"], "sha256": "9f86d0..."}

Tokens are 256 random bits, so that a plain hash cannot be turned back; whoever reads the
file learns no token. The file is read anew when it changes.
"""

import hmac
import json
import os
import re
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from hunique_server.config_error import ConfigError
from hunique_server.identity import Identity, Role
from hunique_server.watched import Watched

TOKEN_PREFIX = "hunique_"  # noqa: S105 - lets scanners of leaked secrets find tokens
_IDENTITY = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@/-]{0,127}")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_WRITABLE_BY_ALL = 0o002


@dataclass(frozen=True)
class _Entry:
    digest: str
    identity: Identity


class TokenFile:
    """The tokens that are taken.

    Args:
        file: of their hashes.

    Raises:
        ConfigError: it cannot be read or understood, or anybody may write to it.
    """

    def __init__(self, file: Path) -> None:
        self._entries = Watched((file,), lambda: tuple(_read(file)))

    def identity(self, token: str) -> Identity | None:
        """Whose token it is; the time taken does not depend on how much of it is right."""
        digest = _digest(token)
        found = None
        for entry in self._entries.value():
            if hmac.compare_digest(entry.digest, digest):
                found = entry.identity
        return found


def new_token(identity: str, roles: tuple[str, ...]) -> tuple[str, str]:
    """A token that nobody has, and its line for the file, newline included.

    Args:
        identity: whose it is.
        roles: values of `Role`.

    Raises:
        ConfigError: the name of the identity cannot be used.
    """
    if not _IDENTITY.fullmatch(identity):
        raise ConfigError(f"expected letters, digits and ._@/- as an identity, found {identity!r}")
    token = TOKEN_PREFIX + secrets.token_urlsafe(32)
    entry = {"identity": identity, "roles": sorted(roles), "sha256": _digest(token)}
    return token, json.dumps(entry) + "\n"


def append_line(file: Path, line: str) -> None:
    """Add a line to a file of hashes, which is made, for its owner alone, if it is not there.

    Raises:
        OSError: it cannot be written.
    """
    handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    with os.fdopen(handle, "a", encoding="utf-8") as stream:
        stream.write(line)


def _digest(token: str) -> str:
    return sha256(token.encode("utf-8", "surrogateescape")).hexdigest()


def _read(file: Path) -> Iterator[_Entry]:
    if file.stat().st_mode & _WRITABLE_BY_ALL:
        raise ConfigError(f"anybody may write to {file}, and so call in: chmod o-w {file}")
    for number, line in enumerate(
        file.read_text(encoding="utf-8", errors="replace").splitlines(), start=1
    ):
        if line.strip():
            try:
                yield _entry(line)
            except (ValueError, TypeError, KeyError) as error:
                raise ConfigError(
                    f"line {number} of {file} is no entry of a token; "
                    "`hunique-server token` writes them"
                ) from error


def _entry(line: str) -> _Entry:
    values = json.loads(line)
    name, digest = values["identity"], values["sha256"]
    if not _IDENTITY.fullmatch(name) or not _SHA256.fullmatch(digest):
        raise ValueError
    roles = frozenset(Role(role) for role in values["roles"])
    return _Entry(digest, Identity(f"token:{name}", roles))
