"""Figures: label-free, at every threshold at once, and the operating point chosen from them."""

import dataclasses
import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from hunique_models.geometry import Geometry
from hunique_models.manifest import Calibration, ClassSpec, Manifest
from hunique_training.data.labels import DataError, LabelledPicture
from hunique_training.evaluation.evidence import (
    PictureEvidence,
    gather_evidence,
    iou_by_threshold,
)
from hunique_training.evaluation.operating_point import (
    best_f1_threshold,
    calibrated,
    choose_operating_point,
    fit_calibration,
)
from hunique_training.evaluation.protocol import Protocol
from hunique_training.evaluation.table import as_json, as_text, score_classes
from hunique_training.evaluation.truth import TruthPicture, read_truth

RNG = np.random.default_rng(0)


def _truth(folder: Path, label: bool | None, mask: np.ndarray | None) -> TruthPicture:
    path = None
    if mask is not None:
        path = folder / "mask.png"
        cv2.imwrite(str(path), mask)
    picture = LabelledPicture(path=Path("a.jpg"), labels=(label, False), source="s")
    return TruthPicture(picture=picture, masks=(path, None))


def test_iou_at_every_threshold_equals_counting(tmp_path: Path) -> None:
    """Adding up counts gives what comparing pixels gives, don't-care pixels left out."""
    mask = RNG.choice(np.array([0, 128, 255], np.uint8), (20, 30))
    probability = RNG.integers(0, 256, (2, 20, 30), dtype=np.uint8)
    truth = _truth(tmp_path, True, mask)
    evidence = gather_evidence(truth, probability, np.array([0.9, 0.1], np.float32))
    found = iou_by_threshold([evidence], 0, [True])
    wins = probability.argmax(0) == 0
    for threshold in (1, 77, 200):
        claimed = wins & (probability[0] >= threshold) & (mask != 128)
        expected = (claimed & (mask == 255)).sum() / (claimed | (mask == 255)).sum()
        assert found[threshold] == pytest.approx(expected)


def test_no_two_pictures_share_a_mask(tmp_path: Path) -> None:
    """Of one name in two folders, one would be scored against the other's mask."""
    rows = ["file,ring,truth", "cam1/0001.png,1,ring", "cam2/0001.png,1,", "cam2/0001.png,1,ring"]
    path = tmp_path / "labels.csv"
    path.write_text("\n".join(rows[:3]) + "\n")
    assert len(read_truth(path, ("ring",), "train")) == 2
    path.write_text("\n".join(rows) + "\n")
    with pytest.raises(DataError, match=r"lines 2 and 4 both claim the mask truth/0001__ring\.png"):
        read_truth(path, ("ring",), "train")


def test_a_picture_called_absent_misses_all_its_truth(tmp_path: Path) -> None:
    """The gate counts: what is not called present claims nothing and misses everything."""
    mask = np.full((4, 4), 255, np.uint8)
    truth = _truth(tmp_path, True, mask)
    probability = np.stack([np.full((4, 4), 255, np.uint8), np.zeros((4, 4), np.uint8)])
    evidence = gather_evidence(truth, probability, np.zeros(2, np.float32))
    assert iou_by_threshold([evidence], 0, [True])[200] == 1
    assert iou_by_threshold([evidence], 0, [False])[200] == 0


def test_false_alarms_count_against_the_iou(tmp_path: Path) -> None:
    """A mask on a picture labelled as without the class lowers the IoU: nothing is forbidden."""
    probability = np.stack([np.full((4, 4), 255, np.uint8), np.zeros((4, 4), np.uint8)])
    scores = np.zeros(2, np.float32)
    there = gather_evidence(
        _truth(tmp_path, True, np.full((4, 4), 255, np.uint8)), probability, scores
    )
    absent = gather_evidence(_truth(tmp_path, False, None), probability, scores)
    unknown = gather_evidence(_truth(tmp_path, None, None), probability, scores)
    assert iou_by_threshold([there, absent], 0, [True, True])[200] == 0.5
    assert iou_by_threshold([there, unknown], 0, [True, True])[200] == 1.0


def test_a_mask_of_another_size_is_refused(tmp_path: Path) -> None:
    """Truth that does not fit its picture is an error, not a score."""
    truth = _truth(tmp_path, True, np.zeros((4, 5), np.uint8))
    with pytest.raises(DataError, match="expected a mask of 4 x 4, found 4 x 5"):
        truth.mask(0, 4, 4)


def test_truth_is_read_by_split(labelled_folder: Path) -> None:
    """Only the split asked for; classes without a mask are known to have none."""
    names = ("tattoo", "ring", "lunule", "polished_nail")
    pictures = read_truth(labelled_folder / "labels.csv", names, "val")
    assert [one.picture.path.name for one in pictures] == ["hand-6.png", "hand-7.png"]
    assert [mask is not None for mask in pictures[0].masks] == [False, True, False, True]


def test_calibration_recovers_a_known_curve() -> None:
    """Labels drawn with probability sigmoid(2 logit(raw) - 1) give scale 2 and offset -1."""
    raw = RNG.uniform(0.02, 0.98, 20_000)
    present = RNG.random(20_000) < calibrated(raw, 2.0, -1.0)
    scale, offset = fit_calibration(raw, present)
    assert scale == pytest.approx(2.0, abs=0.15)
    assert offset == pytest.approx(-1.0, abs=0.15)
    assert fit_calibration(raw, np.ones(20_000, np.bool_)) == (1.0, 0.0)


def test_presence_threshold_parts_what_can_be_parted() -> None:
    """Where one score separates both kinds, the threshold lies between them."""
    scores = np.array([0.1, 0.2, 0.7, 0.9])
    assert 0.2 < best_f1_threshold(scores, np.array([False, False, True, True])) < 0.7
    assert best_f1_threshold(scores, np.zeros(4, np.bool_)) == 0.5


def _evidence(
    raw: float, label: bool, source: str = "s", levels: tuple[int, int] = (150, 60)
) -> PictureEvidence:
    """100 truth pixels at one level of probability, 100 others at one below, if it is there."""
    feature, other = np.zeros((1, 256), np.int64), np.zeros((1, 256), np.int64)
    feature[0, levels[0]] = 100 * label
    other[0, levels[1]], other[0, 0] = 100, 1000
    return PictureEvidence(
        labels=(label,), source=source, group="g", raw_scores=np.array([raw], np.float32),
        scored=np.array([True]), feature_counts=feature, other_counts=other,
    )  # fmt: skip


@pytest.mark.parametrize("levels", [(150, 60), (20, 10), (245, 230)])
def test_operating_point_is_the_best_on_these_pictures(levels: tuple[int, int]) -> None:
    """The pixel threshold lies where truth stays in and the rest falls out, however low or high."""
    evidence = [_evidence(0.9, True, levels=levels)] * 5
    evidence += [_evidence(0.1, False, levels=levels)] * 5
    point = choose_operating_point(evidence, 0)
    assert levels[1] / 255 < point.pixel_threshold <= levels[0] / 255
    scores = [calibrated(np.float32(raw), point.calibration_scale, point.calibration_offset)
              for raw in (0.1, 0.9)]  # fmt: skip
    assert scores[0] < point.presence_threshold < scores[1]


def test_the_pixel_threshold_leaves_pictures_their_outlines() -> None:
    """A few points of IoU are not worth every second picture, which would be served as absent."""
    faint = _evidence(0.9, True, levels=(100, 90))
    evidence = [_evidence(0.9, True, levels=(200, 100)), _evidence(0.1, False)] * 5
    larger = dataclasses.replace(
        evidence[0],
        feature_counts=5 * evidence[0].feature_counts,
        other_counts=5 * evidence[0].other_counts,
    )
    pictures = [larger, faint, *evidence[1::2]] * 3
    iou = iou_by_threshold(pictures, 0, [True, True, *[False] * 5] * 3)
    assert iou[200] > iou[100]
    assert choose_operating_point(pictures, 0).pixel_threshold <= 100 / 255


def _without_masks(one: PictureEvidence) -> PictureEvidence:
    """Presence is labelled, pixels are not: they are scored where the class is absent alone."""
    return dataclasses.replace(one, scored=np.array([one.labels[0] is False]))


def test_without_masks_the_pixel_threshold_stays() -> None:
    """Labels alone choose presence; no threshold of pixels is better than another."""
    evidence = [_without_masks(_evidence(0.9, True)), _evidence(0.1, False)] * 5
    point = choose_operating_point(evidence, 0)
    assert point.pixel_threshold == 0.5
    assert (point.calibration_scale, point.presence_threshold) != (1.0, 0.5)


def test_a_class_that_val_does_not_show_keeps_its_threshold() -> None:
    """Absent from all pictures, unknown on all, or never called present where it is."""
    absent = choose_operating_point([_evidence(0.1, False)] * 3, 0)
    unknown = dataclasses.replace(_evidence(0.3, True), labels=(None,), scored=np.array([False]))
    for point in (absent, choose_operating_point([unknown] * 3, 0)):
        assert (point.presence_threshold, point.pixel_threshold) == (0.5, 0.5)
    blind = _evidence(0.9, True, levels=(3, 2))
    assert choose_operating_point([blind, _evidence(0.1, False)], 0).pixel_threshold == 0.5


def _manifest(pixel_threshold: float) -> Manifest:
    spec = ClassSpec(
        name="ring", definition="", colour="#000000", presence_threshold=0.5,
        pixel_threshold=pixel_threshold, calibration=Calibration(),
    )  # fmt: skip
    return Manifest(
        name="m", version="0.0.0", created_utc="", licence="", intended_use="",
        training_data_statement="", geometry=Geometry(), classes=(spec,),
    )  # fmt: skip


def test_the_table_says_what_happened() -> None:
    """Two hits, one miss, one false alarm: sensitivity, specificity, F1, IoU by source."""
    evidence = [
        _evidence(0.9, True, "a"), _evidence(0.8, True, "b"), _evidence(0.2, True, "b"),
        _evidence(0.7, False, "a"), _evidence(0.1, False, "a"),
    ]  # fmt: skip
    (scores,) = score_classes(evidence, _manifest(0.5))
    assert scores.sensitivity == pytest.approx(2 / 3)
    assert scores.specificity == pytest.approx(1 / 2)
    assert scores.image_f1 == pytest.approx(2 * 2 / (2 * 2 + 1 + 1))
    assert scores.iou == pytest.approx(200 / 300)
    assert scores.iou_by_source == {"a": 1.0, "b": 0.5}
    assert "ring" in as_text([scores])
    assert '"present": 3' in as_json([scores])


def test_undefined_figures_are_null() -> None:
    """No picture with the class: no sensitivity, and JSON that any reader takes."""
    (scores,) = score_classes([_evidence(0.1, False)], _manifest(0.5))
    assert '"sensitivity": null' in as_json([scores])


def test_figures_of_undefined_value_are_a_dash() -> None:
    """The table shows what cannot be said as "-", without an interval."""
    text = as_text(score_classes([_evidence(0.1, False)], _manifest(0.5)))
    row = next(line for line in text.splitlines() if line.startswith("ring"))
    assert row.split()[1:6] == ["-"] * 5
    assert "nan" not in text


def _two_classes(labels: tuple[bool | None, ...], folder: Path) -> PictureEvidence:
    """Class 0 is the left half; class 1 is stronger than it on the upper half."""
    mask = np.zeros((4, 4), np.uint8)
    mask[:, :2] = 255
    path = folder / "left.png"
    cv2.imwrite(str(path), mask)
    picture = LabelledPicture(path=Path("a.jpg"), labels=labels, group="g")
    truth = TruthPicture(picture=picture, masks=(path, None))
    probability = np.zeros((2, 4, 4), np.uint8)
    probability[0, :, :2], probability[1, :2] = 200, 220
    return gather_evidence(truth, probability, np.array([0.9, 0.9], np.float32))


def test_a_forbidden_class_cedes_its_pixels(tmp_path: Path) -> None:
    """Label-filtered, what an absent class took goes to the class that is there."""
    evidence = _two_classes((True, False), tmp_path)
    free, filtered = (evidence.counts(0, protocol) for protocol in Protocol)
    assert (free[0, 200], filtered[0, 200]) == (4, 8)
    assert evidence.counts(0, Protocol.LABEL_FREE)[0].sum() == 8


def test_an_unknown_class_is_not_forbidden(tmp_path: Path) -> None:
    """Unknown is not absent: such a class keeps its pixels under both protocols."""
    evidence = _two_classes((True, None), tmp_path)
    free, filtered = (evidence.counts(0, protocol) for protocol in Protocol)
    np.testing.assert_array_equal(free, filtered)


def test_label_filtered_figures_forgive_false_alarms() -> None:
    """A false alarm and a picture wrongly called absent cost label-free IoU alone."""
    evidence = [_evidence(0.9, True), _evidence(0.1, True), _evidence(0.8, False)]
    (scores,) = score_classes(evidence, _manifest(60 / 255))
    free, filtered = (scores.pixels[protocol]["iou"].value for protocol in Protocol)
    assert free == pytest.approx(100 / (100 + 100 + 100 + 100))
    assert filtered == pytest.approx(200 / (200 + 200))
    assert filtered > free


def test_pictures_without_a_group_are_their_own(tmp_path: Path) -> None:
    """Two pictures of unknown group are two groups, not one."""
    truth = _truth(tmp_path, True, np.zeros((4, 4), np.uint8))
    evidence = gather_evidence(truth, np.zeros((2, 4, 4), np.uint8), np.zeros(2, np.float32))
    assert evidence.group == "a.jpg"


def test_pictures_without_a_mask_are_no_masks() -> None:
    """Present but not outlined: a positive of presence, no mask, and no source of IoU."""
    evidence = dataclasses.replace(_evidence(0.9, True), scored=np.array([False]))
    (scores,) = score_classes([evidence], _manifest(0.5))
    assert (scores.present, scores.masks, scores.iou_by_source) == (1, 0, {})
    (absent,) = score_classes([_evidence(0.1, False)], _manifest(0.5))
    assert (absent.masks, absent.iou_by_source) == (0, {})


def test_false_alarms_alone_are_no_iou() -> None:
    """Without a mask nothing could be hit: pixels have no figures, rather than 0."""
    evidence = [_without_masks(_evidence(0.9, True)), _evidence(0.8, False, levels=(0, 200))]
    scores = score_classes(evidence, _manifest(0.5))
    for row in (line for line in as_text(scores).splitlines()[:6] if line.startswith("ring")):
        assert row.split() == ["ring", *["-"] * 5, "0"]
    (entry,) = json.loads(as_json(scores))
    for protocol in Protocol:
        assert entry[protocol]["iou"] is None
        assert entry[protocol]["intervals_95"]["iou"] == [None, None]
    assert entry["label-free"]["specificity"] == 0
