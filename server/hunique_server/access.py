"""Who may call what: from a method and what a caller shows to an identity, or a refusal.

    authorization: Bearer TOKEN -> token file -> issuer -> identity -> has the method's role?

Texts of refusals are the same whatever was wrong with a token. Nothing here knows gRPC's
server.
"""

import asyncio
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol

import grpc

from hunique_server.config_error import ConfigError
from hunique_server.errors import Failure
from hunique_server.identity import HasPeer, Identity, Role, name_of_peer
from hunique_server.security_config import OidcConfig, SecurityConfig
from hunique_server.token_file import TokenFile

REFLECTION_PREFIX = "/grpc.reflection."
_OPEN = frozenset((
    "/grpc.health.v1.Health/Check",
    "/grpc.health.v1.Health/Watch",
    "/inference.GRPCInferenceService/ServerLive",
    "/inference.GRPCInferenceService/ServerReady",
))  # fmt: skip
"""Yes or no, for probes, which have no token."""
_FOR_ADMINS = frozenset((
    "/inference.GRPCInferenceService/RepositoryModelLoad",
    "/inference.GRPCInferenceService/RepositoryModelUnload",
))  # fmt: skip
_BEARER = "bearer "
_MOST_TOKEN_CHARACTERS = 16_384
_ISSUER_THREADS = 4  # one of them may wait for the issuer
EVERYTHING = frozenset(Role)
"""Roles of whoever reaches a server that only this machine can reach."""


class AccessError(Exception):
    """A call that is not let in."""

    def __init__(self, failure: Failure, identity: Identity | None = None) -> None:
        super().__init__(failure.message)
        self.failure = failure
        self.identity = identity
        """Who was refused, where that is known."""


class Connection(HasPeer, Protocol):
    """What is needed of gRPC's context."""

    def auth_context(self) -> Mapping[str, Iterable[bytes]]:
        """What the caller's certificate says."""


class _Tokens(Protocol):
    waits: bool

    def identity(self, token: str) -> Identity | None: ...


class _Revocations(Protocol):
    def hold(self, certificate_pem: bytes) -> bool: ...


class Access:
    """Decides for one server.

    Args:
        config: which tokens are taken.
        only_local: whether the server listens where only this machine can call.

    Raises:
        ConfigError: files of tokens or keys cannot be used, or a package is missing.
    """

    def __init__(self, config: SecurityConfig, *, only_local: bool) -> None:
        self._asks_for_tokens = config.asks_for_tokens
        self._reflection_open = config.reflection == "open"
        self._token_file = TokenFile(config.tokens) if config.tokens else None
        self._revoked = _revocations(config)
        self._issued = _issued_tokens(config.oidc) if config.oidc.issuer else None
        self._waiting = ThreadPoolExecutor(_ISSUER_THREADS, thread_name_prefix="issuer")
        self._roles_without_token = EVERYTHING if only_local else frozenset((Role.SEGMENT,))

    def close(self) -> None:
        """Wait for nobody any longer."""
        self._waiting.shutdown(wait=False, cancel_futures=True)

    async def admit(self, method: str, metadata: Mapping[str, str]) -> Identity | None:
        """Whose call it is, decided before a message is read; None: the connection says.

        Args:
            method: full, with slashes.
            metadata: of the call, names in lower case.

        Raises:
            AccessError: it is not let in.
        """
        if not self._asks_for_tokens or self._is_open(method):
            return None
        identity = await self._identity(metadata.get("authorization", ""))
        check_role(method, identity)
        return identity

    def check_certificate(self, connection: Connection) -> None:
        """Refuse a caller whose certificate its authority took back, whatever else it shows.

        Raises:
            AccessError: it was taken back.
        """
        if self._revoked is None:
            return
        for certificate in connection.auth_context().get("x509_pem_cert", ()):
            if self._revoked.hold(certificate):
                raise AccessError(_TAKEN_BACK)

    def of_connection(self, method: str, connection: Connection) -> Identity:
        """Whose call it is where no token is asked for.

        Raises:
            AccessError: it is not let in.
        """
        certificate = connection.auth_context()
        names = [
            *certificate.get("x509_common_name", ()),
            *certificate.get("x509_subject_alternative_name", ()),
        ]
        if names:
            name = f"cert:{names[0].decode('utf-8', 'replace')}"
        else:
            name = name_of_peer(connection.peer())
        identity = Identity(name, self._roles_without_token)
        if not self._is_open(method):
            check_role(method, identity)
        return identity

    def _is_open(self, method: str) -> bool:
        return method in _OPEN or (self._reflection_open and method.startswith(REFLECTION_PREFIX))

    async def _identity(self, authorization: str) -> Identity:
        token = authorization[len(_BEARER) :].strip()
        if not authorization.lower().startswith(_BEARER) or not token:
            raise AccessError(_NO_TOKEN)
        if len(token) > _MOST_TOKEN_CHARACTERS:
            raise AccessError(_WRONG_TOKEN)
        identity = self._token_file.identity(token) if self._token_file else None
        if identity is None and self._issued is not None and token.count(".") == 2:
            identity = await self._ask_issuer(self._issued, token)
        if identity is None:
            raise AccessError(_WRONG_TOKEN)
        return identity

    async def _ask_issuer(self, issued: _Tokens, token: str) -> Identity | None:
        from hunique_server.signing_keys import KeysUnavailableError

        try:
            if not issued.waits:
                return issued.identity(token)
            loop = asyncio.get_running_loop()
            return await loop.run_in_executor(self._waiting, issued.identity, token)
        except KeysUnavailableError:
            raise AccessError(NO_KEYS) from None


def check_role(method: str, identity: Identity) -> None:
    """Let an identity pass that has the role that a method needs.

    Raises:
        AccessError: it has not.
    """
    needed = Role.ADMIN if method in _FOR_ADMINS else Role.SEGMENT
    if needed not in identity.roles:
        failure = Failure(
            code=grpc.StatusCode.PERMISSION_DENIED,
            message=f"This call needs the role {needed.value!r}, which this caller does not have.",
        )
        raise AccessError(failure, identity)


def _issued_tokens(config: OidcConfig) -> _Tokens:
    try:
        from hunique_server.oidc import IssuedTokens
    except ImportError as error:
        raise ConfigError(
            f"--oidc-issuer needs {error.name}: pip install 'hunique[oidc]'"
        ) from error
    return IssuedTokens(config)


def _revocations(config: SecurityConfig) -> _Revocations | None:
    if config.tls_client_crl is None or config.tls_client_ca is None:
        return None
    from hunique_server.revocation import Revocations

    return Revocations(config.tls_client_crl, config.tls_client_ca)


_TAKEN_BACK = Failure(
    code=grpc.StatusCode.UNAUTHENTICATED,
    message="The certificate is not taken: its authority took it back. Ask it for another one.",
)
_NO_TOKEN = Failure(
    code=grpc.StatusCode.UNAUTHENTICATED,
    message="This server wants to know who calls: send the metadata 'authorization: Bearer TOKEN' "
    "(hunique-client: --token-file).",
)
_WRONG_TOKEN = Failure(
    code=grpc.StatusCode.UNAUTHENTICATED,
    message="The token is not taken: it is unknown here, has ended, or is for another server.",
)
NO_KEYS = Failure(
    code=grpc.StatusCode.UNAVAILABLE,
    message="Tokens cannot be verified now: their issuer does not give its keys. Try again later.",
)
"""What callers with a token of the issuer are told while nobody can say whose it is."""
