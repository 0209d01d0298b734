"""Intervals: what they cover, that groups stay whole, and that they repeat."""

import math

import numpy as np
import pytest

from hunique_models.geometry import Geometry
from hunique_models.manifest import ClassSpec, Manifest
from hunique_training.evaluation import bootstrap
from hunique_training.evaluation.bootstrap import draw_multiplicities, percentile_interval
from hunique_training.evaluation.class_scores import Figure, score_classes
from hunique_training.evaluation.evidence import PictureEvidence
from hunique_training.evaluation.protocol import Protocol


def _manifest() -> Manifest:
    spec = ClassSpec(
        name="ring", definition="", colour="#000000", presence_threshold=0.5, pixel_threshold=0.5
    )
    return Manifest(
        name="m", version="0.0.0", created_utc="", licence="", intended_use="",
        training_data_statement="", geometry=Geometry(), classes=(spec,),
    )  # fmt: skip


def _picture(found: bool, group: str, label: bool = True) -> PictureEvidence:
    """100 truth pixels, found or not."""
    feature, other = np.zeros((1, 256), np.int64), np.zeros((1, 256), np.int64)
    feature[0, 200 if found else 10] = 100
    return PictureEvidence(
        labels=(label,), source="s", group=group, scored=np.array([True]),
        raw_scores=np.array([0.9 if found else 0.1], np.float32),
        feature_counts=feature, other_counts=other,
    )  # fmt: skip


def _sensitivity(evidence: list[PictureEvidence]) -> Figure:
    (scores,) = score_classes(evidence, _manifest())
    return scores.presence["sensitivity"]


def test_interval_is_that_of_a_binomial() -> None:
    """60 of 100 independent pictures: 0.6 +- 1.96 sqrt(0.6 x 0.4 / 100)."""
    figure = _sensitivity([_picture(n < 60, f"g{n}") for n in range(100)])
    assert figure.value == pytest.approx(0.6)
    assert figure.low == pytest.approx(0.6 - 0.096, abs=0.015)
    assert figure.high == pytest.approx(0.6 + 0.096, abs=0.015)


def test_interval_covers_the_truth_about_as_often_as_it_says() -> None:
    """Of 200 data sets of 80 groups with rate 0.7, about 95 % have 0.7 in their interval."""
    rng = np.random.default_rng(1)
    weights = np.concatenate(list(draw_multiplicities(80, 80, 400)))
    covered = 0
    for _ in range(200):
        hits = (rng.random(80) < 0.7).astype(np.float64)
        low, high = percentile_interval(weights @ hits / 80, 80)
        covered += low <= 0.7 <= high
    assert 0.90 <= covered / 200 <= 0.99


def test_pictures_of_a_group_stay_together() -> None:
    """Ten alike pictures a group say no more than one: the interval is as wide."""
    single = _sensitivity([_picture(n < 12, f"g{n}") for n in range(20)])
    tenfold = _sensitivity([_picture(n < 12, f"g{n}") for n in range(20) for _ in range(10)])
    assert (tenfold.low, tenfold.high) == (single.low, single.high)
    apart = _sensitivity([_picture(n < 120, f"g{n}") for n in range(200)])
    assert apart.high - apart.low < 0.5 * (single.high - single.low)


def test_average_precision_is_resampled_by_group_too() -> None:
    """Ten alike pictures a group give the interval of one, around the value."""
    one = [_picture(n % 3 > 0, f"g{n}", label=n % 2 == 0) for n in range(20)]
    (single,) = score_classes(one, _manifest())
    (tenfold,) = score_classes([picture for picture in one for _ in range(10)], _manifest())
    figure = single.presence["average_precision"]
    assert 0 < figure.low < figure.value < figure.high < 1
    again = tenfold.presence["average_precision"]
    expected = pytest.approx((figure.value, figure.low, figure.high))
    assert (again.value, again.low, again.high) == expected


def test_one_group_has_no_interval() -> None:
    """Nothing to resample: figures without interval, for masks, presence and ranking."""
    (scores,) = score_classes([_picture(True, "g"), _picture(False, "g")], _manifest())
    figures = [*scores.presence.values(), *scores.pixels[Protocol.LABEL_FREE].values()]
    assert all(math.isnan(figure.low) and math.isnan(figure.high) for figure in figures)
    assert scores.sensitivity == 0.5


def test_groups_that_say_nothing_give_no_interval() -> None:
    """All pictures with the class come from one group: sensitivity has no interval."""
    evidence = [_picture(True, "a"), _picture(False, "a"), _picture(False, "b", label=False),
                _picture(True, "c", label=False)]  # fmt: skip
    (scores,) = score_classes(evidence, _manifest())
    assert math.isnan(scores.presence["sensitivity"].low)
    assert math.isnan(scores.presence["average_precision"].low)
    assert not math.isnan(scores.presence["specificity"].low)


def test_intervals_repeat_whatever_the_block(monkeypatch: pytest.MonkeyPatch) -> None:
    """The seed is fixed, and drawing in small blocks changes nothing."""
    evidence = [_picture(n % 3 == 0, f"g{n}") for n in range(30)]
    whole = _sensitivity(evidence)
    assert _sensitivity(evidence) == whole
    monkeypatch.setattr(bootstrap, "_BLOCK_VALUES", 100)
    assert _sensitivity(evidence) == whole


def test_every_resample_draws_as_many_groups_as_there_are() -> None:
    """Rows sum to the number of groups; there are as many as asked for."""
    weights = np.concatenate(list(draw_multiplicities(7, 9, 33)))
    assert weights.shape == (33, 7)
    assert (weights.sum(axis=1) == 7).all()


def test_no_pictures_and_no_resamples_are_no_fault() -> None:
    """An empty split and --resamples 0 give figures without values or intervals."""
    (empty,) = score_classes([], _manifest())
    assert math.isnan(empty.iou)
    (plain,) = score_classes([_picture(True, "a"), _picture(True, "b")], _manifest(), resamples=0)
    assert plain.iou == 1
    assert math.isnan(plain.pixels[Protocol.LABEL_FREE]["iou"].low)
