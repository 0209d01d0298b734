"""Bytes that are no message: told apart from those that are, and refused as the caller's fault.

gRPC itself answers UNKNOWN and logs a trace for each, with which anybody could fill a disk.
"""

from collections.abc import Callable
from typing import Any

import grpc

from hunique_server.errors import Failure

UNREADABLE = object()
"""What takes the place of a message."""
NO_MESSAGE = Failure(
    code=grpc.StatusCode.INVALID_ARGUMENT,
    message="The bytes are no message of this method: expected one as its .proto file says.",
)
"""What a caller is told."""


def lenient(deserialise: Callable[[bytes], Any] | None) -> Callable[[bytes], Any] | None:
    """The same deserialiser, which gives `UNREADABLE` instead of raising."""
    if deserialise is None:
        return None

    def read(data: bytes) -> Any:
        try:
            return deserialise(data)
        except Exception:  # noqa: BLE001 - whatever the bytes made of it
            return UNREADABLE

    return read
