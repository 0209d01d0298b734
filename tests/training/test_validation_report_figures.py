"""Figures of a report against counting by hand: totals, parts, false alarms, calibration."""

import dataclasses
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from hunique_training.data.labels import LabelledPicture
from hunique_training.evaluation.truth import TruthPicture
from hunique_training.validation_report.across_sources import compare_sources
from hunique_training.validation_report.calibration import calibrations_of
from hunique_training.validation_report.cases import Case
from hunique_training.validation_report.class_figures import (
    FIGURES,
    NOT_MEASURED,
    TOO_FEW,
    ClassFigures,
    score_classes_of,
)
from hunique_training.validation_report.exact_interval import exact_interval
from hunique_training.validation_report.examined import Examined
from hunique_training.validation_report.false_alarms import (
    ANY_CLASS,
    HANDS,
    WITHOUT_HANDS,
    FalseAlarms,
    count_false_alarms,
)
from hunique_training.validation_report.picture_tally import ClassTally, PictureTally
from hunique_training.validation_report.picture_traits import PictureTraits
from hunique_training.validation_report.run_times import run_times_of
from hunique_training.validation_report.strata import Dimension, part_by_all
from hunique_training.validation_report.worst_cases import worst_cases

NAMES = ("ring", "tattoo")
Pair = tuple[Case, PictureTally]


def _pair(
    row: int,
    label: bool | None = True,
    *,
    score: float = 0.9,
    threshold: float = 0.5,
    pixels: tuple[int, int, int] | None = None,
    other: bool | None = False,
    **known: str,
) -> Pair:
    """A picture on which `ring` is labelled and scored so; `tattoo` is never found."""
    picture = LabelledPicture(
        path=Path(f"{row}.jpg"), labels=(label, other), group=known.get("group", f"g{row}"),
        source=known.get("source", "s"), kind=known.get("kind", "hand"),
    )  # fmt: skip
    case = Case(row=row, truth=TruthPicture(picture=picture, masks=(None, None)),
                view=known.get("view", ""), skin_tone=known.get("skin_tone", ""))  # fmt: skip
    status = "present" if score >= threshold else "absent"
    counts = None if pixels is None else (*pixels, 10, 5, 10, 5)
    found = ClassTally(status=status, score=score, pixels=counts,
                       instances=None if pixels is None else (2, 4, 2, 1))  # fmt: skip
    nothing = ClassTally(status="absent", score=0.1, pixels=None, instances=None)
    traits = PictureTraits(height_px=500, width_px=600, jpeg_quality=90, sharpness=float(row))
    tally = PictureTally(
        row=row, variant="as it is", stamp="", classes=(found, nothing), traits=traits,
        duration_ms=float(row), look_count=1, hardware=known.get("hardware", "here"),
    )  # fmt: skip
    return case, tally


def _examined(pairs: Sequence[Pair]) -> Examined:
    return Examined.gather(pairs, len(NAMES))


def _ring(pairs: Sequence[Pair], resamples: int = 200) -> ClassFigures:
    return score_classes_of(_examined(pairs), NAMES, resamples)[0]


def test_figures_are_ratios_of_sums() -> None:
    """Pixels, borders, instances and pictures are added up before they are divided."""
    pairs = [
        _pair(2, pixels=(60, 20, 20)),
        _pair(3, pixels=(0, 0, 100), score=0.2),
        _pair(4, False, pixels=(0, 50, 0)),
        _pair(5, False, score=0.1, pixels=(0, 0, 0)),
        _pair(6, None),
    ]
    found = {name: one.figure.value for name, one in _ring(pairs).figures.items()}
    assert tuple(found) == FIGURES
    assert found["iou"] == pytest.approx(60 / 250)
    assert found["dice"] == pytest.approx(120 / 310)
    assert found["boundary_f"] == pytest.approx(0.5)
    assert found["instance_precision_50"] == pytest.approx(4 / 8)
    assert found["instance_recall_50"] == pytest.approx(4 / 16)
    assert found["instance_recall_25"] == pytest.approx(8 / 16)
    assert (found["sensitivity"], found["specificity"], found["image_f1"]) == (0.5, 0.5, 0.5)


def test_what_a_figure_rests_on_is_said() -> None:
    """Masks for outlines, pictures with the class for sensitivity, without it for specificity."""
    pairs = [_pair(2, pixels=(1, 0, 0)), _pair(3), _pair(4, False, pixels=(0, 0, 0)),
             _pair(5, False), _pair(6, False)]  # fmt: skip
    ring = _ring(pairs)
    assert (ring.masks, ring.present, ring.absent) == (1, 2, 3)
    rests_on = {name: ring.figures[name].pictures for name in ("iou", "sensitivity", "specificity")}
    assert rests_on == {"iou": 1, "sensitivity": 2, "specificity": 3}


def test_without_masks_outlines_are_not_measured() -> None:
    """False pixels on pictures labelled 0 alone make no IoU of 0."""
    ring = _ring([_pair(2), _pair(3, False, pixels=(0, 9, 0))])
    assert ring.figures["iou"].missing == NOT_MEASURED
    assert math.isnan(ring.figures["iou"].figure.value)
    assert ring.figures["sensitivity"].missing == ""
    unlabelled = score_classes_of(_examined([_pair(2, other=None)]), NAMES, 10)[1]
    assert {one.missing for one in unlabelled.figures.values()} == {NOT_MEASURED}


def test_intervals_come_from_groups_not_pictures() -> None:
    """The same pictures in fewer groups have a wider interval; in one group none."""
    many = [_pair(n, score=0.9 if n % 2 else 0.1) for n in range(40)]
    four = [_pair(n, score=0.9 if n % 2 else 0.1, group=f"g{n % 4}") for n in range(40)]
    one = [_pair(n, score=0.9 if n % 2 else 0.1, group="g") for n in range(40)]
    wide, narrow, none = (_ring(pairs).figures["sensitivity"].figure for pairs in (four, many, one))
    assert wide.value == narrow.value == none.value == 0.5
    assert wide.high - wide.low > 1.5 * (narrow.high - narrow.low) > 0
    assert math.isnan(none.low)


def test_all_right_is_not_certain() -> None:
    """Where every group is right the exact interval of as many groups stands."""
    pairs = [_pair(n, group=f"g{n % 10}") for n in range(50)]
    figure = _ring(pairs).figures["sensitivity"].figure
    assert (figure.value, figure.high) == (1.0, 1.0)
    assert figure.low == pytest.approx(0.025 ** (1 / 10))
    without = _ring(pairs, resamples=0).figures["sensitivity"].figure
    assert math.isnan(without.low)


@pytest.mark.parametrize(
    ("hits", "trials", "low", "high"),
    [(0, 0, 0, 1), (0, 20, 0, 0.16843), (20, 20, 0.83157, 1), (5, 20, 0.08657, 0.49105)],
)
def test_exact_intervals_are_those_of_the_tables(
    hits: int, trials: int, low: float, high: float
) -> None:
    """Published limits of Clopper and Pearson."""
    assert exact_interval(hits, trials) == pytest.approx((low, high), abs=1e-4)


def _dimension(pairs: Sequence[Pair], name: str) -> Dimension:
    dimensions = part_by_all(pairs, _examined(pairs), NAMES, 50)
    return next(one for one in dimensions if one.name == name)


def test_parts_of_few_pictures_get_no_figure() -> None:
    """Ten pictures are a figure, nine are not, and fewer than ten in all are only counted."""
    pairs = [_pair(n, skin_tone="fair") for n in range(2, 12)]
    pairs += [_pair(n, False, score=0.1, skin_tone="fair") for n in range(12, 21)]
    pairs += [_pair(n, skin_tone="dark") for n in range(30, 39)] + [_pair(50)]
    fair, dark, unknown = _dimension(pairs, "skin_tone").strata
    assert (fair.name, fair.pictures, fair.groups) == ("fair", 19, 19)
    assert fair.classes[0].figures["sensitivity"].missing == ""
    assert fair.classes[0].figures["specificity"].missing == TOO_FEW
    assert (dark.name, dark.pictures, dark.classes) == ("dark", 9, ())
    assert unknown.name == "not stated"


def test_parts_are_scored_on_their_own_pictures() -> None:
    """A source that is always right and one that is always wrong do not mix."""
    pairs = [_pair(n, source="good") for n in range(10)]
    pairs += [_pair(n, source="bad", score=0.1) for n in range(10, 20)]
    by_name = {one.name: one.classes[0] for one in _dimension(pairs, "source").strata}
    assert by_name["good"].figures["sensitivity"].figure.value == 1.0
    assert by_name["bad"].figures["sensitivity"].figure.value == 0.0


def test_sharpness_is_parted_in_thirds() -> None:
    """From the least sharp, each with a third of the pictures."""
    strata = _dimension([_pair(n) for n in range(30)], "sharpness").strata
    assert [one.pictures for one in strata] == [10, 10, 10]
    assert strata[0].name == "least sharp third"


@pytest.mark.parametrize(
    ("quality", "name"),
    [(30, "below 50"), (50, "50 to 74"), (84, "75 to 84"), (95, "95 to 100"), (None, "no JPEG")],
)
def test_jpeg_qualities_have_their_part(quality: int | None, name: str) -> None:
    """Limits belong to the better part."""
    case, tally = _pair(2)
    traits = dataclasses.replace(tally.traits, jpeg_quality=quality)
    pairs = [(case, dataclasses.replace(tally, traits=traits))]
    assert [one.name for one in _dimension(pairs, "jpeg_quality").strata] == [name]


def _alarms(pairs: Sequence[Pair], name: str, population: str) -> FalseAlarms:
    counted = count_false_alarms([case for case, _ in pairs], _examined(pairs), NAMES)
    return next(one for one in counted if (one.name, one.population) == (name, population))


def test_false_alarms_are_counted_by_population() -> None:
    """Hands and pictures without hands apart; pooled pictures add to the latter alone."""
    pairs = [_pair(n, False, score=0.1) for n in range(3)] + [_pair(3, False), _pair(4, True)]
    backgrounds = [_pair(n, False, kind="background", score=0.1) for n in range(10, 14)]
    case, tally = _pair(20, False, kind="background")
    pairs += [*backgrounds, (dataclasses.replace(case, pooled=True), tally)]
    hands, without = (_alarms(pairs, "ring", which) for which in (HANDS, WITHOUT_HANDS))
    assert (hands.pictures, hands.alarms, hands.per_10_000) == (4, 1, 2500)
    assert (without.pictures, without.alarms, without.groups) == (5, 1, 5)
    low, high = hands.interval_per_10_000
    assert (low, high) == pytest.approx((63.1, 8058.8), abs=0.5)


def test_any_class_asks_for_pictures_without_any() -> None:
    """A picture with a tattoo is no picture without features, whatever its rings."""
    pairs = [_pair(2, False), _pair(3, False, other=True), _pair(4, None, other=None)]
    counted = _alarms(pairs, ANY_CLASS, HANDS)
    assert (counted.pictures, counted.alarms) == (1, 1)
    nobody = _alarms([_pair(2, True)], "ring", HANDS)
    assert (nobody.pictures, nobody.interval_per_10_000) == (0, (0.0, 10_000.0))
    assert math.isnan(nobody.per_10_000)


def test_calibration_by_hand() -> None:
    """Bins, ECE and Brier of four pictures; unknown labels stay out."""
    pairs = [_pair(2, True, score=0.95), _pair(3, False, score=0.95),
             _pair(4, False, score=0.05), _pair(5, False, score=0.15), _pair(6, None)]  # fmt: skip
    one = calibrations_of(_examined(pairs), NAMES, 20)[0]
    assert one.pictures == 4
    assert one.bins[:, 0].tolist() == [1, 1, 0, 0, 0, 0, 0, 0, 0, 2]
    assert one.ece.value == pytest.approx((0.9 + 0.05 + 0.15) / 4)
    assert one.brier.value == pytest.approx((0.05**2 + 0.95**2 + 0.05**2 + 0.15**2) / 4)
    assert one.brier.low <= one.brier.value <= one.brier.high


def test_a_score_of_one_falls_into_the_last_bin() -> None:
    """And a class without labels has no calibration, and no fault."""
    examined = _examined([_pair(2, score=1.0, other=None)])
    ring, tattoo = calibrations_of(examined, NAMES, 20)
    assert ring.bins[9, 0] == 1
    assert tattoo.pictures == 0
    assert math.isnan(tattoo.ece.value)


def test_a_score_that_knows_the_source_shows() -> None:
    """Scores that follow the source alone: good over all pairs, chance within sources."""
    pairs = [_pair(n, n < 9, score=0.9, source="studio") for n in range(10)]
    pairs += [_pair(n, n < 11, score=0.1, source="street") for n in range(10, 20)]
    one = compare_sources(_examined(pairs), NAMES)[0]
    assert one.auc_within_sources == 0.5
    assert one.auc_of_all_pairs == pytest.approx((9 * 9 + 0.5 * (9 + 9)) / 100)
    assert (one.sources_with_it, one.sources_with_both, one.pairs_within_sources) == (2, 2, 18)


def test_the_worst_come_first_and_class_by_class() -> None:
    """Sure misses before unsure ones, then poor outlines; good ones and right answers never."""
    pairs = [
        _pair(2, score=0.4), _pair(3, score=0.0), _pair(4, pixels=(50, 25, 25)),
        _pair(5, pixels=(99, 1, 0)), _pair(6, False, score=0.99), _pair(7, False, score=0.2),
        _pair(8, None), _pair(9, other=True),
    ]  # fmt: skip
    cases = [case for case, _ in pairs]
    worst = worst_cases(cases, _examined(pairs), NAMES)
    assert [(one.row, one.fault) for one in worst] == [
        (3, "missed"), (6, "false alarm"), (2, "missed"), (4, "poor outline"), (9, "missed"),
    ]  # fmt: skip
    shared = worst_cases(cases, _examined(pairs), NAMES, count=2)
    assert [(one.row, one.class_name) for one in shared] == [(3, "ring"), (9, "tattoo")]


def test_run_times_are_told_by_hardware() -> None:
    """A run that was continued elsewhere has two lines, not a mean of both."""
    pairs = [_pair(n, hardware="slow" if n > 10 else "fast") for n in range(1, 12)]
    fast, slow = run_times_of([tally for _, tally in pairs])
    assert (fast.hardware, fast.pictures, fast.median_ms) == ("fast", 10, 5.5)
    assert fast.p90_ms == pytest.approx(9.1)
    assert (slow.pictures, slow.median_ms) == (1, 11)


def test_not_assessable_counts_as_not_found() -> None:
    """It is a miss where the class is there, no alarm where it is not, and it is counted."""
    pairs = [_pair(2), _pair(3, False)]
    declined = []
    for case, tally in pairs:
        one = dataclasses.replace(tally.classes[0], status="not_assessable")
        declined.append((case, dataclasses.replace(tally, classes=(one, tally.classes[1]))))
    ring = _ring(declined)
    assert ring.not_assessable == 2
    assert ring.figures["sensitivity"].figure.value == 0
    assert ring.figures["specificity"].figure.value == 1


def test_groups_are_summed_whatever_their_numbers() -> None:
    """A part keeps the sums of its own groups alone."""
    examined = _examined([_pair(n, group=f"g{n // 2}") for n in range(6)])
    part = examined.part(np.array([False, False, True, True, False, True]))
    np.testing.assert_array_equal(part.by_group(np.ones((3, 1)))[:, 0], [2, 1])
