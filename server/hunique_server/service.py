"""The gRPC service: convert, call, convert."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager

import grpc

from hunique_proto.v1 import hand_features_pb2 as pb
from hunique_proto.v1 import hand_features_pb2_grpc as pb_grpc
from hunique_server.convert import describe
from hunique_server.errors import Failure, RequestError, failure_of
from hunique_server.metrics import Metrics
from hunique_server.segmenter import Segmenter

SERVICE_NAME = "hunique.v1.HandFeatures"
RETRY_AFTER = "retry-after-ms"
"""Trailing metadata of RESOURCE_EXHAUSTED where another try may succeed."""
STREAM_IN_FLIGHT = 16
"""Pictures of one stream that are worked on, or whose answers the caller has not taken; the
stream is not read beyond."""

Context = grpc.aio.ServicerContext[pb.SegmentRequest, pb.SegmentResponse]


class HandFeatures(pb_grpc.HandFeaturesServicer):
    """`hunique.v1.HandFeatures`.

    Args:
        segmenter: does the work.
        metrics: what is counted.
    """

    def __init__(self, segmenter: Segmenter, metrics: Metrics) -> None:
        self._segmenter = segmenter
        self._metrics = metrics
        self._draining = False
        self._reading: set[asyncio.Task[None]] = set()

    async def Segment(  # noqa: N802 - the name on the wire
        self, request: pb.SegmentRequest, context: Context
    ) -> pb.SegmentResponse:
        """One photograph, one answer."""
        outcome = await self._outcome(request, _deadline_s(context))
        # gRPC keeps what `abort` raises, and with it this frame, until the garbage collector
        # comes; the picture must not stay as long
        del request
        if isinstance(outcome, Failure):
            await context.abort(outcome.code, outcome.message, _trailer(outcome))
        return outcome

    async def _outcome(
        self, request: pb.SegmentRequest, deadline_s: float | None
    ) -> pb.SegmentResponse | Failure:
        started_s = time.monotonic()
        try:
            with self._segmenter.admit(request):
                response = await self._segmenter.segment(request, deadline_s)
        except asyncio.CancelledError:
            self._count("Segment", grpc.StatusCode.CANCELLED.name, started_s)
            raise
        except Exception as error:  # noqa: BLE001 - it becomes the status of the call
            failure = failure_of(error)
            self._count("Segment", failure.code.name, started_s)
            self._count_rejection(failure)
            return failure
        self._count("Segment", grpc.StatusCode.OK.name, started_s)
        return response

    async def SegmentStream(  # noqa: N802 - the name on the wire
        self, request_iterator: AsyncIterator[pb.SegmentRequest], context: Context
    ) -> AsyncIterator[pb.SegmentStreamResponse]:
        """Many photographs; answers as they are ready."""
        stream = _Stream(_deadline_s(context))
        worker = asyncio.create_task(self._work_on(stream, request_iterator))
        try:
            while (answer := await stream.answers.get()) is not None:
                yield answer
                stream.places.release()
            if not await worker:
                await context.abort(
                    grpc.StatusCode.UNAVAILABLE,
                    "The server is ending; pictures without an answer were not examined. "
                    "Send them to another one.",
                )
        finally:
            worker.cancel()
            await asyncio.gather(worker, return_exceptions=True)

    def drain(self) -> None:
        """Read no further from any stream; what was read is still answered."""
        self._draining = True
        for reading in self._reading:
            reading.cancel()

    async def DescribeModel(  # noqa: N802 - the name on the wire
        self, request: pb.DescribeModelRequest, context: Context
    ) -> pb.DescribeModelResponse:
        """The served model."""
        served = self._segmenter.model.name
        if request.name not in ("", "default", served):
            await context.abort(
                grpc.StatusCode.NOT_FOUND,
                f"expected the model {served!r} or no name, found {request.name[:64]!r}",
            )
        return describe(self._segmenter.manifest, self._segmenter.model, self._segmenter.limits)

    async def _work_on(self, stream: "_Stream", requests: AsyncIterator[pb.SegmentRequest]) -> bool:
        """Answer a stream's requests, then None; whether all that the caller sent were read."""
        try:
            async with asyncio.TaskGroup() as tasks:
                reading = tasks.create_task(self._read(stream, requests, tasks))
                self._reading.add(reading)
                reading.add_done_callback(self._reading.discard)
                if self._draining:
                    reading.cancel()
        finally:
            stream.answers.put_nowait(None)
        return not reading.cancelled()

    async def _read(
        self,
        stream: "_Stream",
        requests: AsyncIterator[pb.SegmentRequest],
        tasks: asyncio.TaskGroup,
    ) -> None:
        """Start the work on each request, as far as there are places."""
        async for request in requests:
            await stream.places.acquire()
            tasks.create_task(self._answer_in(stream, request))

    async def _answer_in(self, stream: "_Stream", request: pb.SegmentRequest) -> None:
        """Add the outcome of one request to the answers; never raises but when cancelled."""
        started_s = time.monotonic()
        answer = pb.SegmentStreamResponse(request_id=request.request_id)
        code = grpc.StatusCode.OK
        try:
            # a stream waits for room instead of failing, which slows its sender
            with stream.reserve(request.request_id):
                async with self._segmenter.wait(request):
                    response = await self._segmenter.segment(request, stream.deadline_s)
            answer.response.CopyFrom(response)
        except asyncio.CancelledError:
            self._count("SegmentStream", grpc.StatusCode.CANCELLED.name, started_s)
            raise
        except Exception as error:  # noqa: BLE001 - it becomes the answer to this request
            failure = failure_of(error)
            code = failure.code
            self._count_rejection(failure)
            answer.error.CopyFrom(_picture_error(failure))
        self._count("SegmentStream", code.name, started_s)
        stream.answers.put_nowait(answer)

    def _count(self, method: str, code: str, started_s: float) -> None:
        self._metrics.requests.labels(method, code).inc()
        self._metrics.request_duration.labels(method).observe(time.monotonic() - started_s)

    def _count_rejection(self, failure: Failure) -> None:
        if failure.code is grpc.StatusCode.RESOURCE_EXHAUSTED:
            reason = "queue_full" if failure.retry_after_ms else "too_large"
            self._metrics.rejected.labels(reason).inc()
        elif failure.code is grpc.StatusCode.DEADLINE_EXCEEDED:
            self._metrics.rejected.labels("deadline").inc()


class _Stream:
    """What one stream is about.

    Args:
        deadline_s: the caller's, on the monotonic clock.
    """

    def __init__(self, deadline_s: float | None) -> None:
        self.deadline_s = deadline_s
        self.answers: asyncio.Queue[pb.SegmentStreamResponse | None] = asyncio.Queue()
        self.places = asyncio.Semaphore(STREAM_IN_FLIGHT)
        """Free for pictures; one is taken until the caller has the answer."""
        self._open_ids: set[str] = set()

    @contextmanager
    def reserve(self, request_id: str) -> Iterator[None]:
        """Keep an id from others while its request is worked on.

        Raises:
            RequestError: there is no id, or it is in use.
        """
        if not request_id or request_id in self._open_ids:
            raise RequestError(
                "expected a request_id that no unanswered request of this stream has; found "
                + ("one in use" if request_id else "none")
            )
        self._open_ids.add(request_id)
        try:
            yield
        finally:
            self._open_ids.remove(request_id)


def _deadline_s(context: Context) -> float | None:
    """The caller's deadline on the monotonic clock."""
    remaining_s = context.time_remaining()
    return None if remaining_s is None else time.monotonic() + remaining_s


def _trailer(failure: Failure) -> tuple[tuple[str, str], ...]:
    return ((RETRY_AFTER, str(failure.retry_after_ms)),) if failure.retry_after_ms else ()


def _picture_error(failure: Failure) -> pb.PictureError:
    return pb.PictureError(
        code=failure.code.value[0],
        message=failure.message,
        retry_after_ms=failure.retry_after_ms,
    )
