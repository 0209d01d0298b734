"""Many pictures with asyncio: a few calls under way at once, each tried again by itself.

It has no stream as `hunique_client.many` has: gRPC's streams for asyncio hide why they
broke when they break while something is sent.
"""

import asyncio
from collections.abc import AsyncGenerator, Iterable

import grpc

from hunique_client import channel
from hunique_client.errors import (
    DeadlineError,
    HuniqueClientError,
    InvalidRequestError,
    ServerBusyError,
    ServerUnavailableError,
    error_of_rpc,
)
from hunique_client.ledger import Ledger
from hunique_client.requests import Source, Wish, make_request
from hunique_client.results import Outcome, SegmentResult, read_response
from hunique_proto.v1 import hand_features_pb2 as pb
from hunique_proto.v1 import hand_features_pb2_grpc as pb_grpc

Answer = tuple[str, SegmentResult | HuniqueClientError]
"""Request id, and what became of the picture."""


class AioManyPictures:
    """One run over many pictures.

    Args:
        stub: the service, on a channel of asyncio.
        sources: the pictures.
        wish: what is wanted of them.
        waits_s: pauses between tries to reach a server that went away.
    """

    def __init__(
        self,
        stub: pb_grpc.HandFeaturesStub,
        sources: Iterable[Source],
        wish: Wish,
        waits_s: tuple[float, ...],
    ) -> None:
        self._stub = stub
        self._wish = wish
        self._ledger = Ledger(sources)
        self._waits_s = waits_s
        self._max_bytes = 0

    async def outcomes(self) -> AsyncGenerator[Outcome, None]:
        """Outcomes as they come, in any order.

        Raises:
            ServerUnavailableError: there is no server, or it does not come back.
        """
        self._max_bytes = await self._ask_max_bytes()
        running: set[asyncio.Task[Answer]] = set()
        try:
            while True:
                picture = self._ledger.next_to_send()
                if picture is not None:
                    running.add(asyncio.create_task(self._answer(*picture)))
                elif self._ledger.finished:
                    return
                done, _ = await asyncio.wait(
                    running,
                    timeout=None if picture is None else 0,
                    return_when=asyncio.FIRST_COMPLETED,
                )
                for task in done:
                    running.discard(task)
                    yield self._ledger.settle(*task.result())
        finally:
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)

    async def _ask_max_bytes(self) -> int:
        """The largest picture that the server takes."""
        request = pb.DescribeModelRequest(name=self._wish.model)
        try:
            described = await self._stub.DescribeModel(request, timeout=channel.DESCRIBE_DEADLINE_S)
        except grpc.RpcError as error:
            raise error_of_rpc(error) from error
        return int(described.max_image_bytes)

    async def _answer(self, request_id: str, source: Source) -> Answer:
        """One picture, tried again while the server is busy or away.

        Raises:
            ServerUnavailableError: it is away for too long.
        """
        waits_left = iter(self._waits_s)
        try:
            request = await asyncio.to_thread(
                make_request, source, self._wish, max_bytes=self._max_bytes
            )
        except InvalidRequestError as error:
            return request_id, error
        while True:
            try:
                return request_id, await self._segment(request)
            except ServerBusyError as error:
                await asyncio.sleep(error.retry_after_s)
            except (ServerUnavailableError, DeadlineError) as error:
                wait_s = next(waits_left, None)
                if wait_s is None:
                    raise self._ledger.left_over(error) from error
                await asyncio.sleep(wait_s)
            except HuniqueClientError as error:
                return request_id, error

    async def _segment(self, request: pb.SegmentRequest) -> SegmentResult:
        try:
            return read_response(await self._stub.Segment(request, timeout=channel.STALLED_S))
        except grpc.RpcError as error:
            raise error_of_rpc(error) from error
