"""What is opened, proved and measured at start, and that the way of a run never shows."""

import asyncio
import random
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

from hunique_models.bundle import Bundle, default_bundle_path
from hunique_models.drawn import draw_hand
from hunique_models.engine import EngineOutput, FakeEngine, open_engine
from hunique_models.pipeline import Pipeline
from hunique_server import engines as engines_module
from hunique_server.batcher import Batcher, WrongCountError
from hunique_server.caller import Caller, Priority
from hunique_server.config import ServerConfig
from hunique_server.engines import EngineLayout, Engines, run_looks
from hunique_server.layout import ElasticLayout, FixedLayout, Turn

LONG_S = 240.0
CORES = 2
Prove = Callable[..., EngineLayout]


@pytest.fixture
def prove(tiny_bundle: Bundle) -> Iterator[Prove]:
    """The layout of engines with some configuration; the engines end with the test."""
    opened: list[Engines] = []

    def proved(engine: Any = None, **choices: Any) -> EngineLayout:
        bundle = Bundle.open(choices.pop("bundle", tiny_bundle.path))
        engines = Engines(bundle, ServerConfig(bundles=(bundle.path,), **choices), engine)
        opened.append(engines)
        layout = engines.prove()
        engines.widen(lambda call, *arguments: call(*arguments))
        return layout

    yield proved
    for engines in opened:
        engines.close()


def test_auto_goes_both_ways(prove: Prove) -> None:
    """With several cores and workers left to the server it goes by the load."""
    layout = prove(threads=3)
    assert isinstance(layout, ElasticLayout)
    assert layout.places == 3
    ways = {layout.next_turn(waiting, 3).way for waiting in (1, 3) for _ in range(80)}  # type: ignore[union-attr]
    assert ways == {"one_thread", "all_threads"}


@pytest.mark.parametrize(
    ("threads", "workers", "places", "threads_of_a_run"),
    [(1, 0, 1, 1), (4, 1, 1, 4), (4, 4, 4, 1), (4, 3, 3, 2), (2, 5, 5, 1)],
)
def test_number_of_workers_is_kept_to(
    prove: Prove,
    monkeypatch: pytest.MonkeyPatch,
    threads: int,
    workers: int,
    places: int,
    threads_of_a_run: int,
) -> None:
    """Told how many runs go on at once, the server shares the threads out among them."""
    opened: list[int] = []

    def spy(bundle: Bundle, device: str, count: int) -> Any:
        opened.append(count)
        return open_engine(bundle, device, count)

    monkeypatch.setattr(engines_module, "open_engine", spy)
    layout = prove(threads=threads, workers=workers)
    assert isinstance(layout, FixedLayout)
    assert layout.places == places
    assert opened == [threads_of_a_run]


def test_engine_of_somebody_else_runs_one_batch_at_a_time(
    prove: Prove, tiny_bundle: Bundle
) -> None:
    """A given engine may not be able to do more, and gets batches as large as allowed."""
    engine = open_engine(tiny_bundle)
    layout = prove(engine, threads=4, max_batch=5)
    assert layout.places == 1
    turn = layout.next_turn(9, 1)
    assert isinstance(turn, Turn)
    assert turn.most == 5


def test_engine_that_differs_on_many_threads_is_not_used(
    prove: Prove, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Answers may not depend on the load: if they would, every run has one thread."""
    closed: list[int] = []

    class Differs:
        def __init__(self, bundle: Bundle, device: str, threads: int) -> None:
            self._engine, self._threads = open_engine(bundle, device, threads), threads
            self.describe, self.warm_up = self._engine.describe, self._engine.warm_up

        def run(self, images: np.ndarray) -> EngineOutput:
            output = self._engine.run(images)
            nudge = np.float32(1e-7 if self._threads > 1 else 0)
            return EngineOutput(output.probability, output.score + nudge)

        def close(self) -> None:
            closed.append(self._threads)
            self._engine.close()

    monkeypatch.setattr(engines_module, "open_engine", Differs)
    layout = prove(threads=2)
    turns = [layout.next_turn(1, 2) for _ in range(100)]
    assert {turn.way for turn in turns if isinstance(turn, Turn)} == {"one_thread"}
    assert closed == [2]


@pytest.mark.parametrize("lost", [0, 2])
def test_answers_are_counted(lost: int) -> None:
    """An engine that answers fewer looks than it was given is found out."""

    class Loses(FakeEngine):
        def run(self, images: np.ndarray) -> EngineOutput:
            output = super().run(images)
            return EngineOutput(output.probability[:-1], output.score[lost:])

    with pytest.raises(WrongCountError, match="expected answers to 3 looks"):
        run_looks(Loses(), [np.zeros((8, 8, 3), np.uint8)] * 3)


def _looks(bundle: Bundle) -> list[np.ndarray]:
    pipeline = Pipeline(bundle.manifest)
    hands = [draw_hand(seed, size_px=(700, 900)).pixels for seed in range(2)]
    noise = np.random.default_rng(3).integers(0, 256, (640, 640, 3), np.uint8)
    return [tile for pixels in (*hands, noise) for tile in pipeline.look_at(pixels).tiles][:10]


@pytest.mark.skipif(not default_bundle_path().exists(), reason="no bundled model")
async def test_bundled_model_gives_the_same_bytes_in_any_company(prove: Prove) -> None:
    """The real model, in random mixes of requests and priorities: never another byte."""
    bundle = Bundle.open(default_bundle_path())
    looks = _looks(bundle)
    engine = open_engine(bundle)
    alone = [engine.run(look[None]) for look in looks]
    engine.close()
    layout = prove(bundle=bundle.path, threads=CORES)
    assert isinstance(layout, ElasticLayout)
    turns = (layout.next_turn(1, CORES) for _ in range(200))
    ways = {turn.way: turn.run for turn in turns if isinstance(turn, Turn)}
    assert set(ways) == {"one_thread", "all_threads"}
    for index, look in enumerate(looks[:4]):
        for run in ways.values():
            (answer,) = run([look])
            assert answer.probability.tobytes() == alone[index].probability.tobytes()
            assert answer.score.tobytes() == alone[index].score.tobytes()
    dice = random.Random(5)

    async def ask(batcher: Batcher[Any, EngineOutput], indices: list[int]) -> None:
        caller = Caller(client=dice.choice("abc"), priority=dice.choice(list(Priority)))
        answers = await batcher.submit([looks[i] for i in indices], caller)
        for index, answer in zip(indices, answers, strict=True):
            assert answer.result.probability.tobytes() == alone[index].probability.tobytes()
            assert answer.result.score.tobytes() == alone[index].score.tobytes()

    with ThreadPoolExecutor(layout.places) as executor:
        batcher = Batcher(layout, executor)
        batcher.start()
        async with asyncio.timeout(LONG_S):
            await ask(batcher, [0])
            for _ in range(2):
                mixes = [dice.sample(range(len(looks)), dice.randint(1, 4)) for _ in range(3)]
                await asyncio.gather(*(ask(batcher, mix) for mix in mixes))
        await batcher.close()


@pytest.mark.skipif(not default_bundle_path().exists(), reason="no bundled model")
def test_bundled_model_gives_the_same_bytes_in_one_run_of_many() -> None:
    """Batches of one graph run, as a GPU has them, by the CPU: each look's bytes are its own."""
    bundle = Bundle.open(default_bundle_path())
    looks, engine = _looks(bundle)[:4], open_engine(bundle, threads=CORES)
    alone = [engine.run(look[None]) for look in looks]
    together = engine._run(np.stack(looks))  # type: ignore[attr-defined] # a batch as one run
    for index, one in enumerate(alone):
        assert together.probability[index].tobytes() == one.probability[0].tobytes()
        assert together.score[index].tobytes() == one.score[0].tobytes()
    engine.close()
