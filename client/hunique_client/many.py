"""Many pictures over one stream, surviving a server that goes away and comes back.

    caller's thread:  sources -> ledger -> outbox          inbox -> ledger -> outcomes
    gRPC's threads:                        outbox -> wire -> inbox

Pictures are read in the caller's thread, a few at a time, and only while it asks for
outcomes. `hunique_client.aio_many` is the same for asyncio.
"""

import contextlib
import threading
import time
from collections.abc import Generator, Iterable, Iterator
from queue import Empty, SimpleQueue

import grpc

from hunique_client import channel
from hunique_client.errors import (
    HuniqueClientError,
    InvalidRequestError,
    ServerBusyError,
    ServerUnavailableError,
    error_of_code,
    error_of_rpc,
)
from hunique_client.ledger import Ledger
from hunique_client.requests import Source, Wish, make_request
from hunique_client.results import Outcome, SegmentResult, read_response
from hunique_proto.v1 import hand_features_pb2 as pb
from hunique_proto.v1 import hand_features_pb2_grpc as pb_grpc

Outbox = SimpleQueue[pb.SegmentRequest | None]
"""What is sent; None ends it."""
Inbox = SimpleQueue[pb.SegmentStreamResponse | grpc.RpcError | None]
"""What came; an error or None where the stream ended."""


CANCEL_S = 10.0
"""How long a reader may take to end once its call is cancelled; it takes moments."""


class ManyPictures:
    """One run over many pictures.

    Args:
        stub: the service.
        sources: the pictures.
        wish: what is wanted of them.
        waits_s: pauses between tries to reach a server that went away.
        readers: where the threads stand that take what comes, as long as they run.
    """

    def __init__(
        self,
        stub: pb_grpc.HandFeaturesStub,
        sources: Iterable[Source],
        wish: Wish,
        waits_s: tuple[float, ...],
        readers: set[threading.Thread],
    ) -> None:
        self._stub = stub
        self._readers = readers
        self._wish = wish
        self._ledger = Ledger(sources)
        self._requests: dict[str, pb.SegmentRequest] = {}  # of pictures under way
        self._waits_s = waits_s
        self._waits_left = iter(waits_s)
        self._max_bytes = 0

    def outcomes(self) -> Generator[Outcome, None, None]:
        """Outcomes as they come, in any order.

        Raises:
            ServerUnavailableError: there is no server, or it does not come back.
            HuniqueClientError: it fails otherwise.
        """
        self._max_bytes = self._ask_max_bytes()
        while not self._ledger.finished:
            try:
                yield from self._one_stream()
            except (ServerUnavailableError, ServerBusyError) as error:
                time.sleep(self._pause_s(error))

    def _pause_s(self, error: ServerUnavailableError | ServerBusyError) -> float:
        """How long to wait before the next try; a busy server is asked until it has room.

        Raises:
            ServerUnavailableError: there was the last one.
        """
        if isinstance(error, ServerBusyError):
            return error.retry_after_s
        wait_s = next(self._waits_left, None)
        if wait_s is None:
            raise self._ledger.left_over(error) from error
        return wait_s

    def _ask_max_bytes(self) -> int:
        """The largest picture that the server takes; a larger one would end the stream."""
        request = pb.DescribeModelRequest(name=self._wish.model)
        try:
            described = self._stub.DescribeModel(request, timeout=channel.DESCRIBE_DEADLINE_S)
        except grpc.RpcError as error:
            raise error_of_rpc(error) from error
        return int(described.max_image_bytes)

    def _one_stream(self) -> Iterator[Outcome]:
        outbox: Outbox = SimpleQueue()
        inbox: Inbox = SimpleQueue()
        call = self._stub.SegmentStream(iter(outbox.get, None))
        reader = threading.Thread(target=_read, args=(call, inbox), daemon=True)
        self._readers.add(reader)
        reader.start()
        self._ledger.start_over()
        try:
            yield from self._exchange(outbox, inbox)
            outbox.put(None)
            reader.join(channel.DESCRIBE_DEADLINE_S)  # let the server end the call in good order
        finally:
            outbox.put(None)
            call.cancel()
            end(reader)
            self._readers.discard(reader)

    def _exchange(self, outbox: Outbox, inbox: Inbox) -> Iterator[Outcome]:
        while True:
            picture = self._ledger.next_to_send()
            if picture is not None:
                yield from self._send(*picture, outbox)
            elif self._ledger.finished:
                return
            try:
                answer = inbox.get_nowait() if picture else _next_of(inbox)
            except Empty:
                continue
            if isinstance(answer, grpc.RpcError):
                raise error_of_rpc(answer)
            if answer is None:
                raise ServerUnavailableError("the server ended the stream")
            if self._ledger.waits_for(answer.request_id):
                value = _value_of(answer)
                self._waits_left = iter(self._waits_s)
                del self._requests[answer.request_id]
                yield self._ledger.settle(answer.request_id, value)

    def _send(self, request_id: str, source: Source, outbox: Outbox) -> Iterator[Outcome]:
        """Send a picture; gives an outcome where it cannot be sent."""
        try:
            # kept, because a stream that was read cannot be read again
            request = self._requests.get(request_id) or make_request(
                source, self._wish, request_id, self._max_bytes
            )
        except InvalidRequestError as error:
            yield self._ledger.settle(request_id, error)
        else:
            self._requests[request_id] = request
            outbox.put(request)


def end(reader: threading.Thread) -> None:
    """Wait for the thread of a call that was cancelled.

    Were it stopped by the end of the program while it holds a lock of gRPC, the program would
    wait for that lock for ever when it forgets the call.
    """
    reader.join(CANCEL_S)


def _next_of(inbox: Inbox) -> pb.SegmentStreamResponse | grpc.RpcError | None:
    """What comes next; a signal ends the wait, whenever it arrives.

    Raises:
        ServerUnavailableError: nothing comes.
    """
    end_s = time.monotonic() + channel.STALLED_S
    while (left_s := end_s - time.monotonic()) > 0:
        with contextlib.suppress(Empty):
            return inbox.get(timeout=min(left_s, channel.NOTICED_S))
    raise ServerUnavailableError(f"no answer for {channel.STALLED_S:g} s")


def _read(call: Iterable[pb.SegmentStreamResponse], inbox: Inbox) -> None:
    """Hand on what comes; runs in a thread of its own, and ends with the call."""
    try:
        for answer in call:
            inbox.put(answer)
    except grpc.RpcError as error:
        inbox.put(error)
    else:
        inbox.put(None)


def _value_of(answer: pb.SegmentStreamResponse) -> SegmentResult | HuniqueClientError:
    """The result, or why there is none.

    Raises:
        ServerUnavailableError, ServerBusyError: not now; the picture is not answered.
    """
    if answer.WhichOneof("outcome") == "response":
        return read_response(answer.response)
    refusal = answer.error
    error = error_of_code(refusal.code, refusal.message, refusal.retry_after_ms)
    if isinstance(error, ServerUnavailableError | ServerBusyError):
        raise error
    return error
