"""How long a picture takes, and on what."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hunique_training.validation_report.picture_tally import PictureTally


@dataclass(frozen=True, kw_only=True)
class RunTimes:
    """Times of the pictures that were examined on one machine."""

    hardware: str
    """Processor, engine and threads."""
    pictures: int
    """How many."""
    median_ms: float
    """Half take at most so long: decoding, network and findings."""
    p90_ms: float
    """Nine in ten take at most so long."""
    median_looks: float
    """Looks of half the pictures, at most."""


def run_times_of(tallies: Sequence[PictureTally]) -> tuple[RunTimes, ...]:
    """Times by hardware; a run that was continued elsewhere has several."""
    return tuple(
        _times(hardware, [one for one in tallies if one.hardware == hardware])
        for hardware in sorted({one.hardware for one in tallies})
    )


def _times(hardware: str, tallies: Sequence[PictureTally]) -> RunTimes:
    durations_ms = [one.duration_ms for one in tallies]
    return RunTimes(
        hardware=hardware,
        pictures=len(tallies),
        median_ms=float(np.median(durations_ms)),
        p90_ms=float(np.percentile(durations_ms, 90)),
        median_looks=float(np.median([one.look_count for one in tallies])),
    )
