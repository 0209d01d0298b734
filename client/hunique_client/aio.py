"""The client for asyncio; same shape as `hunique_client.HuniqueClient`.

    async with HuniqueClient() as client:
        result = await client.segment("hand.jpg")
        async for outcome in client.segment_many(paths): ...

Errors are those of `hunique_client.errors`.
"""

import asyncio
import os
from collections.abc import AsyncIterator, Iterable
from types import TracebackType
from typing import Self

import grpc

from hunique_client.aio_many import AioManyPictures
from hunique_client.channel import (
    DEFAULT_DEADLINE_S,
    DESCRIBE_DEADLINE_S,
    RECONNECT_S,
)
from hunique_client.client import SERVER_VARIABLE
from hunique_client.connection import open_aio_channel
from hunique_client.credentials import Credentials
from hunique_client.errors import error_of_rpc
from hunique_client.private_server import PrivateServer
from hunique_client.requests import Source, make_request, make_wish
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

    Any number of its methods may be under way at once.

    Args:
        server: HOST:PORT or unix:PATH; None takes the variable HUNIQUE_SERVER, and where
            that is empty starts a private server on entering, ended on leaving.
        credentials: for a named server; None takes those of the environment.

    Raises:
        ServerUnavailableError: on entering, no private server could be started.
        CredentialsError: on entering, the credentials cannot be used for this server.
    """

    def __init__(self, server: str | None = None, credentials: Credentials | None = None) -> None:
        self._credentials = credentials
        self._private: PrivateServer | None = None
        self._channel: grpc.aio.Channel | None = None
        self.address = server or os.environ.get(SERVER_VARIABLE) or ""
        """What it talks to; of a private server known once entered."""

    async def __aenter__(self) -> Self:
        if not self.address:
            self._private = await asyncio.to_thread(PrivateServer)
            self.address = self._private.address
            self._credentials = Credentials()
        credentials = self._credentials or Credentials.from_environment()
        self._channel = open_aio_channel(self.address, credentials)
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
        model: str = "",
        deadline_s: float = DEFAULT_DEADLINE_S,
    ) -> SegmentResult:
        """Find the features of one picture; see `hunique_client.HuniqueClient.segment`."""
        wish = make_wish(classes, outputs, detail, model)
        request = await asyncio.to_thread(make_request, image, wish)
        try:
            return read_response(await self._stub.Segment(request, timeout=deadline_s))
        except grpc.RpcError as error:
            raise error_of_rpc(error) from error

    def segment_many(
        self,
        images: Iterable[Source],
        *,
        classes: Iterable[str] | None = None,
        outputs: Iterable[str] | None = None,
        detail: str | None = None,
        model: str = "",
    ) -> AsyncIterator[Outcome]:
        """Many pictures; see `hunique_client.HuniqueClient.segment_many`."""
        wish = make_wish(classes, outputs, detail, model)
        waits_s = RECONNECT_S if self._private is None else ()
        return AioManyPictures(self._stub, images, wish, waits_s).outcomes()

    async def describe_model(self, name: str = "") -> ModelDescription:
        """What a model is; see `hunique_client.HuniqueClient.describe_model`."""
        request = pb.DescribeModelRequest(name=name)
        try:
            return read_description(
                await self._stub.DescribeModel(request, timeout=DESCRIBE_DEADLINE_S)
            )
        except grpc.RpcError as error:
            raise error_of_rpc(error) from error

    async def close(self) -> None:
        """Close the channel, and end the private server if there is one."""
        if self._channel is not None:
            await self._channel.close(None)
        if self._private is not None:
            await asyncio.to_thread(self._private.close)
