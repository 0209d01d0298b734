"""Everything that can go wrong for a caller, as one tree; gRPC's own errors end here.

HuniqueClientError            exit code
├── InvalidRequestError       4   the picture or the wish cannot be served
├── CredentialsError          77  certificates or a token that cannot be used
├── AccessDeniedError         77  the server does not let this caller do that
├── ServerUnavailableError    69  no server, or it ended
├── ServerBusyError           69  no room now; `retry_after_s` says when
├── DeadlineError             69  no answer in time
└── ServerFailedError         69  a fault of the server
"""

from collections.abc import Iterable
from typing import cast

import grpc

RETRY_AFTER = "retry-after-ms"


class HuniqueClientError(Exception):
    """Base of all errors of the client."""

    exit_code = 69
    """What the command ends with."""


class InvalidRequestError(HuniqueClientError):
    """The picture is no image, too large, or the wish cannot be served."""

    exit_code = 4


class CredentialsError(HuniqueClientError):
    """Certificates or a token are not there, do not fit, or would be shown to strangers."""

    exit_code = 77


class AccessDeniedError(HuniqueClientError):
    """The server does not know this caller, or does not let it do that."""

    exit_code = 77


class ServerUnavailableError(HuniqueClientError):
    """There is no server at the address, or it ended."""


class ServerBusyError(HuniqueClientError):
    """The server has no room now."""

    def __init__(self, message: str, retry_after_s: float = 0.0) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s
        """Seconds after which another try may succeed."""


class DeadlineError(HuniqueClientError):
    """No answer came in time."""


class ServerFailedError(HuniqueClientError):
    """The server failed; its log says why."""


_KINDS: dict[int, type[HuniqueClientError]] = {
    grpc.StatusCode.INVALID_ARGUMENT.value[0]: InvalidRequestError,
    grpc.StatusCode.RESOURCE_EXHAUSTED.value[0]: InvalidRequestError,
    grpc.StatusCode.NOT_FOUND.value[0]: InvalidRequestError,
    grpc.StatusCode.UNAUTHENTICATED.value[0]: AccessDeniedError,
    grpc.StatusCode.PERMISSION_DENIED.value[0]: AccessDeniedError,
    grpc.StatusCode.UNAVAILABLE.value[0]: ServerUnavailableError,
    grpc.StatusCode.CANCELLED.value[0]: ServerUnavailableError,
    grpc.StatusCode.UNIMPLEMENTED.value[0]: ServerUnavailableError,
    grpc.StatusCode.DEADLINE_EXCEEDED.value[0]: DeadlineError,
}


def error_of_code(code: int, message: str, retry_after_ms: int = 0) -> HuniqueClientError:
    """The error for a gRPC status code's number."""
    if retry_after_ms:
        return ServerBusyError(message, retry_after_ms / 1000)
    return _KINDS.get(code, ServerFailedError)(message)


def error_of_rpc(error: grpc.RpcError) -> HuniqueClientError:
    """The error for a failed call, sync or aio."""
    code = error.code()
    trailer = cast("Iterable[tuple[str, str]]", error.trailing_metadata() or ())
    values = [str(value) for key, value in trailer if key == RETRY_AFTER]
    retry_after_ms = int(values[0]) if values and values[0].isdigit() else 0
    message = error.details() or code.name
    if code is grpc.StatusCode.UNAVAILABLE:
        message = (
            f"no hunique server answers ({message}). Expected one at HOST:PORT or unix:PATH; one "
            "that encrypts wants --tls, and --ca FILE unless everybody knows its authority"
        )
    if code is grpc.StatusCode.DEADLINE_EXCEEDED:
        message = f"no answer in time ({message}): give it longer, or ask for less detail"
    return error_of_code(code.value[0], message, retry_after_ms)
