"""The ceilings: pictures through pipeline and engine in this process, without a server.

The latency loop has one picture at a time, whose runs have all cores: nothing answers a lone
caller sooner without splitting the picture. The throughput loop has a picture for each core,
side by side, with runs of one thread: nothing answers a crowd faster. Its loops share one
session, which is faster than one each, because the weights stay in the cache they share.
"""

import os
import time
from concurrent.futures import ThreadPoolExecutor

from hunique_models.bundle import Bundle
from hunique_models.engine import Engine, open_engine
from hunique_models.geometry import Detail
from hunique_models.mask import encode_png, outlines
from hunique_models.pipeline import Pipeline


class Ceiling:
    """Loops that share one engine, and what they have done so far.

    Args:
        bundle: the model.
        pictures: encoded images, taken in turn.
        detail: how closely to look.
        loops: pictures at once; the cores are shared out among them.
    """

    def __init__(self, bundle: Bundle, pictures: list[bytes], detail: Detail, loops: int) -> None:
        self._pipeline = Pipeline(bundle.manifest)
        self._pictures = pictures
        self._detail = detail
        self._loops = loops
        self._engine: Engine = open_engine(bundle, "cpu", threads=max(1, usable_cores() // loops))
        self._done = 0
        self._took_s = 0.0
        self._answer(0)

    @property
    def pictures_per_s(self) -> float:
        """Over all measurements."""
        return self._done / self._took_s

    def measure(self, seconds_s: float) -> float:
        """Go on for some time; a picture that has begun is finished.

        Returns:
            Pictures per second of this measurement.
        """
        started_s = time.monotonic()
        ends_s = started_s + seconds_s

        def loop(first: int) -> int:
            number = first
            while time.monotonic() < ends_s:
                self._answer(number)
                number += 1
            return number - first

        with ThreadPoolExecutor(self._loops) as pool:
            done = sum(pool.map(loop, range(self._loops)))
        took_s = time.monotonic() - started_s
        self._done += done
        self._took_s += took_s
        return done / took_s

    def _answer(self, number: int) -> None:
        """All the work that an answer of the server needs, its encodings too."""
        picture = self._pictures[number % len(self._pictures)]
        for finding in self._pipeline.segment(picture, self._engine, self._detail).findings:
            for instance in finding.instances:
                encode_png(instance.mask.full())
                outlines(instance.mask)


def usable_cores() -> int:
    """Cores of the affinity mask."""
    return len(os.sched_getaffinity(0))
