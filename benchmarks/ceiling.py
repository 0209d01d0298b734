"""The ceiling: pictures through pipeline and engine in this process, without a server."""

import os
import time
from concurrent.futures import ThreadPoolExecutor

from hunique_models.bundle import Bundle
from hunique_models.engine import Engine, open_engine
from hunique_models.geometry import Detail
from hunique_models.mask import encode_png, outlines
from hunique_models.pipeline import Pipeline


def measure_ceiling(
    bundle: Bundle, pictures: list[bytes], detail: Detail, seconds_s: float
) -> float:
    """Pictures per second without a server: the better of two ways to use all cores."""
    cores = len(os.sched_getaffinity(0))
    one_wide = [open_engine(bundle, "cpu", threads=cores)]
    many_narrow = [open_engine(bundle, "cpu", threads=1) for _ in range(cores)]
    rates = []
    for engines in (one_wide, many_narrow):
        rates.append(_in_process(bundle, engines, pictures, detail, seconds_s))
        for engine in engines:
            engine.close()
    return max(rates)


def _in_process(
    bundle: Bundle, engines: list[Engine], pictures: list[bytes], detail: Detail, seconds_s: float
) -> float:
    pipeline = Pipeline(bundle.manifest)

    def loop(engine: Engine) -> int:
        done = 0
        while time.monotonic() < ends_s:
            _answer(pipeline, engine, pictures[done % len(pictures)], detail)
            done += 1
        return done

    for engine in engines:
        _answer(pipeline, engine, pictures[0], detail)
    started_s = time.monotonic()
    ends_s = started_s + seconds_s
    with ThreadPoolExecutor(len(engines)) as pool:
        done = sum(pool.map(loop, engines))
    return done / (time.monotonic() - started_s)


def _answer(pipeline: Pipeline, engine: Engine, picture: bytes, detail: Detail) -> None:
    """All the work that an answer of the server needs, its encodings too."""
    for finding in pipeline.segment(picture, engine, detail).findings:
        for instance in finding.instances:
            encode_png(instance.mask.full())
            outlines(instance.mask)
