"""Weak by full supervision: ratios of IoU and their paired intervals, by hand."""

import dataclasses
import math

import numpy as np
import pytest

from hunique_training.checkpoint import CheckpointError, ModelCheckpoint
from hunique_training.data.labels import DataError
from hunique_training.evaluation.bootstrap import draw_multiplicities
from hunique_training.evaluation.figures import PixelColumn
from hunique_training.evaluation.protocol import Protocol
from hunique_training.evaluation.tally import GroupSums
from hunique_training.network.cosa import CosaNetwork, NetworkConfig
from hunique_training.second_stage.ratio import MEAN, ratios, ratios_as_text, refuse_mistaken

Counts = list[list[tuple[int, int, int]]]


def _sums(counts: Counts) -> GroupSums:
    """Sums from (hit, false, missed) of each group and class, as they come without borders."""
    pixels = np.full((len(counts), len(counts[0]), len(PixelColumn)), np.nan)
    pixels[..., :3] = counts
    groups = len(counts)
    return GroupSums(
        images=np.zeros((groups, len(counts[0]), 4)),
        pixels={Protocol.LABEL_FREE: pixels, Protocol.LABEL_FILTERED: pixels * 0},
        pixels_by_source={},
        masks_by_source={},
        raw_scores=np.zeros((groups, len(counts[0]))),
        labels=np.zeros((groups, len(counts[0])), np.int8),
        group_of_picture=np.arange(groups),
    )


WEAK: Counts = [[(4, 4, 2), (1, 1, 2)], [(6, 0, 4), (3, 1, 0)], [(1, 2, 7), (2, 2, 2)]]
FULL: Counts = [[(5, 1, 1), (2, 0, 1)], [(9, 1, 1), (3, 0, 0)], [(4, 0, 4), (3, 1, 1)]]


def _iou(counts: Counts, c: int, weights: list[float]) -> float:
    hit = sum(w * group[c][0] for w, group in zip(weights, counts, strict=True))
    return hit / sum(w * sum(group[c]) for w, group in zip(weights, counts, strict=True))


def test_ratios_are_of_sums_over_all_groups() -> None:
    """Each class by scalar loops, and the ratio of the means rather than the mean of ratios."""
    first, second, mean = ratios(_sums(WEAK), _sums(FULL), ("a", "b"), 0)
    ones = [1.0] * 3
    for c, row in enumerate((first, second)):
        assert row.weak_iou == pytest.approx(_iou(WEAK, c, ones))
        assert row.full_iou == pytest.approx(_iou(FULL, c, ones))
        assert row.ratio == pytest.approx(row.weak_iou / row.full_iou)
        assert math.isnan(row.low)
    assert mean.name == MEAN
    assert mean.ratio == pytest.approx(
        (first.weak_iou + second.weak_iou) / (first.full_iou + second.full_iou)
    )


def test_groups_are_drawn_once_for_both_models() -> None:
    """Percentiles of ratios, each of one draw of groups, by scalar loops."""
    (drawn,) = draw_multiplicities(3, 3, 200)
    rows = ratios(_sums(WEAK), _sums(FULL), ("a", "b"), 200)
    for c in range(2):
        each = [_iou(WEAK, c, list(w)) / _iou(FULL, c, list(w)) for w in drawn]
        low, high = np.percentile(each, (2.5, 97.5))
        assert (rows[c].low, rows[c].high) == pytest.approx((low, high))
    means = [
        (_iou(WEAK, 0, list(w)) + _iou(WEAK, 1, list(w)))
        / (_iou(FULL, 0, list(w)) + _iou(FULL, 1, list(w)))
        for w in drawn
    ]
    assert (rows[2].low, rows[2].high) == pytest.approx(tuple(np.percentile(means, (2.5, 97.5))))


def test_a_class_without_masks_has_no_ratio() -> None:
    """False alarms alone are no IoU of 0, and the means leave the class out."""
    alarms: Counts = [[group[0], (0, 7, 0)] for group in WEAK]
    first, second, mean = ratios(_sums(alarms), _sums(alarms), ("a", "b"), 20)
    assert math.isnan(second.weak_iou)
    assert math.isnan(second.ratio)
    assert mean.weak_iou == first.weak_iou


def test_a_model_is_all_of_itself() -> None:
    """The interval of a ratio of one has no width, however few groups there are."""
    for row in ratios(_sums(FULL), _sums(FULL), ("a", "b"), 50):
        assert (row.low, row.ratio, row.high) == pytest.approx((1, 1, 1))


def test_undefined_ratios_are_dashes() -> None:
    """A class that no picture shows, and one that the full model misses altogether."""
    nothing = [[(0, 0, 0), (0, 0, 3), (1, 0, 1)]] * 2
    rows = ratios(_sums(nothing), _sums(nothing), ("a", "b", "c"), 20)
    assert [math.isnan(row.ratio) for row in rows] == [True, True, False, False]
    assert rows[3].full_iou == pytest.approx(0.25)
    assert ratios_as_text(rows).splitlines()[1].split() == ["a", "-", "-", "-", "[-", "-]"]


def test_pictures_must_be_the_same() -> None:
    """Sums of other pictures are refused."""
    other = dataclasses.replace(_sums(FULL), group_of_picture=np.array([0, 1, 1]))
    with pytest.raises(DataError, match="the same pictures"):
        ratios(_sums(WEAK), other, ("a", "b"), 0)


def _model(supervision: str, *names: str) -> ModelCheckpoint:
    network = CosaNetwork(NetworkConfig(class_names=names))
    return ModelCheckpoint(network=network, training={"supervision": supervision})


def test_models_that_do_not_compare_are_refused() -> None:
    """The first is weakly supervised, the second fully, and both know the same classes."""
    weak, full = _model("image", "a"), _model("pixel", "a")
    refuse_mistaken(weak, full)
    refuse_mistaken(dataclasses.replace(weak, training={}), full)
    for supervision in ("marks", "simulated_marks"):
        refuse_mistaken(_model(supervision, "a"), full)
    with pytest.raises(CheckpointError, match="found supervision pixel and image"):
        refuse_mistaken(full, weak)
    with pytest.raises(CheckpointError, match="found supervision image and image"):
        refuse_mistaken(weak, weak)
    with pytest.raises(CheckpointError, match="found a and b"):
        refuse_mistaken(weak, _model("pixel", "b"))
