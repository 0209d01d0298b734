"""Every figure against loops over single pixels and pictures."""

import math
from itertools import product
from pathlib import Path

import cv2
import numpy as np
import pytest

from hunique_models.geometry import Geometry
from hunique_models.manifest import Calibration, ClassSpec, Manifest
from hunique_training.data.labels import LabelledPicture
from hunique_training.evaluation.average_precision import RankedLabels
from hunique_training.evaluation.borders import BorderRule
from hunique_training.evaluation.class_scores import ClassScores, score_classes
from hunique_training.evaluation.evidence import gather_evidence
from hunique_training.evaluation.protocol import Protocol
from hunique_training.evaluation.tally import pixel_level
from hunique_training.evaluation.truth import TruthPicture

SIDE = (9, 11)
TOLERANCE_PX = 2
THRESHOLDS = (0.35, 0.5, 0.6)
PRESENCE = 0.4

Case = tuple[TruthPicture, np.ndarray, np.ndarray]


def _manifest() -> Manifest:
    specs = tuple(
        ClassSpec(
            name=f"class {c}", definition="", colour="#000000", presence_threshold=PRESENCE,
            pixel_threshold=threshold, calibration=Calibration(),
        )
        for c, threshold in enumerate(THRESHOLDS)
    )  # fmt: skip
    return Manifest(
        name="m", version="0.0.0", created_utc="", licence="", intended_use="",
        training_data_statement="", geometry=Geometry(), classes=specs,
    )  # fmt: skip


def _blobs(rng: np.random.Generator, values: list[int]) -> np.ndarray:
    """Patches of values: masks with borders, unlike noise."""
    small = rng.choice(np.array(values, np.uint8), (4, 5))
    return cv2.resize(small, SIDE[::-1], interpolation=cv2.INTER_NEAREST)


def _case(rng: np.random.Generator, folder: Path, number: int) -> Case:
    labels = tuple([True, True, False, None][int(k)] for k in rng.integers(0, 4, 3))
    paths: list[Path | None] = []
    for c, label in enumerate(labels):
        path = folder / f"{number}-{c}.png" if label and rng.random() < 0.8 else None
        if path is not None:
            cv2.imwrite(str(path), _blobs(rng, [0, 0, 0, 255, 255, 128]))
        paths.append(path)
    picture = LabelledPicture(
        path=Path(f"{number}.jpg"), labels=labels, group=f"g{number // 2}", source="s"
    )
    probability = np.stack([_blobs(rng, [0, 60, 120, 180, 240]) for _ in labels])
    raw = rng.integers(1, 10, 3).astype(np.float32) / 10
    return TruthPicture(picture=picture, masks=tuple(paths)), probability, raw


@pytest.fixture(scope="module")
def cases(tmp_path_factory: pytest.TempPathFactory) -> list[Case]:
    """Random pictures of three classes: present with and without mask, absent, unknown."""
    rng = np.random.default_rng(5)
    return [_case(rng, tmp_path_factory.mktemp("truth"), number) for number in range(24)]


@pytest.fixture(scope="module")
def scores(cases: list[Case]) -> tuple[ClassScores, ...]:
    """What the package makes of them."""
    manifest = _manifest()
    diagonal_px = math.hypot(*SIDE)
    rule = BorderRule(
        levels=tuple(pixel_level(spec) for spec in manifest.classes),
        tolerance_share=(TOLERANCE_PX - 0.5) / diagonal_px,
    )
    return score_classes((gather_evidence(*case, rule) for case in cases), manifest, resamples=50)


def _claims(case: Case, c: int, protocol: Protocol) -> set[tuple[int, int]]:
    """Pixels that are drawn as class c, pixel by pixel."""
    truth, probability, raw = case
    labels = truth.picture.labels
    admitted = raw[c] >= PRESENCE if protocol is Protocol.LABEL_FREE else labels[c] is True
    drawn = set()
    for y, x in product(range(SIDE[0]), range(SIDE[1])):
        best, winner = 0, None
        for rival in range(3):
            if protocol is Protocol.LABEL_FILTERED and labels[rival] is False:
                continue
            if int(probability[rival, y, x]) > best:
                best, winner = int(probability[rival, y, x]), rival
        if admitted and winner == c and best >= round(THRESHOLDS[c] * 255):
            drawn.add((y, x))
    return drawn


def _pixel_sums(cases: list[Case], c: int, protocol: Protocol) -> dict[str, int]:
    sums = dict.fromkeys(("hit", "false", "missed"), 0)
    for case in cases:
        if case[0].scored(c):
            mask = case[0].mask(c, *SIDE)
            drawn = _claims(case, c, protocol)
            for y, x in product(range(SIDE[0]), range(SIDE[1])):
                if mask[y, x] != 128:
                    claimed, true = (y, x) in drawn, mask[y, x] == 255
                    sums["hit"] += claimed and true
                    sums["false"] += claimed and not true
                    sums["missed"] += true and not claimed
    return sums


@pytest.mark.parametrize("protocol", list(Protocol))
@pytest.mark.parametrize("c", range(3))
def test_mask_figures_equal_loops(
    cases: list[Case], scores: tuple[ClassScores, ...], c: int, protocol: Protocol
) -> None:
    """IoU, Dice, precision and recall are those of counting pixel by pixel."""
    sums = _pixel_sums(cases, c, protocol)
    hit, false, missed = sums["hit"], sums["false"], sums["missed"]
    assert hit
    assert false
    assert missed
    found = {name: figure.value for name, figure in scores[c].pixels[protocol].items()}
    del found["boundary_f"]
    assert found == pytest.approx(
        {
            "iou": hit / (hit + false + missed),
            "dice": 2 * hit / (2 * hit + false + missed),
            "precision": hit / (hit + false),
            "recall": hit / (hit + missed),
        }
    )


def _border(mask: set[tuple[int, int]]) -> set[tuple[int, int]]:
    inside = {(y, x) for y in range(SIDE[0]) for x in range(SIDE[1])}
    return {
        (y, x)
        for y, x in mask
        if any(
            place in inside and place not in mask
            for place in ((y - 1, x), (y + 1, x), (y, x - 1), (y, x + 1))
        )
    }


def _near(place: tuple[int, int], others: set[tuple[int, int]]) -> bool:
    return any(math.dist(place, other) <= TOLERANCE_PX for other in others)


@pytest.mark.parametrize("protocol", list(Protocol))
@pytest.mark.parametrize("c", range(3))
def test_boundary_f_equals_loops(
    cases: list[Case], scores: tuple[ClassScores, ...], c: int, protocol: Protocol
) -> None:
    """Borders matched pixel by pixel, those near a don't-care area left out."""
    claimed = claimed_hit = true = true_hit = 0
    for case in cases:
        if not case[0].scored(c):
            continue
        mask = case[0].mask(c, *SIDE)
        places = {(int(y), int(x)): int(v) for (y, x), v in np.ndenumerate(mask)}
        unsure = {place for place, value in places.items() if value == 128}
        drawn = _border(_claims(case, c, protocol))
        real = _border({place for place, value in places.items() if value == 255})
        for place in drawn:
            if not _near(place, unsure):
                claimed += 1
                claimed_hit += _near(place, real)
        for place in real:
            if not _near(place, unsure):
                true += 1
                true_hit += _near(place, drawn)
    assert 0 < claimed_hit < claimed
    assert 0 < true_hit < true
    precision, recall = claimed_hit / claimed, true_hit / true
    expected = 2 * precision * recall / (precision + recall)
    assert scores[c].pixels[protocol]["boundary_f"].value == pytest.approx(expected)


@pytest.mark.parametrize("c", range(3))
def test_presence_figures_equal_loops(
    cases: list[Case], scores: tuple[ClassScores, ...], c: int
) -> None:
    """F1, sensitivity, specificity and average precision by going through the pictures."""
    known = [(float(raw[c]), truth.picture.labels[c]) for truth, _, raw in cases
             if truth.picture.labels[c] is not None]  # fmt: skip
    hits = sum(raw >= PRESENCE and bool(label) for raw, label in known)
    alarms = sum(raw >= PRESENCE and not label for raw, label in known)
    present = sum(bool(label) for _, label in known)
    absent = len(known) - present
    found = {name: figure.value for name, figure in scores[c].presence.items()}
    assert found == pytest.approx(
        {
            "image_f1": 2 * hits / (present + hits + alarms),
            "sensitivity": hits / present,
            "specificity": (absent - alarms) / absent,
            "average_precision": _average_precision(known),
        }
    )
    assert (scores[c].present, scores[c].absent) == (present, absent)


def _average_precision(known: list[tuple[float, bool | None]]) -> float:
    present = sum(bool(label) for _, label in known)
    area, last_recall = 0.0, 0.0
    for threshold in sorted({score for score, _ in known}, reverse=True):
        called = [label for score, label in known if score >= threshold]
        recall = sum(map(bool, called)) / present
        area += (recall - last_recall) * sum(map(bool, called)) / len(called)
        last_recall = recall
    return area


def test_a_weight_of_two_is_a_picture_twice() -> None:
    """Weights of a resample give the average precision of the pictures repeated."""
    rng = np.random.default_rng(3)
    scores, present = rng.integers(0, 6, 30).astype(np.float64), rng.random(30) < 0.4
    weights = rng.integers(0, 4, (5, 30))
    found = RankedLabels(scores, present).average_precision(weights)
    for row, value in zip(weights, found, strict=True):
        repeated = RankedLabels(scores.repeat(row), present.repeat(row))
        assert value == pytest.approx(repeated.average_precision(np.ones((1, row.sum())))[0])


def test_average_precision_without_positives_is_undefined() -> None:
    """Nothing to find, nothing to score; no pictures at all neither."""
    nothing = RankedLabels(np.array([0.1, 0.9]), np.zeros(2, np.bool_))
    assert np.isnan(nothing.average_precision(np.ones((1, 2)))).all()
    empty = RankedLabels(np.zeros(0), np.zeros(0, np.bool_))
    assert np.isnan(empty.average_precision(np.ones((1, 0)))).all()
