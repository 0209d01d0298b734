"""What is to be sent, sent and answered in one run over many pictures.

    sources -> next_to_send -> (unanswered) -> settle -> Outcome
                    ^                |
                    +-- start_over --+   the stream broke

Pictures are taken from their source one by one, as room is, so that a run over any
number of them holds a few at a time. Not for several threads.
"""

from collections import deque
from collections.abc import Iterable

from hunique_client.channel import STREAM_IN_FLIGHT
from hunique_client.errors import HuniqueClientError, ServerUnavailableError
from hunique_client.requests import Source
from hunique_client.results import Outcome, SegmentResult


class Ledger:
    """The books of one run.

    Args:
        sources: the pictures; read lazily, once.
    """

    def __init__(self, sources: Iterable[Source]) -> None:
        self._sources = enumerate(sources, start=1)
        self._all_read = False
        self._unanswered: dict[str, Source] = {}
        self._again: deque[str] = deque()

    @property
    def finished(self) -> bool:
        """Whether every picture has its outcome."""
        return self._all_read and not self._unanswered

    def start_over(self) -> None:
        """A new stream: what the last one left unanswered goes first."""
        self._again = deque(self._unanswered)

    def next_to_send(self) -> tuple[str, Source] | None:
        """Request id and picture; None where enough are under way or nothing is left."""
        if self._again:
            request_id = self._again.popleft()
            return request_id, self._unanswered[request_id]
        if self._all_read or len(self._unanswered) >= STREAM_IN_FLIGHT:
            return None
        for index, source in self._sources:
            self._unanswered[str(index)] = source
            return str(index), source
        self._all_read = True
        return None

    def waits_for(self, request_id: str) -> bool:
        """Whether a picture of that id has no outcome yet."""
        return request_id in self._unanswered

    def settle(self, request_id: str, answer: SegmentResult | HuniqueClientError) -> Outcome:
        """The outcome of a picture, with which it is done."""
        source = self._unanswered.pop(request_id)
        if isinstance(answer, SegmentResult):
            return Outcome(source=source, result=answer)
        return Outcome(source=source, error=answer)

    def left_over(self, error: HuniqueClientError) -> ServerUnavailableError:
        """The error of a run that ends because of another one, before all is answered."""
        count = len(self._unanswered)
        return ServerUnavailableError(f"{error}; {count} pictures are not answered")
