"""Streams: many requests over one call, worked on at once, within bounds.

read -> place -> room -> answer (several at once) -> answers -> caller takes one -> place free

A stream holds one request at most for which there is no place or no room yet: it is read further
when that one came in.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from typing import Generic, TypeVar

import grpc

from hunique_server.calls import Context

STREAM_IN_FLIGHT = 16
"""Requests of one stream that are worked on, or whose answers the caller has not taken; the
stream is not read beyond."""

Request = TypeVar("Request")
Answer = TypeVar("Answer")


class Streams:
    """The open streams of one service, which drain together.

    Args:
        ordered: whether answers come in the order of their requests, or as they are ready.
    """

    def __init__(self, *, ordered: bool) -> None:
        self._ordered = ordered
        self._draining = False
        self._reading: set[asyncio.Task[None]] = set()

    def drain(self) -> None:
        """Read no further from any stream; what was read is still answered."""
        self._draining = True
        for reading in self._reading:
            reading.cancel()

    async def answers(
        self,
        requests: AsyncIterator[Request],
        answer: Callable[[Request, asyncio.Event], Awaitable[Answer]],
        context: Context,
    ) -> AsyncGenerator[Answer, None]:
        """The answers to the requests of one stream.

        Args:
            requests: what the caller sends.
            answer: answers one, and sets the event when it came in; never raises but when
                cancelled.
            context: the call, aborted where a drain may have left requests unread.
        """
        stream = _Stream(answer)
        worker = asyncio.create_task(self._work_on(stream, requests))
        try:
            while (one := await stream.answers.get()) is not None:
                yield one
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

    async def _work_on(
        self, stream: "_Stream[Request, Answer]", requests: AsyncIterator[Request]
    ) -> bool:
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
        stream: "_Stream[Request, Answer]",
        requests: AsyncIterator[Request],
        tasks: asyncio.TaskGroup,
    ) -> None:
        """Start the work on each request, one after the other came in, as far as there are places."""
        turn = asyncio.Event()
        turn.set()
        async for request in requests:
            await stream.places.acquire()
            came_in, next_turn = asyncio.Event(), asyncio.Event()
            tasks.create_task(stream.answer(request, came_in, turn, next_turn))
            del request  # it may be answered long before there is another one
            await came_in.wait()
            if self._ordered:
                turn = next_turn


class _Stream(Generic[Request, Answer]):
    """What one stream is about.

    Args:
        answer: answers one request.
    """

    def __init__(self, answer: Callable[[Request, asyncio.Event], Awaitable[Answer]]) -> None:
        self._answer = answer
        self.answers: asyncio.Queue[Answer | None] = asyncio.Queue()
        self.places = asyncio.Semaphore(STREAM_IN_FLIGHT)
        """Free for requests; one is taken until the caller has the answer."""

    async def answer(
        self,
        request: Request,
        came_in: asyncio.Event,
        turn: asyncio.Event,
        next_turn: asyncio.Event,
    ) -> None:
        """Add the answer to one request to the answers, once it is its turn."""
        answer = await self._answer(request, came_in)
        came_in.set()  # also where it never did
        await turn.wait()
        self.answers.put_nowait(answer)
        next_turn.set()
