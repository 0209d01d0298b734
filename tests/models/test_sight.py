"""Levels that do not see a class have no say in its mask where another level sees it."""

import dataclasses
from math import log

import numpy as np
import pytest

from hunique_models.bundle import Bundle
from hunique_models.engine import EngineOutput
from hunique_models.geometry import OVERVIEW_LEVEL, Look
from hunique_models.manifest import Calibration, ClassSpec
from hunique_models.pipeline import Pipeline
from hunique_models.seeing import Seen
from hunique_models.sight import counting_looks, counting_parts, laying_order

LOOKS = [
    Look(x_px=0, y_px=0, scale=scale, level=level)
    for scale, level in ((0.5, 0), (0.25, OVERVIEW_LEVEL), (1, 1), (1, 1))
]


@pytest.fixture
def spec(tiny_bundle: Bundle) -> ClassSpec:
    """A class that is present from a score of 0.6, calibrated as it is."""
    first = tiny_bundle.manifest.classes[0]
    plain = Calibration(scale=1, offset=0)
    return dataclasses.replace(first, presence_threshold=0.6, calibration=plain, in_overview=False)


def _counts(spec: ClassSpec, scores: list[float], share: float = 0.5) -> list[bool]:
    given = np.array(scores, np.float32)[:, None]
    return [bool(one) for one in counting_looks(LOOKS, given, [spec], share)[:, 0]]


def test_far_levels_that_see_nothing_are_silent(spec: ClassSpec) -> None:
    """One tile that sees it speaks for its level, the tiles beside it too."""
    assert _counts(spec, [0.29, 0.9, 0.1, 0.31]) == [False, False, True, True]
    assert _counts(spec, [0.31, 0.9, 0.1, 0.31]) == [True, False, True, True]
    assert _counts(spec, [0.31, 0.9, 0.1, 0.29]) == [True, False, False, False]


def test_all_count_where_none_sees_it_or_nobody_asks(spec: ClassSpec) -> None:
    """A mask of doubts is that of all levels; 0 is how it was before."""
    assert _counts(spec, [0.1, 0.1, 0.1, 0.2]) == [True, False, True, True]
    assert _counts(spec, [0.1, 0.1, 0.1, 0.9], share=0) == [True, False, True, True]


def test_overview_sees_for_classes_that_have_it(spec: ClassSpec) -> None:
    """It is one of their levels; for others it neither counts nor speaks."""
    seen = dataclasses.replace(spec, in_overview=True)
    assert _counts(seen, [0.1, 0.9, 0.1, 0.1]) == [False, True, False, False]
    assert _counts(spec, [0.1, 0.9, 0.1, 0.1]) == [True, False, True, True]


def test_sight_is_by_the_calibrated_score(spec: ClassSpec) -> None:
    """Raw scores are not compared with a threshold of calibrated ones."""
    lifted = dataclasses.replace(spec, calibration=Calibration(scale=1, offset=log(9)))
    assert _counts(lifted, [0.1, 0.1, 0.01, 0.1]) == [True, False, True, True]
    assert _counts(lifted, [0.01, 0.1, 0.01, 0.1]) == [False, False, True, True]


def test_small_features_of_large_pictures_get_their_mask(
    tiny_bundle: Bundle, red_square: np.ndarray
) -> None:
    """What tiles are sure of is not outvoted by the whole picture, where the manifest says so."""
    manifest = tiny_bundle.manifest
    masks = []
    for share in (0.0, 0.5):
        geometry = dataclasses.replace(manifest.geometry, sight_share=share)
        pipeline = Pipeline(dataclasses.replace(manifest, geometry=geometry))
        looks = pipeline.look_at(red_square)
        far = np.array([look.level == 0 for look in looks.looks])
        assert 0 < far.sum() < len(far)
        side = geometry.input_size_px // geometry.output_stride_px
        count = len(manifest.classes)
        answers = np.full((len(far), count, side, side), 250, np.uint8)
        answers[far] = 2
        scores = np.where(far, 0.001, 0.999).astype(np.float32)
        output = EngineOutput(answers, np.repeat(scores[:, None], count, axis=1))
        masks.append(pipeline.merge(Seen(looks=looks.looks, output=output), red_square))
    assert masks[0].max() < 200
    assert masks[1].min() > 240


@pytest.mark.parametrize(
    ("scores", "counts"),
    [
        ([0.5, 0.61, 0.59], [False, True, False]),
        ([0.7, 0.61, 0.2], [True, True, False]),
        ([0.5, 0.59], [True, True]),
    ],
)
def test_parts_that_do_not_see_it_are_silent(
    spec: ClassSpec, scores: list[float], counts: list[bool]
) -> None:
    """Where one reaches the threshold the others must; where none does, all count."""
    given = np.array(scores, np.float32)[:, None]
    assert counting_parts(given, [spec])[:, 0].tolist() == counts


def test_the_region_that_sees_a_class_best_is_laid_in_last() -> None:
    """Each class has its own order: those without a say first, then by score, then the surest."""
    scores = np.array([[0.9, 0.1], [0.2, 0.1], [0.7, 0.5]], np.float32)
    counts = np.array([[False, True], [True, True], [True, True]])
    assert laying_order(scores, counts).T.tolist() == [[0, 1, 2], [1, 0, 2]]
