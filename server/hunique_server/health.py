"""Health as `grpc.health.v1` asks for it: whether requests are taken, now and in future.

Watchers never end by themselves; here they end with the server, so that a drain waits for
pictures and not for whoever watches.
"""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import grpc
from grpc_health.v1 import health_pb2 as pb
from grpc_health.v1 import health_pb2_grpc as pb_grpc

SERVICE_NAME = "grpc.health.v1.Health"

Context = grpc.aio.ServicerContext[Any, Any]


class Health(pb_grpc.HealthServicer):  # type: ignore[misc] # untyped upstream
    """Answers for the server as a whole, "", and for services, which are healthy with it.

    Args:
        services: full names.
    """

    def __init__(self, *services: str) -> None:
        self._services = frozenset(("", *services))
        self._status = pb.HealthCheckResponse.NOT_SERVING
        self._ended = False
        self._change = asyncio.Event()

    def serve(self) -> None:
        """From now on requests are taken."""
        self._tell(pb.HealthCheckResponse.SERVING)

    def end(self) -> None:
        """From now on they are not; watchers are told and let go."""
        self._ended = True
        self._tell(pb.HealthCheckResponse.NOT_SERVING)

    def _tell(self, status: "pb.HealthCheckResponse.ServingStatus") -> None:
        self._status = status
        self._change.set()
        self._change = asyncio.Event()

    async def Check(  # noqa: N802 - the name on the wire
        self, request: pb.HealthCheckRequest, context: Context
    ) -> pb.HealthCheckResponse:
        """The status now; NOT_FOUND for services that are not served."""
        if request.service not in self._services:
            await context.abort(grpc.StatusCode.NOT_FOUND, "this service is not served here")
        return pb.HealthCheckResponse(status=self._status)

    async def Watch(  # noqa: N802 - the name on the wire
        self,
        request: pb.HealthCheckRequest,
        context: Context,  # noqa: ARG002 - gRPC gives it
    ) -> AsyncIterator[pb.HealthCheckResponse]:
        """The status now and whenever it changes."""
        known = request.service in self._services
        while True:
            change = self._change
            yield pb.HealthCheckResponse(
                status=self._status if known else pb.HealthCheckResponse.SERVICE_UNKNOWN
            )
            if self._ended:
                return
            await change.wait()
