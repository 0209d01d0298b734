"""Who calls: known to everything that works on a call, and to every task that it starts.

    interceptor -> act_as(identity) -> handler -> ... -> identity_of(context)

A leaf: it imports nothing of the package.
"""

from contextvars import ContextVar
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol
from urllib.parse import unquote


class Role(StrEnum):
    """What an identity may do."""

    SEGMENT = "segment"
    """Have pictures examined, and ask about the model."""
    ADMIN = "admin"
    """Also load and unload models."""


@dataclass(frozen=True)
class Identity:
    """A caller.

    `name` tells callers apart: "token:NAME", "oidc:SUBJECT", "cert:NAME" where they proved who
    they are, "peer:HOST" of those who did not have to.
    """

    name: str
    roles: frozenset[Role] = frozenset((Role.SEGMENT,))


class HasPeer(Protocol):
    """What is needed of gRPC's context."""

    def peer(self) -> str:
        """Address of the caller, such as ipv4:10.0.0.7:41234."""


_UNKNOWN = Identity("peer:unknown")
_current: ContextVar[Identity | None] = ContextVar("hunique_identity", default=None)


def identity_of(context: HasPeer | None = None) -> Identity:
    """The caller of the call that is being worked on.

    Args:
        context: of the call; needed only where no interceptor has said who calls.
    """
    known = _current.get()
    if known is not None:
        return known
    return _UNKNOWN if context is None else Identity(name_of_peer(context.peer()))


def act_as(identity: Identity) -> None:
    """From now on, in this task and those that it starts, `identity_of` gives this identity."""
    _current.set(identity)


def name_of_peer(peer: str) -> str:
    """The name of a caller of whom only the address is known; without the port, which changes."""
    kind, _, address = unquote(peer).partition(":")
    if kind in ("ipv4", "ipv6") and address:
        return f"peer:{address.rpartition(':')[0] or address}"
    return f"peer:{kind or 'unknown'}"
