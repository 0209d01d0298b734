"""Many pictures over one stream, surviving a server that goes away and comes back.

Pictures are read as the stream takes them, a bounded number are under way, and those
that a broken stream left unanswered are sent again over the next one.
"""

import threading
import time
from collections import deque
from collections.abc import Iterable, Iterator

import grpc

from hunique_client.channel import RECONNECT_S, STREAM_IN_FLIGHT
from hunique_client.errors import (
    InvalidRequestError,
    ServerUnavailableError,
    error_of_code,
    error_of_rpc,
)
from hunique_client.requests import Source, Wish, make_request
from hunique_client.results import Outcome, read_response
from hunique_proto.v1 import hand_features_pb2 as pb
from hunique_proto.v1 import hand_features_pb2_grpc as pb_grpc


class ManyPictures:
    """One run over many pictures.

    Args:
        stub: the service.
        sources: the pictures.
        wish: what is wanted of them.
    """

    def __init__(
        self, stub: pb_grpc.HandFeaturesStub, sources: Iterable[Source], wish: Wish
    ) -> None:
        self._stub = stub
        self._sources = enumerate(sources, start=1)
        self._wish = wish
        self._changed = threading.Condition()
        self._unanswered: dict[str, Source] = {}
        self._unreadable: deque[Outcome] = deque()
        self._again: deque[str] = deque()
        self._stream_number = 0

    def outcomes(self) -> Iterator[Outcome]:
        """Outcomes as they come, in any order.

        Raises:
            ServerUnavailableError: the server is gone and does not come back.
        """
        waits = iter(RECONNECT_S)
        while True:
            answered = 0
            try:
                for outcome in self._one_stream():
                    answered += 1
                    yield outcome
                return
            except ServerUnavailableError as error:
                waits = iter(RECONNECT_S) if answered else waits
                wait_s = next(waits, None)
                if wait_s is None:
                    raise ServerUnavailableError(
                        f"{error}; {len(self._unanswered)} pictures are not answered"
                    ) from error
                time.sleep(wait_s)

    def _one_stream(self) -> Iterator[Outcome]:
        with self._changed:
            self._stream_number += 1
            self._again = deque(self._unanswered)
            number = self._stream_number
        call = self._stub.SegmentStream(self._requests(number))
        try:
            for answer in call:
                yield from self._drain_unreadable()
                yield self._outcome(answer)
            yield from self._drain_unreadable()
        except grpc.RpcError as error:
            raise error_of_rpc(error) from error
        finally:
            call.cancel()
            with self._changed:
                self._stream_number += 1
                self._changed.notify_all()

    def _requests(self, number: int) -> Iterator[pb.SegmentRequest]:
        """What the stream sends; runs in a thread of gRPC's."""
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._has_room(number))
                if self._stream_number != number:
                    return
                request_id = self._next_id()
            if request_id is None:
                return
            try:
                yield make_request(self._unanswered[request_id], self._wish, request_id)
            except InvalidRequestError as error:
                with self._changed:
                    source = self._unanswered.pop(request_id)
                    self._unreadable.append(Outcome(source=source, error=error))

    def _has_room(self, number: int) -> bool:
        under_way = len(self._unanswered) - len(self._again)
        return self._stream_number != number or under_way < STREAM_IN_FLIGHT

    def _next_id(self) -> str | None:
        """The next picture to send: one left over from a broken stream, or a new one."""
        if self._again:
            return self._again.popleft()
        index, source = next(self._sources, (0, b""))
        if not index:
            return None
        self._unanswered[str(index)] = source
        return str(index)

    def _outcome(self, answer: pb.SegmentStreamResponse) -> Outcome:
        with self._changed:
            source = self._unanswered.pop(answer.request_id)
            self._changed.notify_all()
        if answer.WhichOneof("outcome") == "response":
            return Outcome(source=source, result=read_response(answer.response))
        error = answer.error
        return Outcome(
            source=source, error=error_of_code(error.code, error.message, error.retry_after_ms)
        )

    def _drain_unreadable(self) -> Iterator[Outcome]:
        while self._unreadable:
            yield self._unreadable.popleft()
