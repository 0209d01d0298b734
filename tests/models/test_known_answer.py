"""An engine that computes something else than the bundle was proved with is found out."""

import dataclasses
from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from hunique_models.bundle import Bundle
from hunique_models.engine import Engine, EngineOutput, open_engine
from hunique_models.errors import EngineRunError
from hunique_models.known_answer import check_known_answer, record_known_answer
from hunique_models.manifest import Manifest


class _Wrong:
    """A real engine whose answers are spoilt."""

    def __init__(self, engine: Engine, spoil: Callable[[EngineOutput], EngineOutput]) -> None:
        self._engine, self._spoil = engine, spoil
        self.describe, self.warm_up, self.close = engine.describe, engine.warm_up, engine.close

    def run(self, images: NDArray[np.uint8]) -> EngineOutput:
        return self._spoil(self._engine.run(images))


@pytest.fixture
def keen(tiny_bundle: Bundle) -> Manifest:
    """Thresholds at which the colour rule outlines something of the drawn hand."""
    classes = tuple(
        dataclasses.replace(spec, presence_threshold=0.1, pixel_threshold=0.18)
        for spec in tiny_bundle.manifest.classes
    )
    manifest = dataclasses.replace(tiny_bundle.manifest, classes=classes, known_answer=None)
    answer = record_known_answer(manifest, open_engine(tiny_bundle))
    assert max(answer.areas_px.values()) > 1000
    return dataclasses.replace(manifest, known_answer=answer)


def test_right_engine_passes(tiny_bundle: Bundle) -> None:
    """The engine that recorded the answer gives it again, bit by bit."""
    engine = open_engine(tiny_bundle)
    check_known_answer(tiny_bundle.manifest, engine)
    assert record_known_answer(tiny_bundle.manifest, engine) == tiny_bundle.manifest.known_answer


@pytest.mark.parametrize(
    "spoil",
    [
        lambda out: EngineOutput(out.probability, out.score[:, ::-1]),
        lambda out: EngineOutput(out.probability, np.clip(out.score + 0.1, 0, 1)),
        lambda out: EngineOutput(np.full_like(out.probability, 255), np.ones_like(out.score)),
        lambda out: EngineOutput(out.probability * 0, out.score * 0),
        lambda out: EngineOutput(out.probability, out.score * np.nan),
    ],
    ids=["classes swapped", "scores off", "everything", "nothing", "no number"],
)
def test_wrong_engine_is_caught(
    spoil: Callable[[EngineOutput], EngineOutput], tiny_bundle: Bundle
) -> None:
    """Swapped classes, shifted scores, all, nothing and NaN are refused with both figures."""
    engine = _Wrong(open_engine(tiny_bundle), spoil)
    with pytest.raises(EngineRunError, match=r"expected score .*found"):
        check_known_answer(tiny_bundle.manifest, engine)


def test_wrong_area_is_caught(keen: Manifest, tiny_bundle: Bundle) -> None:
    """Right scores with maps that are too large are refused as well."""

    def swollen(output: EngineOutput) -> EngineOutput:
        return EngineOutput(np.minimum(output.probability, 127) * 2, output.score)

    check_known_answer(keen, open_engine(tiny_bundle))
    with pytest.raises(EngineRunError, match=r"and \d+ px"):
        check_known_answer(keen, _Wrong(open_engine(tiny_bundle), swollen))


def test_small_differences_pass(keen: Manifest, tiny_bundle: Bundle) -> None:
    """Rounding of another device, a step of 1/255 and a thousandth of a score, is no fault."""

    def rounded(output: EngineOutput) -> EngineOutput:
        less = np.where(output.probability > 0, output.probability - 1, 0).astype(np.uint8)
        return EngineOutput(less, np.clip(output.score - 0.001, 0, 1))

    check_known_answer(keen, _Wrong(open_engine(tiny_bundle), rounded))


def test_bundle_without_an_answer_passes(tiny_bundle: Bundle) -> None:
    """A bundle that was written without a self-test is not held to one."""
    manifest = dataclasses.replace(tiny_bundle.manifest, known_answer=None)
    check_known_answer(manifest, open_engine(tiny_bundle))
