"""What one version of a model has done since it was loaded: requests, and runs of its engine.

    a request: found the model -> answered, or anything else
    a run:     so many looks, so long

All services count here: a picture is the same work, whichever way it came.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from hunique_server.request_times import RequestTimes


@dataclass
class Tally:
    """How often something was done, and how long it took."""

    count: int = 0
    """How often."""
    ns: int = 0
    """All of it together."""

    def add(self, ns: int) -> None:
        """Once more."""
        self.count += 1
        self.ns += ns


class ModelStatistics:
    """For one event loop."""

    def __init__(self) -> None:
        self.success = Tally()
        """Requests that were answered."""
        self.fail = Tally()
        """Requests that were refused, failed, late or left by their caller."""
        self.queue = Tally()
        """Of answered requests: waiting."""
        self.compute_input = Tally()
        """Of answered requests: from the message to looks."""
        self.compute_infer = Tally()
        """Of answered requests: from the first run of the engine to the end of the last."""
        self.compute_output = Tally()
        """Of answered requests: from what the engine said to the answer."""
        self.inference_count = 0
        """Pictures that were answered, and looks that callers cut themselves."""
        self.last_run_ms = 0
        """When the last run ended, since the epoch; 0: there was none."""
        self.runs: dict[int, Tally] = {}
        """Runs that succeeded, by their number of looks."""

    @property
    def execution_count(self) -> int:
        """Runs that succeeded."""
        return sum(tally.count for tally in self.runs.values())

    @contextmanager
    def request(self) -> Iterator[None]:
        """What is done in this context is one request; what it raises makes it a failure."""
        times = RequestTimes()
        times.open()
        try:
            yield
        except BaseException:  # also that the caller has left
            self.fail.add(times.so_far_ns())
            raise
        self.success.add(times.so_far_ns())
        self.queue.add(times.queue_ns)
        self.compute_input.add(times.input_ns)
        self.compute_infer.add(times.timings.inference_ns)
        self.compute_output.add(times.output_ns)
        self.inference_count += times.items

    def observe_run(self, look_count: int, run_ns: int) -> None:
        """A run of the engine has succeeded."""
        self.runs.setdefault(look_count, Tally()).add(run_ns)
        self.last_run_ms = time.time_ns() // 1_000_000
