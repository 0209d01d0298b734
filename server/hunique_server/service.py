"""The gRPC service `hunique.v1.HandFeatures`: convert, call, convert."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing, contextmanager

import grpc

from hunique_proto.v1 import hand_features_pb2 as pb
from hunique_proto.v1 import hand_features_pb2_grpc as pb_grpc
from hunique_server.caller import Caller, Priority
from hunique_server.calls import Calls, caller_of, caller_or_refuse, refuse
from hunique_server.convert import describe
from hunique_server.errors import (
    Failure,
    ModelNotServedError,
    RequestError,
    failure_of,
)
from hunique_server.metrics import Metrics
from hunique_server.served_models import ServedModels
from hunique_server.streams import Streams

SERVICE_NAME = "hunique.v1.HandFeatures"

Context = grpc.aio.ServicerContext[pb.SegmentRequest, pb.SegmentResponse]


class HandFeatures(pb_grpc.HandFeaturesServicer):
    """`hunique.v1.HandFeatures`.

    Args:
        models: do the work.
        metrics: what is counted.
    """

    def __init__(self, models: ServedModels, metrics: Metrics) -> None:
        self._models = models
        self._calls = Calls(metrics)
        self._streams = Streams(ordered=False)

    async def Segment(  # noqa: N802 - the name on the wire
        self, request: pb.SegmentRequest, context: Context
    ) -> pb.SegmentResponse:
        """One photograph, one answer."""
        work = self._segment(request, context)
        outcome = await self._calls.outcome("Segment", work)
        del request  # see `refuse`: the picture must not stay as long as the refusal does
        if isinstance(outcome, Failure):
            await refuse(context, outcome)
        return outcome

    async def _segment(self, request: pb.SegmentRequest, context: Context) -> pb.SegmentResponse:
        caller = caller_of(context, Priority.INTERACTIVE)
        with (
            self._models.answering(request.model) as segmenter,
            segmenter.admit(request, caller),
        ):
            return await segmenter.segment(request, caller)

    async def SegmentStream(  # noqa: N802 - the name on the wire
        self, request_iterator: AsyncIterator[pb.SegmentRequest], context: Context
    ) -> AsyncIterator[pb.SegmentStreamResponse]:
        """Many photographs; answers as they are ready."""
        ids, caller = _OpenIds(), await caller_or_refuse(context, Priority.BULK)

        async def answer(
            request: pb.SegmentRequest, came_in: asyncio.Event
        ) -> pb.SegmentStreamResponse:
            work = self._segment_one_of_many(request, ids, caller, came_in)
            outcome = await self._calls.outcome("SegmentStream", work)
            return _stream_response(request.request_id, outcome)

        async with aclosing(self._streams.answers(request_iterator, answer, context)) as answers:
            async for one in answers:
                yield one

    async def _segment_one_of_many(
        self, request: pb.SegmentRequest, ids: "_OpenIds", caller: Caller, came_in: asyncio.Event
    ) -> pb.SegmentResponse:
        # a stream waits for room instead of failing, which slows its sender
        with self._models.answering(request.model) as segmenter, ids.reserve(request.request_id):
            async with segmenter.wait(request, caller):
                came_in.set()
                return await segmenter.segment(request, caller)

    def drain(self) -> None:
        """Read no further from any stream; what was read is still answered."""
        self._streams.drain()

    async def DescribeModel(  # noqa: N802 - the name on the wire
        self, request: pb.DescribeModelRequest, context: Context
    ) -> pb.DescribeModelResponse:
        """A model that is served."""
        try:
            with self._models.use(request.name) as segmenter:
                return describe(segmenter.manifest, segmenter.model, segmenter.limits)
        except ModelNotServedError as error:
            await refuse(context, failure_of(error))


class _OpenIds:
    """Ids of one stream's requests that are not yet answered."""

    def __init__(self) -> None:
        self._open: set[str] = set()

    @contextmanager
    def reserve(self, request_id: str) -> Iterator[None]:
        """Keep an id from others while its request is worked on.

        Raises:
            RequestError: there is no id, or it is in use.
        """
        if not request_id or request_id in self._open:
            raise RequestError(
                "expected a request_id that no unanswered request of this stream has; found "
                + ("one in use" if request_id else "none")
            )
        self._open.add(request_id)
        try:
            yield
        finally:
            self._open.remove(request_id)


def _stream_response(
    request_id: str, outcome: pb.SegmentResponse | Failure
) -> pb.SegmentStreamResponse:
    if isinstance(outcome, Failure):
        error = pb.PictureError(
            code=outcome.code.value[0],
            message=outcome.message,
            retry_after_ms=outcome.retry_after_ms,
        )
        return pb.SegmentStreamResponse(request_id=request_id, error=error)
    return pb.SegmentStreamResponse(request_id=request_id, response=outcome)
