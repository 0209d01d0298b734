"""The client for asyncio; same shape as `hunique_client.HuniqueClient`."""

import asyncio
import os
from collections.abc import AsyncIterator, Iterable
from types import TracebackType
from typing import Self

import grpc

from hunique_client.channel import (
    CHANNEL_OPTIONS,
    DEFAULT_DEADLINE_S,
    RECONNECT_S,
    STREAM_IN_FLIGHT,
)
from hunique_client.client import SERVER_VARIABLE
from hunique_client.errors import (
    HuniqueClientError,
    ServerBusyError,
    ServerUnavailableError,
    error_of_rpc,
)
from hunique_client.private_server import PrivateServer
from hunique_client.requests import Source, Wish, make_request, make_wish
from hunique_client.results import (
    ModelDescription,
    Outcome,
    SegmentResult,
    read_description,
    read_response,
)
from hunique_proto.v1 import hand_features_pb2 as pb
from hunique_proto.v1 import hand_features_pb2_grpc as pb_grpc

__all__ = ["HuniqueClient"]


class HuniqueClient:
    """Talks to a hunique server; use it as an asynchronous context manager.

    Args:
        server: HOST:PORT or unix:PATH; None takes the variable HUNIQUE_SERVER, and where
            that is empty starts a private server on entering, ended on leaving.
    """

    def __init__(self, server: str | None = None) -> None:
        self._address = server or os.environ.get(SERVER_VARIABLE)
        self._private: PrivateServer | None = None

    async def __aenter__(self) -> Self:
        if not self._address:
            self._private = await asyncio.to_thread(PrivateServer)
        address = self._private.address if self._private else self._address or ""
        self._channel = grpc.aio.insecure_channel(address, options=CHANNEL_OPTIONS)
        self._stub = pb_grpc.HandFeaturesStub(self._channel)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    async def segment(
        self,
        image: Source,
        *,
        classes: Iterable[str] | None = None,
        outputs: Iterable[str] | None = None,
        detail: str | None = None,
        deadline_s: float = DEFAULT_DEADLINE_S,
    ) -> SegmentResult:
        """Find the features of one picture; see `hunique_client.HuniqueClient.segment`."""
        return await self._segment(image, make_wish(classes, outputs, detail), deadline_s)

    async def segment_many(
        self,
        images: Iterable[Source],
        *,
        classes: Iterable[str] | None = None,
        outputs: Iterable[str] | None = None,
        detail: str | None = None,
    ) -> AsyncIterator[Outcome]:
        """Find the features of many pictures; outcomes come as they are ready."""
        wish = make_wish(classes, outputs, detail)
        running: set[asyncio.Task[Outcome]] = set()
        try:
            for image in images:
                running.add(asyncio.create_task(self._outcome(image, wish)))
                if len(running) >= STREAM_IN_FLIGHT:
                    done, running = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
                    for task in done:
                        yield task.result()
            for ready in asyncio.as_completed(running):
                yield await ready
        finally:
            for task in running:
                task.cancel()

    async def describe_model(self, name: str = "") -> ModelDescription:
        """What model is served."""
        try:
            response = await self._stub.DescribeModel(
                pb.DescribeModelRequest(name=name), timeout=30
            )
        except grpc.RpcError as error:
            raise error_of_rpc(error) from error
        return read_description(response)

    async def close(self) -> None:
        """Close the channel, and end the private server if there is one."""
        await self._channel.close(None)
        if self._private is not None:
            await asyncio.to_thread(self._private.close)

    async def _segment(self, image: Source, wish: Wish, deadline_s: float) -> SegmentResult:
        request = await asyncio.to_thread(make_request, image, wish)
        try:
            return read_response(await self._stub.Segment(request, timeout=deadline_s))
        except grpc.RpcError as error:
            raise error_of_rpc(error) from error

    async def _outcome(self, image: Source, wish: Wish) -> Outcome:
        """One picture of many, tried again while the server is busy or away."""
        for wait_s in (*RECONNECT_S, None):
            try:
                result = await self._segment(image, wish, DEFAULT_DEADLINE_S)
            except (ServerBusyError, ServerUnavailableError) as error:
                if wait_s is None:
                    return Outcome(source=image, error=error)
                await asyncio.sleep(getattr(error, "retry_after_s", wait_s))
            except HuniqueClientError as error:
                return Outcome(source=image, error=error)
            else:
                return Outcome(source=image, result=result)
        raise AssertionError("the last try returns")
