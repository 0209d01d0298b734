"""The one door of the server: every call of every service passes it.

    access (token) -> quota -> access (connection) -> quota -> open calls -> [message is read] -> handler

What is refused for who sends it, or how much, is refused before its message is read.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractContextManager, aclosing, asynccontextmanager, nullcontext
from typing import Any

import grpc

from hunique_server.access import NO_KEYS, Access, AccessError
from hunique_server.calls import Context, refuse
from hunique_server.errors import Failure
from hunique_server.identity import Identity, act_as, identity_of
from hunique_server.metrics import Metrics
from hunique_server.open_calls import OpenCalls
from hunique_server.picture_record import (
    Observer,
    PictureRecord,
    Scope,
    ended_record,
    enter_call,
    refused_record,
)
from hunique_server.quota import QuotaExceededError, Quotas
from hunique_server.unreadable import NO_MESSAGE, lenient

_WITH_PICTURES = frozenset((
    "/hunique.v1.HandFeatures/Segment",
    "/hunique.v1.HandFeatures/SegmentStream",
    "/inference.GRPCInferenceService/ModelInfer",
    "/inference.GRPCInferenceService/ModelStreamInfer",
))  # fmt: skip
_ACCOUNTED = frozenset((
    "/inference.GRPCInferenceService/RepositoryModelLoad",
    "/inference.GRPCInferenceService/RepositoryModelUnload",
))  # fmt: skip
"""What changes the server, and so is told to observers although it is no picture."""
_EOF: Any = grpc.aio.EOF  # type: ignore[attr-defined] # not among its annotations
_TRACE_CONTEXT = ("traceparent", "tracestate")
_REASONS = {
    grpc.StatusCode.UNAUTHENTICATED: "unauthenticated",
    grpc.StatusCode.PERMISSION_DENIED: "forbidden",
    grpc.StatusCode.RESOURCE_EXHAUSTED: "quota",
}
Gate = Callable[[], Failure | None]
Handler = Any
"""gRPC's description of a method: how messages are read, what answers them."""


class Door(grpc.aio.ServerInterceptor):  # type: ignore[type-arg] # no generic when it runs
    """Lets calls in, as whoever makes them.

    Args:
        access: who may call what.
        quotas: how much.
        open_calls: how many at once.
        metrics: where refusals are counted.
        observers: told what becomes of requests.
        gate: says why no picture is examined now, or None; None: they always are.
    """

    def __init__(
        self,
        access: Access,
        quotas: Quotas,
        open_calls: OpenCalls,
        metrics: Metrics,
        observers: tuple[Observer, ...] = (),
        gate: Gate | None = None,
    ) -> None:
        self.access = access
        self.quotas = quotas
        self.open_calls = open_calls
        self.observers = observers
        self.gate = gate
        self._metrics = metrics

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Handler]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Handler:
        """Wrap the handler of a call, or put a refusal in its place."""
        handler = await continuation(handler_call_details)
        if handler is None:
            return handler
        call = _Call(self, handler, handler_call_details)
        try:
            await call.admit_token()
        except _Refused as refused:
            return _refusing(refused.failure)
        return call.wrapped()

    def turn_away(self, method: str, failure: Failure, identity: Identity | None) -> None:
        """Count a refusal and tell of it."""
        reason = "no_keys" if failure is NO_KEYS else _REASONS.get(failure.code, "closed")
        self._metrics.turned_away.labels(reason).inc()
        self.tell(refused_record(_short(method), failure.code, identity))

    def tell(self, record: PictureRecord) -> None:
        """Tell observers of what is no picture."""
        for observer in self.observers:
            observer.observe(record)

    def closed(self) -> Failure | None:
        """Why no picture is examined now; None where they are."""
        return None if self.gate is None else self.gate()


class _Refused(Exception):  # noqa: N818 - it is no fault
    def __init__(self, failure: Failure) -> None:
        super().__init__()
        self.failure = failure


class _Call:
    """One call on its way through the door."""

    def __init__(self, door: Door, handler: Handler, details: grpc.HandlerCallDetails) -> None:
        self._door = door
        self._handler = handler
        self._method = details.method
        self._metadata = _readable(details.invocation_metadata)
        self._identity: Identity | None = None
        self._cut_short: Failure | None = None  # why a stream was not read to its end

    async def admit_token(self) -> None:
        """Find out who calls, as far as the metadata says.

        Raises:
            _Refused: it may not.
        """
        try:
            self._identity = await self._door.access.admit(self._method, self._metadata)
        except AccessError as error:
            raise self._refused(error.failure, error.identity) from None
        if self._identity is not None:
            self._spend(self._identity)

    def wrapped(self) -> Handler:
        """The handler, which first lets its caller in."""
        handler = self._handler
        behaviour: Any = (
            handler.unary_unary
            or handler.unary_stream
            or handler.stream_unary
            or handler.stream_stream
        )

        async def answer(_: Any, context: Context) -> Any:
            async with self._let_in(context):
                work = behaviour(await self._given(context), context)
                if self._method in _ACCOUNTED:
                    return await self._accounted(work, context)
                return await work

        async def answers(_: Any, context: Context) -> AsyncIterator[Any]:
            async with (
                self._let_in(context),
                aclosing(behaviour(await self._given(context), context)) as work,
            ):
                async for one in work:
                    yield one
                if self._cut_short is not None:
                    await refuse(context, self._cut_short)

        # one message or many, they are read here, when the caller was let in
        make, wrapper = (
            (grpc.stream_stream_rpc_method_handler, answers)
            if handler.response_streaming
            else (grpc.stream_unary_rpc_method_handler, answer)
        )
        return make(wrapper, lenient(handler.request_deserializer), handler.response_serializer)

    async def _accounted(self, work: Awaitable[Any], context: Context) -> Any:
        try:
            return await work
        finally:
            record = ended_record(_short(self._method), _code_of(context), identity_of(context))
            self._door.tell(record)

    @asynccontextmanager
    async def _let_in(self, context: Context) -> AsyncIterator[None]:
        """Let the caller in, for as long as the call is open, or end the call."""
        try:
            self._check_certificate(context)
            identity = self._identity or self._by_connection(context)
            place = self._place_of(identity)
        except _Refused as refused:
            failure = refused.failure
        else:
            with place:
                self._enter(identity)
                yield
            return
        await refuse(context, failure)

    def _place_of(self, identity: Identity) -> AbstractContextManager[None]:
        if self._method not in _WITH_PICTURES:
            return nullcontext()
        failure = self._door.open_calls.refusal(identity.name)
        if failure is not None:
            raise self._refused(failure, identity)
        return self._door.open_calls.enter(identity.name)

    def _check_certificate(self, context: Context) -> None:
        try:
            self._door.access.check_certificate(context)
        except AccessError as error:
            raise self._refused(error.failure, error.identity or self._identity) from None

    def _by_connection(self, context: Context) -> Identity:
        try:
            identity = self._door.access.of_connection(self._method, context)
        except AccessError as error:
            raise self._refused(error.failure, error.identity) from None
        self._spend(identity)
        return identity

    def _enter(self, identity: Identity) -> None:
        act_as(identity)
        if self._method in _WITH_PICTURES:
            self._identity = identity
            kept = {name: self._metadata[name] for name in _TRACE_CONTEXT if name in self._metadata}
            spend = self._door.quotas.spend_pixels if self._door.quotas.limits else None
            enter_call(
                Scope(
                    identity=identity,
                    metadata=kept,
                    observers=self._door.observers,
                    spend_pixels=spend,
                )
            )

    def _spend(self, identity: Identity) -> None:
        """Take a request's share; a stream's are taken one by one, when they come."""
        if self._method not in _WITH_PICTURES:
            return
        failure = self._door.closed()
        if failure is not None:
            raise self._refused(failure, identity)
        if self._handler.request_streaming or not self._door.quotas.limits:
            return
        try:
            self._door.quotas.take(identity.name)
        except QuotaExceededError as error:
            failure = Failure(
                code=grpc.StatusCode.RESOURCE_EXHAUSTED,
                message=str(error),
                retry_after_ms=error.retry_after_ms,
            )
            raise self._refused(failure, identity) from None

    async def _given(self, context: Context) -> Any:
        """What the method works on: its message, or the many of a stream; or the call ends."""
        if self._handler.request_streaming:
            return self._one_by_one(context)
        request = await context.read()
        if request is _EOF:
            request = NO_MESSAGE
        if isinstance(request, Failure):
            await refuse(context, request)
        return request

    async def _one_by_one(self, context: Context) -> AsyncIterator[Any]:
        """A stream's requests, as far as gate and messages allow, no faster than the share."""
        # not by gRPC's own iterator: it keeps each request until there is another one
        while (request := await context.read()) is not _EOF:
            if isinstance(request, Failure):
                self._cut_short = request
            elif self._identity is not None and self._method in _WITH_PICTURES:
                self._cut_short = await self._wait_for_share(self._identity)
            if self._cut_short is not None:
                return
            yield request
            del request

    async def _wait_for_share(self, identity: Identity) -> Failure | None:
        """Wait until one more picture of a stream may come in; why it may not."""
        if self._door.quotas.limits:
            await self._door.quotas.wait(identity.name)
        failure = self._door.closed()
        if failure is not None:
            self._door.turn_away(self._method, failure, identity)
        return failure

    def _refused(self, failure: Failure, identity: Identity | None) -> _Refused:
        self._door.turn_away(self._method, failure, identity)
        return _Refused(failure)


def _short(method: str) -> str:
    return method.rpartition("/")[2]


def _code_of(context: Context) -> grpc.StatusCode:
    """What a call ended with; gRPC gives it as it was set, or as a number, or not at all."""
    code = context.code()
    if isinstance(code, grpc.StatusCode):
        return code
    return next((c for c in grpc.StatusCode if c.value[0] == code), grpc.StatusCode.OK)


def _readable(metadata: Any) -> dict[str, str]:
    """Names and values of a call's metadata, without the binary ones."""
    return {key: value for key, value in metadata or () if isinstance(value, str)}


def _refusing(failure: Failure) -> Handler:
    """A handler that reads no message, whatever kind the method's own is."""

    async def answers(_requests: Any, context: Context) -> AsyncIterator[bytes]:
        await refuse(context, failure)
        yield b""  # never reached: makes it the handler of a stream

    return grpc.stream_stream_rpc_method_handler(answers)
