"""Channels to a server: in the clear or encrypted, with a bearer token on every call or none."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import grpc

from hunique_client.channel import CHANNEL_OPTIONS, CLEAR_CHANNEL_OPTIONS
from hunique_client.credentials import Credentials

_Pairs = tuple[tuple[str, str | bytes], ...]


def open_channel(address: str, credentials: Credentials) -> grpc.Channel:
    """A channel for threads.

    Raises:
        CredentialsError: the credentials cannot be used for this address.
    """
    credentials.check_address(address)
    token, encrypted = credentials.token_source(), credentials.for_channel()
    if encrypted is None:
        channel = grpc.insecure_channel(address, options=CLEAR_CHANNEL_OPTIONS)
    else:
        channel = grpc.secure_channel(address, encrypted, options=CHANNEL_OPTIONS)
    return channel if token is None else grpc.intercept_channel(channel, _WithToken(token))


def open_aio_channel(address: str, credentials: Credentials) -> grpc.aio.Channel:
    """A channel for asyncio; only calls of one request and one answer carry the token.

    Raises:
        CredentialsError: the credentials cannot be used for this address.
    """
    credentials.check_address(address)
    token, encrypted = credentials.token_source(), credentials.for_channel()
    interceptors: Sequence[Any] = () if token is None else (_AioWithToken(token),)
    if encrypted is None:
        return grpc.aio.insecure_channel(
            address, options=CLEAR_CHANNEL_OPTIONS, interceptors=interceptors
        )
    return grpc.aio.secure_channel(
        address, encrypted, options=CHANNEL_OPTIONS, interceptors=interceptors
    )


class _Details(NamedTuple):
    """gRPC's description of a call, with other metadata."""

    method: str
    timeout: float | None
    metadata: Any
    credentials: Any
    wait_for_ready: bool | None
    compression: Any


def _with_token(details: Any, token: str) -> _Pairs:
    return (*(details.metadata or ()), ("authorization", f"Bearer {token}"))


class _WithToken(
    grpc.UnaryUnaryClientInterceptor,  # type: ignore[type-arg] # no generic when it runs
    grpc.StreamStreamClientInterceptor,  # type: ignore[type-arg]
):
    """Adds the token to calls of threads."""

    def __init__(self, token: Callable[[], str]) -> None:
        self._token = token

    def intercept_unary_unary(self, continuation: Any, details: Any, request: Any) -> Any:
        """Add it."""
        return continuation(self._detailed(details), request)

    def intercept_stream_stream(self, continuation: Any, details: Any, requests: Any) -> Any:
        """Add it."""
        return continuation(self._detailed(details), requests)

    def _detailed(self, details: Any) -> Any:
        return _Details(
            details.method,
            details.timeout,
            _with_token(details, self._token()),
            details.credentials,
            details.wait_for_ready,
            details.compression,
        )


class _AioWithToken(grpc.aio.UnaryUnaryClientInterceptor):  # type: ignore[type-arg]
    """Adds the token to calls of asyncio."""

    def __init__(self, token: Callable[[], str]) -> None:
        self._token = token

    async def intercept_unary_unary(self, continuation: Any, details: Any, request: Any) -> Any:
        """Add it."""
        metadata = grpc.aio.Metadata(*_with_token(details, self._token()))
        detailed = grpc.aio.ClientCallDetails(
            details.method, details.timeout, metadata, details.credentials, details.wait_for_ready
        )
        return await continuation(detailed, request)
