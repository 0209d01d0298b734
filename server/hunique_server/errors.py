"""One table from what went wrong to the gRPC status that says so.

    hunique_models.errors, batcher, admission  ->  Failure(code, message, retry_after_ms)

Whatever is not in the table is a fault of ours: its trace goes to the log, one opaque
sentence to the caller.
"""

import asyncio
import logging
from dataclasses import dataclass

import grpc

from hunique_models.errors import ImageTooLargeError, InputError
from hunique_server.admission import QueueFullError
from hunique_server.batcher import BatcherClosedError, DeadlinePassedError
from hunique_server.decoding import DecoderCrashedError
from hunique_server.model_reference import ModelNameError

logger = logging.getLogger(__name__)


class RequestError(Exception):
    """A request that cannot be understood; the message says what was expected and found."""


class ModelNotServedError(Exception):
    """A model or version was asked for that is not served."""


class NoSuchBundleError(Exception):
    """The model repository has no such model or version."""


class NoRepositoryError(Exception):
    """The server was started without a model repository, and so with all the models it has."""


class ChangeRefusedError(Exception):
    """What is served could not be changed, and was not; the message says why."""


@dataclass(frozen=True, kw_only=True)
class Failure:
    """What a caller is told."""

    code: grpc.StatusCode
    """The canonical status."""
    message: str
    """Expected, found, what to do."""
    retry_after_ms: int = 0
    """When another try may succeed; 0: it will not."""


_CODES: tuple[tuple[type[BaseException], grpc.StatusCode], ...] = (
    (ImageTooLargeError, grpc.StatusCode.RESOURCE_EXHAUSTED),
    (InputError, grpc.StatusCode.INVALID_ARGUMENT),
    (RequestError, grpc.StatusCode.INVALID_ARGUMENT),
    (ModelNameError, grpc.StatusCode.INVALID_ARGUMENT),
    (ModelNotServedError, grpc.StatusCode.NOT_FOUND),
    (NoSuchBundleError, grpc.StatusCode.NOT_FOUND),
    (NoRepositoryError, grpc.StatusCode.UNIMPLEMENTED),
    (ChangeRefusedError, grpc.StatusCode.FAILED_PRECONDITION),
    (QueueFullError, grpc.StatusCode.RESOURCE_EXHAUSTED),
    (DeadlinePassedError, grpc.StatusCode.DEADLINE_EXCEEDED),
    (BatcherClosedError, grpc.StatusCode.UNAVAILABLE),
    (DecoderCrashedError, grpc.StatusCode.INTERNAL),
    (asyncio.CancelledError, grpc.StatusCode.CANCELLED),
)


def failure_of(error: BaseException) -> Failure:
    """What to tell the caller of an error."""
    for kind, code in _CODES:
        if isinstance(error, kind):
            retry_after_ms = error.retry_after_ms if isinstance(error, QueueFullError) else 0
            return Failure(code=code, message=str(error), retry_after_ms=retry_after_ms)
    logger.error("a request failed", exc_info=error)
    return Failure(
        code=grpc.StatusCode.INTERNAL,
        message="The server failed on this picture; its log says why. Other pictures are served.",
    )
