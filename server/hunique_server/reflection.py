"""Reflection as `grpc.reflection` asks for it: which services there are, and their messages.

Who asks may keep the stream open for ever; here it ends with the server, so that a drain waits
for pictures and not for whoever is curious.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable
from typing import Any

import grpc
from grpc_reflection.v1alpha import reflection
from grpc_reflection.v1alpha import reflection_pb2 as pb
from grpc_reflection.v1alpha import reflection_pb2_grpc as pb_grpc

SERVICE_NAME = reflection.SERVICE_NAME

Requests = AsyncIterator[pb.ServerReflectionRequest]


class Reflection(reflection.aio.ReflectionServicer):  # type: ignore[misc, name-defined] # untyped upstream
    """Answers for services, and for itself.

    Args:
        services: full names.
    """

    def __init__(self, *services: str) -> None:
        super().__init__((*services, SERVICE_NAME))
        self._ending = asyncio.Event()

    def register(self, server: grpc.aio.Server) -> None:
        """Answer on a server."""
        pb_grpc.add_ServerReflectionServicer_to_server(self, server)

    def end(self) -> None:
        """Let go of whoever asks; what was asked is answered."""
        self._ending.set()

    async def ServerReflectionInfo(  # noqa: N802 - the name on the wire
        self, request_iterator: Requests, context: grpc.aio.ServicerContext[Any, Any]
    ) -> AsyncIterator[pb.ServerReflectionResponse]:
        """An answer to each question, until there are no more or the server ends."""
        questions = self._until_the_end(request_iterator)
        async for answer in super().ServerReflectionInfo(questions, context):
            yield answer

    async def _until_the_end(self, requests: Requests) -> Requests:
        ending = asyncio.ensure_future(self._ending.wait())
        try:
            while (request := await _first(anext(requests, None), ending)) is not None:
                yield request
        finally:
            ending.cancel()


async def _first(
    reading: Awaitable[pb.ServerReflectionRequest | None], ending: asyncio.Future[Any]
) -> pb.ServerReflectionRequest | None:
    """What is read; None where the end comes first."""
    read = asyncio.ensure_future(reading)
    try:
        await asyncio.wait((read, ending), return_when=asyncio.FIRST_COMPLETED)
        return read.result() if read.done() else None
    finally:
        read.cancel()
