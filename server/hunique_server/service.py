"""The gRPC service: convert, call, convert."""

import asyncio
import time
from collections.abc import AsyncIterator

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
"""Pictures of one stream that are worked on at once; the stream is not read beyond."""

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

    async def Segment(  # noqa: N802 - the name on the wire
        self, request: pb.SegmentRequest, context: Context
    ) -> pb.SegmentResponse:
        """One photograph, one answer."""
        started_s = time.monotonic()
        try:
            with self._segmenter.admit(request):
                response = await self._segmenter.segment(request, _deadline_s(context))
        except asyncio.CancelledError:
            self._count("Segment", grpc.StatusCode.CANCELLED.name, started_s)
            raise
        except Exception as error:
            failure = failure_of(error)
            self._count("Segment", failure.code.name, started_s)
            self._count_rejection(failure)
            await context.abort(failure.code, failure.message, _trailer(failure))
            raise
        self._count("Segment", grpc.StatusCode.OK.name, started_s)
        return response

    async def SegmentStream(  # noqa: N802 - the name on the wire
        self, request_iterator: AsyncIterator[pb.SegmentRequest], context: Context
    ) -> AsyncIterator[pb.SegmentStreamResponse]:
        """Many photographs; answers as they are ready."""
        answers: asyncio.Queue[pb.SegmentStreamResponse | None] = asyncio.Queue()
        reader = asyncio.create_task(
            self._read_stream(request_iterator, answers, _deadline_s(context))
        )
        try:
            while (answer := await answers.get()) is not None:
                yield answer
            await reader
        finally:
            reader.cancel()

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

    async def _read_stream(
        self,
        requests: AsyncIterator[pb.SegmentRequest],
        answers: "asyncio.Queue[pb.SegmentStreamResponse | None]",
        deadline_s: float | None,
    ) -> None:
        """Start the work of each request; ends the answers with None."""
        places = asyncio.Semaphore(STREAM_IN_FLIGHT)
        open_ids: set[str] = set()
        try:
            async with asyncio.TaskGroup() as tasks:
                async for request in requests:
                    await places.acquire()
                    task = tasks.create_task(self._answer_of_stream(request, open_ids, deadline_s))
                    task.add_done_callback(lambda done: _put(done, answers, places))
        finally:
            answers.put_nowait(None)

    async def _answer_of_stream(
        self, request: pb.SegmentRequest, open_ids: set[str], deadline_s: float | None
    ) -> pb.SegmentStreamResponse:
        """The outcome of one request; never raises but when cancelled."""
        started_s = time.monotonic()
        request_id = request.request_id
        try:
            if not request_id or request_id in open_ids:
                raise RequestError(
                    "expected a request_id that no unanswered request of this stream has; found "
                    + ("one in use" if request_id else "none")
                )
            open_ids.add(request_id)
            response = await self._segment_when_there_is_room(request, deadline_s)
            open_ids.discard(request_id)
        except Exception as error:  # noqa: BLE001 - it becomes the answer to this request
            if not isinstance(error, RequestError):
                open_ids.discard(request_id)
            failure = failure_of(error)
            self._count("SegmentStream", failure.code.name, started_s)
            self._count_rejection(failure)
            return _stream_error(request_id, failure)
        self._count("SegmentStream", grpc.StatusCode.OK.name, started_s)
        return pb.SegmentStreamResponse(request_id=request_id, response=response)

    async def _segment_when_there_is_room(
        self, request: pb.SegmentRequest, deadline_s: float | None
    ) -> pb.SegmentResponse:
        """Wait for a place instead of failing: a stream that is not read slows its sender."""
        async with self._segmenter.wait(request):
            return await self._segmenter.segment(request, deadline_s)

    def _count(self, method: str, code: str, started_s: float) -> None:
        self._metrics.requests.labels(method, code).inc()
        self._metrics.request_duration.labels(method).observe(time.monotonic() - started_s)

    def _count_rejection(self, failure: Failure) -> None:
        if failure.code is grpc.StatusCode.RESOURCE_EXHAUSTED:
            reason = "queue_full" if failure.retry_after_ms else "too_large"
            self._metrics.rejected.labels(reason).inc()
        elif failure.code is grpc.StatusCode.DEADLINE_EXCEEDED:
            self._metrics.rejected.labels("deadline").inc()


def _put(
    done: "asyncio.Task[pb.SegmentStreamResponse]",
    answers: "asyncio.Queue[pb.SegmentStreamResponse | None]",
    places: asyncio.Semaphore,
) -> None:
    places.release()
    if not done.cancelled() and done.exception() is None:
        answers.put_nowait(done.result())


def _deadline_s(context: Context) -> float | None:
    """The caller's deadline on the monotonic clock."""
    remaining_s = context.time_remaining()
    return None if remaining_s is None else time.monotonic() + remaining_s


def _trailer(failure: Failure) -> tuple[tuple[str, str], ...]:
    return ((RETRY_AFTER, str(failure.retry_after_ms)),) if failure.retry_after_ms else ()


def _stream_error(request_id: str, failure: Failure) -> pb.SegmentStreamResponse:
    return pb.SegmentStreamResponse(
        request_id=request_id,
        error=pb.PictureError(
            code=failure.code.value[0],
            message=failure.message,
            retry_after_ms=failure.retry_after_ms,
        ),
    )
