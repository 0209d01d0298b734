"""What calls of every service share: a caller, an outcome that is counted, a refusal."""

import asyncio
import time
from collections.abc import Coroutine
from traceback import clear_frames
from typing import Any, NoReturn, TypeVar

import grpc

from hunique_server.caller import Caller, Priority
from hunique_server.errors import Failure, RequestError, failure_of
from hunique_server.identity import identity_of
from hunique_server.metrics import Metrics
from hunique_server.picture_record import PictureRecord, close_record, open_record

RETRY_AFTER = "retry-after-ms"
"""Trailing metadata of RESOURCE_EXHAUSTED where another try may succeed."""
PUSHBACK = "grpc-retry-pushback-ms"
"""The same for gRPC's own clients: with a retry policy they wait for so long and try again."""
PRIORITY = "hunique-priority"
"""Metadata by which a caller says how urgent a call is."""

Context = grpc.aio.ServicerContext[Any, Any]
Answer = TypeVar("Answer")


class Calls:
    """Does the work of calls and counts what became of it.

    Args:
        metrics: where it is counted.
    """

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    async def outcome(self, method: str, work: Coroutine[Any, Any, Answer]) -> Answer | Failure:
        """The answer, or what to tell the caller instead; raises only when cancelled."""
        started_s, record = time.monotonic(), open_record(method)
        try:
            answer = await work
        except asyncio.CancelledError:
            self._count(method, grpc.StatusCode.CANCELLED, started_s, record)
            raise
        except Exception as error:  # noqa: BLE001 - it becomes the status of the call
            failure = failure_of(error)
            _forget_pictures(error)
            self._count(method, failure.code, started_s, record)
            self._count_rejection(failure)
            return failure
        self._count(method, grpc.StatusCode.OK, started_s, record)
        return answer

    def _count(
        self, method: str, code: grpc.StatusCode, started_s: float, record: PictureRecord | None
    ) -> None:
        close_record(record, code)
        self._metrics.requests.labels(method, code.name).inc()
        self._metrics.request_duration.labels(method).observe(time.monotonic() - started_s)

    def _count_rejection(self, failure: Failure) -> None:
        if failure.code is grpc.StatusCode.RESOURCE_EXHAUSTED:
            reason = "queue_full" if failure.retry_after_ms else "too_large"
            self._metrics.rejected.labels(reason).inc()
        elif failure.code is grpc.StatusCode.DEADLINE_EXCEEDED:
            self._metrics.rejected.labels("deadline").inc()


def _forget_pictures(error: BaseException | None) -> None:
    """Empty the frames that an error came through: they hold pictures until they are collected."""
    while error is not None:
        clear_frames(error.__traceback__)
        error = error.__cause__ or error.__context__


async def refuse(context: Context, failure: Failure) -> NoReturn:
    """End a call with a failure.

    gRPC keeps what `abort` raises, and with it the frames that it passed, until the garbage
    collector comes: callers drop the picture from theirs before.
    """
    wait_ms = str(failure.retry_after_ms)
    trailer = ((RETRY_AFTER, wait_ms), (PUSHBACK, wait_ms)) if failure.retry_after_ms else ()
    await context.abort(failure.code, failure.message, trailer)


def caller_of(context: Context, usual: Priority) -> Caller:
    """Who calls, until when they wait, and how urgent it is.

    Args:
        context: the call.
        usual: its priority where it says none.

    Raises:
        RequestError: it says one that there is not.
    """
    remaining_s = context.time_remaining()
    return Caller(
        client=identity_of(context).name,
        priority=_priority_of(context, usual),
        deadline_s=None if remaining_s is None else time.monotonic() + remaining_s,
    )


async def caller_or_refuse(context: Context, usual: Priority) -> Caller:
    """The same, for calls that are refused before their first request is read."""
    try:
        return caller_of(context, usual)
    except RequestError as error:
        await refuse(context, failure_of(error))


def _priority_of(context: Context, usual: Priority) -> Priority:
    said = dict(context.invocation_metadata() or ()).get(PRIORITY, usual)
    try:
        return Priority(said)
    except ValueError:
        choices = " or ".join(Priority)
        raise RequestError(f"expected {PRIORITY} {choices}, found {said!r:.64}") from None
