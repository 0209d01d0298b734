import asyncio

import grpc
import pytest

from hunique_models.errors import (
    EngineRunError,
    ImageTooLargeError,
    UnknownClassError,
    UnreadableImageError,
    UnsupportedImageError,
)
from hunique_server.admission import QueueFullError
from hunique_server.batcher import BatcherClosedError, DeadlinePassedError, WrongCountError
from hunique_server.errors import RequestError, failure_of

Code = grpc.StatusCode


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (UnreadableImageError("why"), Code.INVALID_ARGUMENT),
        (UnsupportedImageError("why"), Code.INVALID_ARGUMENT),
        (UnknownClassError("why"), Code.INVALID_ARGUMENT),
        (RequestError("why"), Code.INVALID_ARGUMENT),
        (ImageTooLargeError("why"), Code.RESOURCE_EXHAUSTED),
        (DeadlinePassedError("why"), Code.DEADLINE_EXCEEDED),
        (BatcherClosedError("why"), Code.UNAVAILABLE),
        (asyncio.CancelledError("why"), Code.CANCELLED),
    ],
)
def test_what_the_caller_can_change_is_said(error: BaseException, code: grpc.StatusCode) -> None:
    """The status tells whose turn it is, the message why; trying the same again will not help."""
    failure = failure_of(error)
    assert (failure.code, failure.message, failure.retry_after_ms) == (code, "why", 0)


def test_full_queue_says_when_to_come_back() -> None:
    """Of all refusals only this one has a time."""
    failure = failure_of(QueueFullError("items", 250))
    assert (failure.code, failure.retry_after_ms) == (Code.RESOURCE_EXHAUSTED, 250)


@pytest.mark.parametrize(
    "error", [EngineRunError("/srv/secret"), WrongCountError("secret"), KeyError("secret")]
)
def test_faults_of_ours_are_logged_and_not_shown(
    error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    """A fault of the server tells the caller nothing of its insides, and the log everything."""
    failure = failure_of(error)
    assert failure.code is Code.INTERNAL
    assert "secret" not in failure.message
    (record,) = caplog.records
    assert record.exc_info is not None
    assert record.exc_info[1] is error
