"""What calls of every service share: a deadline, an outcome that is counted, a refusal."""

import asyncio
import time
from collections.abc import Coroutine
from traceback import clear_frames
from typing import Any, NoReturn, TypeVar

import grpc

from hunique_server.errors import Failure, failure_of
from hunique_server.metrics import Metrics

RETRY_AFTER = "retry-after-ms"
"""Trailing metadata of RESOURCE_EXHAUSTED where another try may succeed."""

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
        started_s = time.monotonic()
        try:
            answer = await work
        except asyncio.CancelledError:
            self._count(method, grpc.StatusCode.CANCELLED, started_s)
            raise
        except Exception as error:  # noqa: BLE001 - it becomes the status of the call
            failure = failure_of(error)
            _forget_pictures(error)
            self._count(method, failure.code, started_s)
            self._count_rejection(failure)
            return failure
        self._count(method, grpc.StatusCode.OK, started_s)
        return answer

    def _count(self, method: str, code: grpc.StatusCode, started_s: float) -> None:
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
    trailer = ((RETRY_AFTER, str(failure.retry_after_ms)),) if failure.retry_after_ms else ()
    await context.abort(failure.code, failure.message, trailer)


def deadline_s_of(context: Context) -> float | None:
    """The caller's deadline on the monotonic clock."""
    remaining_s = context.time_remaining()
    return None if remaining_s is None else time.monotonic() + remaining_s
