"""How a client proves who it is, and makes sure of who answers.

    Credentials(tls=True, ca="authority.pem", token_file="token")

Files are read when they are needed; a token is read again when its file changes, so that a
program that runs for long goes on with a new one.
"""

import contextlib
import ipaddress
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import grpc

from hunique_client.errors import CredentialsError

PathLike = str | Path
_PREFIX = "HUNIQUE_"
_CERTIFICATE, _PRIVATE_KEY = b"CERTIFICATE", b"PRIVATE KEY"
_TRUE = ("1", "true", "yes", "on", "t", "y")


@dataclass(frozen=True, kw_only=True)
class Credentials:
    """What is shown and what is asked for. Nothing: a connection in the clear.

    Raises:
        CredentialsError: what is given does not fit together.
    """

    tls: bool = False
    """Whether the connection is encrypted and the server proves who it is."""
    ca: PathLike | None = None
    """Certificates, PEM, whose holders may sign the server's; None: those known everywhere."""
    client_cert: PathLike | None = None
    """Certificate chain, PEM, for a server that asks for one."""
    client_key: PathLike | None = None
    """Private key of that certificate, PEM."""
    token_file: PathLike | None = None
    """File that holds a bearer token, and nothing else."""

    def __post_init__(self) -> None:
        """Check what belongs together."""
        if (self.client_cert is None) != (self.client_key is None):
            raise CredentialsError("--client-cert and --client-key go together")
        if not self.tls and (self.ca is not None or self.client_cert is not None):
            raise CredentialsError("certificates are for encrypted connections: say --tls too")

    @classmethod
    def from_environment(cls) -> Self:
        """Those of HUNIQUE_TLS, HUNIQUE_CA, HUNIQUE_CLIENT_CERT, _CLIENT_KEY, HUNIQUE_TOKEN_FILE.

        Raises:
            CredentialsError: what is given does not fit together.
        """

        def value(name: str) -> str | None:
            return os.environ.get(_PREFIX + name) or None

        return cls(
            tls=(value("TLS") or "").lower() in _TRUE,
            ca=value("CA"),
            client_cert=value("CLIENT_CERT"),
            client_key=value("CLIENT_KEY"),
            token_file=value("TOKEN_FILE"),
        )

    def check_address(self, address: str) -> None:
        """Refuse to show a token to whoever listens on the way.

        Raises:
            CredentialsError: it would travel in the clear beyond this machine.
        """
        if self.token_file is not None and not self.tls and not _is_local(address):
            raise CredentialsError(
                f"the token would travel in the clear to {address}: say --tls, or leave it out"
            )

    def for_channel(self) -> grpc.ChannelCredentials | None:
        """Those of an encrypted channel; None for one in the clear.

        Raises:
            CredentialsError: a file cannot be read, or is not PEM.
        """
        if not self.tls:
            return None
        cert = _read_pem(self.client_cert, _CERTIFICATE)
        key = _read_pem(self.client_key, _PRIVATE_KEY)
        return grpc.ssl_channel_credentials(_read_pem(self.ca, _CERTIFICATE), key, cert)

    def token_source(self) -> Callable[[], str] | None:
        """Gives the token as its file has it now; None where there is none.

        Raises:
            CredentialsError: it cannot be read, or holds no token.
        """
        return None if self.token_file is None else TokenSource(Path(self.token_file))


class TokenSource:
    """A token in a file that may change.

    Args:
        file: holds it.

    Raises:
        CredentialsError: it cannot be read, or holds no token.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self._stamp: tuple[int, int, int] | None = None
        self._token = _token_in(file)

    def __call__(self) -> str:
        """The token; the one before while the file holds none."""
        with contextlib.suppress(CredentialsError, OSError):
            status = self._file.stat()
            stamp = (status.st_mtime_ns, status.st_ino, status.st_size)
            if stamp != self._stamp:
                self._token, self._stamp = _token_in(self._file), stamp
        return self._token


def _token_in(file: Path) -> str:
    text = (_read(file) or b"").decode("ascii", "replace").strip()
    if not text or not text.isprintable() or " " in text or "\N{REPLACEMENT CHARACTER}" in text:
        raise CredentialsError(f"expected one token in {file} and nothing else")
    return text


def _read_pem(file: PathLike | None, kind: bytes) -> bytes | None:
    text = _read(file)
    if text is not None and kind not in text:
        raise CredentialsError(
            f"expected {kind.decode().lower()} in PEM in {file} (-----BEGIN ...), found none"
        )
    return text


def _read(file: PathLike | None) -> bytes | None:
    if file is None:
        return None
    try:
        return Path(file).read_bytes()
    except OSError as error:
        raise CredentialsError(f"cannot read {file}: {error.strerror}") from error


def _is_local(address: str) -> bool:
    if address.startswith(("unix:", "unix-abstract:")):
        return True
    host = address.removeprefix("dns:///").rpartition(":")[0].strip("[]")
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:  # a name, which may be any machine's
        return False
