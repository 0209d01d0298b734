"""Where the time of one request goes, for the statistics of its model.

    RequestTimes.open -> reading, note_timings, writing -> whoever opened it reads the sums

Where nothing was opened, as in tests of parts, nothing is kept.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field

from hunique_proto.v1 import hand_features_pb2 as pb


@dataclass(kw_only=True, eq=False)
class RequestTimes:
    """Of one request, from the look-up of its model on."""

    started_ns: int = field(default_factory=time.monotonic_ns)
    """On the monotonic clock."""
    items: int = 1
    """Pictures, or looks that the caller cut."""
    reading_ns: int = 0
    """Taking elements out of the message."""
    writing_ns: int = 0
    """Putting outputs into the answer."""
    waited_ns: int = 0
    """For room, before the picture came to the segmenter."""
    timings: pb.Timings = field(default_factory=pb.Timings)
    """Of the picture that was done last, on which the request waited."""

    @property
    def queue_ns(self) -> int:
        """Waiting."""
        return self.waited_ns + self.timings.queue_ns

    @property
    def input_ns(self) -> int:
        """From the message to looks."""
        return self.reading_ns + self.timings.decode_ns

    @property
    def output_ns(self) -> int:
        """From what the engine said to the answer."""
        return self.writing_ns + self.timings.postprocess_ns

    def so_far_ns(self) -> int:
        """From its start to now."""
        return time.monotonic_ns() - self.started_ns

    def open(self) -> None:
        """From now on, in this task and those that it starts, work is for this request."""
        _times.set(self)


_times: ContextVar[RequestTimes | None] = ContextVar("hunique_request_times", default=None)


def note_items(count: int) -> None:
    """The request has so many pictures or looks."""
    times = _times.get()
    if times is not None:
        times.items = count


def note_timings(timings: pb.Timings) -> None:
    """A picture of the request was done just now. What was before it was waiting."""
    times = _times.get()
    if times is not None:
        before_ns = times.so_far_ns() - times.reading_ns - timings.total_ns
        times.waited_ns = max(0, before_ns)
        times.timings = timings


@contextmanager
def reading() -> Iterator[None]:
    """Elements are taken out of the message."""
    started_ns = time.monotonic_ns()
    yield
    times = _times.get()
    if times is not None:
        times.reading_ns += time.monotonic_ns() - started_ns


@contextmanager
def writing() -> Iterator[None]:
    """Outputs are put into the answer."""
    started_ns = time.monotonic_ns()
    yield
    times = _times.get()
    if times is not None:
        times.writing_ns += time.monotonic_ns() - started_ns
