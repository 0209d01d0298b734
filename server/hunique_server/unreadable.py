"""Bytes that are no message, or one of too many parts: refused as the caller's fault.

gRPC itself answers UNKNOWN to the first and logs a trace for each, with which anybody could
fill a disk; the second would keep everybody else waiting.
"""

from collections.abc import Callable
from typing import Any

import grpc

from hunique_server.errors import Failure
from hunique_server.message_fields import MOST_FIELDS, has_too_many_fields, kind_of_message

NO_MESSAGE = Failure(
    code=grpc.StatusCode.INVALID_ARGUMENT,
    message="The bytes are no message of this method: expected one as its .proto file says.",
)
"""What a caller is told."""
TOO_MANY_FIELDS = Failure(
    code=grpc.StatusCode.INVALID_ARGUMENT,
    message=f"Expected a message of at most {MOST_FIELDS} fields, those inside of others and "
    "elements of number rows included, found more. Send many numbers in raw_input_contents, or "
    "packed in uint_contents.",
)
"""The same of a message that would cost far more than its bytes."""


def lenient(deserialise: Callable[[bytes], Any] | None) -> Callable[[bytes], Any] | None:
    """The same deserialiser, which gives a `Failure` where there is nothing to work on."""
    if deserialise is None:
        return None
    descriptor = getattr(getattr(deserialise, "__self__", None), "DESCRIPTOR", None)
    kind = None if descriptor is None else kind_of_message(descriptor)

    def read(data: bytes) -> Any:
        if kind is not None and has_too_many_fields(data, kind):
            return TOO_MANY_FIELDS
        try:
            return deserialise(data)
        except Exception:  # noqa: BLE001 - whatever the bytes made of it
            return NO_MESSAGE

    return read
