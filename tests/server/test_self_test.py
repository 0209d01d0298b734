import dataclasses
import re

import numpy as np
import pytest

from hunique_models.bundle import Bundle
from hunique_models.engine import EngineOutput, FakeEngine, open_engine
from hunique_models.errors import EngineRunError
from hunique_server.self_test import check_engine


def test_engine_of_the_bundle_passes(tiny_bundle: Bundle) -> None:
    """With a known answer and without."""
    engine = open_engine(tiny_bundle)
    check_engine(tiny_bundle.manifest, engine)
    check_engine(dataclasses.replace(tiny_bundle.manifest, known_answer=None), engine)
    engine.close()


class _Bent(FakeEngine):
    """Gives what the tiny bundle promises, changed by a test."""

    def __init__(self, probability: np.ndarray | None = None, score: np.ndarray | None = None):
        super().__init__()
        self._probability, self._score = probability, score

    def run(self, images: np.ndarray) -> EngineOutput:
        output = super().run(images)
        return EngineOutput(
            output.probability if self._probability is None else self._probability,
            output.score if self._score is None else self._score,
        )


@pytest.mark.parametrize(
    ("engine", "said"),
    [
        (_Bent(score=np.array([[0, 0, np.nan, 1]], np.float32)), "finite numbers, found 0.0, 0.0, nan"),
        (_Bent(score=np.zeros((1, 3), np.float32)), "float32 of shape (1, 4), found float32 of shape (1, 3)"),
        (_Bent(score=np.zeros((1, 4))), "found float64"),
        (_Bent(probability=np.zeros((1, 4, 8, 8), np.uint8)), "of shape (1, 4, 16, 16)"),
        (_Bent(probability=np.zeros((1, 4, 16, 16), np.float32)), "expected uint8"),
    ],
)  # fmt: skip
def test_graph_that_does_not_fit_its_manifest_fails(
    tiny_bundle: Bundle, engine: FakeEngine, said: str
) -> None:
    """Also where there is no known answer: form and numbers are as promised, or it is not served."""
    manifest = dataclasses.replace(tiny_bundle.manifest, known_answer=None)
    with pytest.raises(EngineRunError, match=re.escape(said)):
        check_engine(manifest, engine)
