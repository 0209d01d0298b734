"""The engines of a server: opened, proved, measured, and laid out on the cores.

    prove -> serve -> widen, meanwhile

On the CPU two sessions serve both extremes: one of a single thread, whose runs overlap, so
that all cores share its weights, and one of all threads for a look that is alone. The server
is ready with the first; the second joins in once its answer was the same, byte for byte.
"""

import logging
import time
from collections.abc import Callable, Sequence
from functools import partial
from threading import Lock

import numpy as np
from numpy.typing import NDArray

from hunique_models.bundle import Bundle
from hunique_models.engine import Engine, EngineInfo, EngineOutput, open_engine
from hunique_server.batch_cost import BatchCost
from hunique_server.batcher import WrongCountError
from hunique_server.config import ServerConfig
from hunique_server.layout import ElasticLayout, FixedLayout, Layout
from hunique_server.self_test import check_engine

logger = logging.getLogger(__name__)

LookPixels = NDArray[np.uint8]
EngineLayout = Layout[LookPixels, EngineOutput]
Run = Callable[[Sequence[LookPixels]], list[EngineOutput]]

MEASURE_S = 0.25
"""Time that finding out the batch size may take at start."""
TIMED_RUNS = 3
"""Runs of each way before the server chooses between them."""


class Engines:
    """What runs the looks of one bundle.

    Args:
        bundle: the model.
        config: device, threads, workers, largest batch.
        engine: runs the bundle, one run at a time; None opens what the configuration names.

    Raises:
        EngineUnavailableError: the device, its driver or its runtime is not there.
    """

    def __init__(self, bundle: Bundle, config: ServerConfig, engine: Engine | None = None) -> None:
        self._bundle = bundle
        self._config = config
        self._is_given = engine is not None
        self._engine = engine or open_engine(bundle, config.device, self._threads_of_a_run())
        self._opened = [self._engine]
        self._closed = False
        self._lock = Lock()
        self._widening: Callable[[Callable[..., object]], None] | None = None

    def _threads_of_a_run(self) -> int:
        """With N workers the runs share what is left of the threads once each has its own."""
        workers = self._config.workers or self._config.threads
        return max(1, self._config.threads - workers + 1)

    def describe(self) -> EngineInfo:
        """Engine, device and versions."""
        return self._engine.describe()

    def prove(self) -> EngineLayout:
        """Run the engine, test it, and find out what batches are worth.

        Raises:
            EngineRunError: the engine fails its self-test.
        """
        witness = _Witness(self._engine)
        self._engine.warm_up()
        check_engine(self._bundle.manifest, witness)
        run, cost = partial(run_looks, self._engine), BatchCost(self._config.max_batch)
        if self._is_given:
            return FixedLayout(run, 1, cost)
        look = witness.look
        overlapping = self._engine.describe().overlapping
        if overlapping and not self._config.workers and self._config.threads > 1:
            elastic = ElasticLayout[LookPixels, EngineOutput](run, self._config.threads)
            self._widening = partial(self._widen, elastic, run, look)
            return elastic
        cost.measure(lambda count: run([look] * count), MEASURE_S)
        return FixedLayout(run, (self._config.workers or 1) if overlapping else 1, cost)

    def widen(self, call_soon: Callable[..., object]) -> None:
        """Add the way of all threads, if there is one and it proves itself. Takes a second.

        Args:
            call_soon: calls the layout where it lives, with arguments: its loop's
                `call_soon_threadsafe`.
        """
        if self._widening is None:
            return
        try:
            self._widening(call_soon)
        except Exception:
            if not self._closed:  # else it is the end, not a fault
                logger.exception("all threads at once could not be tried; runs have one thread")

    def _widen(
        self,
        elastic: ElasticLayout[LookPixels, EngineOutput],
        one_thread: Run,
        look: LookPixels,
        call_soon: Callable[..., object],
    ) -> None:
        cores = self._config.threads
        wide = open_engine(self._bundle, self._config.device, cores)
        all_threads = partial(run_looks, wide)
        all_threads([look])
        (narrow_says,), narrow_s = _timed(one_thread, look)
        (wide_says,), wide_s = _timed(all_threads, look)
        with self._lock:
            is_used = not self._closed and _same(narrow_says, wide_says)
            if is_used:
                self._opened.append(wide)
        if is_used:
            logger.debug("a look takes %.3f s on one core, %.3f s on %d", narrow_s, wide_s, cores)
            join = partial(elastic.widen, one_thread_s=narrow_s, all_threads_s=wide_s)
            call_soon(join, all_threads)
        else:
            wide.close()
            if not self._closed:
                logger.warning("one thread and %d give other bytes; runs have one thread", cores)

    def close(self) -> None:
        """Give memory and devices back."""
        with self._lock:
            self._closed = True
        for engine in self._opened:
            engine.close()


class _Witness:
    """An engine that remembers the first look of its last run."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.look: LookPixels = np.empty((0, 0, 3), np.uint8)
        self.describe, self.warm_up, self.close = engine.describe, engine.warm_up, engine.close

    def run(self, images: NDArray[np.uint8]) -> EngineOutput:
        self.look = images[0]
        return self._engine.run(images)


def run_looks(engine: Engine, looks: Sequence[LookPixels]) -> list[EngineOutput]:
    """Run looks (S, S, 3), of whatever pictures; an answer (1, C, h, w), (1, C) for each.

    Raises:
        WrongCountError: the engine gave fewer or more answers.
        EngineRunError: the run failed.
    """
    output = engine.run(np.stack(looks) if len(looks) > 1 else looks[0][None])
    if not len(output.probability) == len(output.score) == len(looks):
        # were this let through, a picture would get its neighbour's answer
        raise WrongCountError(
            f"expected answers to {len(looks)} looks, found {len(output.probability)} maps "
            f"and {len(output.score)} scores"
        )
    return [
        EngineOutput(output.probability[i : i + 1], output.score[i : i + 1])
        for i in range(len(looks))
    ]


def _timed(run: Run, look: LookPixels) -> tuple[list[EngineOutput], float]:
    """What a run says, and the shortest of a few: others on the machine only ever lengthen it."""
    durations_s = []
    for _ in range(TIMED_RUNS):
        started_s = time.monotonic()
        output = run([look])
        durations_s.append(time.monotonic() - started_s)
    return output, min(durations_s)


def _same(a: EngineOutput, b: EngineOutput) -> bool:
    return (
        a.probability.tobytes() == b.probability.tobytes()
        and a.score.tobytes() == b.score.tobytes()
    )
