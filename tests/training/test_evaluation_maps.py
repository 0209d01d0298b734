"""Published scores: one label a pixel, mean IoU, activation maps and their thresholds."""

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from hunique_training.checkpoint import ModelCheckpoint
from hunique_training.data.labels import LabelledPicture
from hunique_training.evaluation.confusion import count_confusion, score_confusion
from hunique_training.evaluation.label_map import leave_out_unknown, true_labels
from hunique_training.evaluation.map_report import maps_as_text, write_map_report
from hunique_training.evaluation.map_run import PictureMaps, stream_maps
from hunique_training.evaluation.map_scores import (
    CURVE_PERCENT,
    labels_above,
    levels_of,
    score_maps,
)
from hunique_training.evaluation.protocol import Protocol
from hunique_training.evaluation.truth import TruthPicture
from hunique_training.network.cosa import CosaNetwork, NetworkConfig

Vectors = Callable[[str], dict[str, torch.Tensor]]


@pytest.mark.parametrize(
    ("predicted", "iou", "miou"),
    [("preds", "iou", "miou_valid"), ("preds_with_ignore", "pseudo_iou", "pseudo_miou")],
)
def test_scores_of_the_release(vectors: Vectors, predicted: str, iou: str, miou: str) -> None:
    """IoU and its mean as CoSA's `scores`; 255 predicted is left out as in `pseudo_scores`."""
    arrays = {name: value.numpy() for name, value in vectors("metrics").items()}
    found = score_confusion(count_confusion(arrays["gts"], arrays[predicted], 5))
    np.testing.assert_allclose(found.iou, arrays[iou])
    assert found.mean_iou == pytest.approx(float(arrays[miou]))


def test_reported_number_of_the_release(vectors: Vectors) -> None:
    """The tables' mIoU, pixel and mean accuracy."""
    arrays = {name: value.numpy() for name, value in vectors("metrics").items()}
    found = score_confusion(count_confusion(arrays["gts"], arrays["preds"], 4))
    np.testing.assert_allclose(found.iou, arrays["iou4"])
    assert found.reported_miou_percent == pytest.approx(float(arrays["format_tabs_mean"]))
    assert found.pixel_accuracy == pytest.approx(float(arrays["pAcc"]))
    assert found.mean_accuracy == pytest.approx(float(arrays["mAcc"]))


def test_confusion_equals_loops() -> None:
    """Pixel by pixel on random labels, 255 on either side left out."""
    rng = np.random.default_rng(0)
    truth, predicted = (rng.choice([0, 1, 2, 255], (9, 8)) for _ in range(2))
    expected = np.zeros((3, 3), np.int64)
    for t, p in zip(truth.ravel(), predicted.ravel(), strict=True):
        if t != 255 and p != 255:
            expected[t, p] += 1
    np.testing.assert_array_equal(count_confusion(truth, predicted, 3), expected)


def _truth(
    folder: Path, masks: dict[int, list[int]], labels: tuple[bool | None, ...]
) -> TruthPicture:
    """A picture of one row."""
    paths: list[Path | None] = [None] * len(labels)
    for c, row in masks.items():
        path = folder / f"{c}.png"
        cv2.imwrite(str(path), np.array([row], np.uint8))
        paths[c] = path
    picture = LabelledPicture(path=Path("a.jpg"), labels=labels)
    return TruthPicture(picture=picture, masks=tuple(paths))


def test_one_label_a_pixel(tmp_path: Path) -> None:
    """Two features on a pixel have no one label; a don't-care gives way to a feature."""
    masks = {0: [0, 255, 255, 128, 128, 255], 1: [0, 0, 255, 0, 255, 128]}
    truth = _truth(tmp_path, masks, (True, True))
    assert true_labels(truth, 1, 6).tolist() == [[0, 1, 255, 255, 2, 1]]


def test_a_class_that_is_not_scored_is_left_out_where_it_may_be_right(tmp_path: Path) -> None:
    """Unlabelled class 1 on background is neither right nor wrong; on class 0 it is wrong."""
    truth = _truth(tmp_path, {0: [0, 0, 255, 255]}, (True, None))
    labels = true_labels(truth, 1, 4)
    assert leave_out_unknown(np.array([[0, 2, 2, 1]]), labels, truth).tolist() == [[0, 255, 2, 1]]


def test_labels_are_of_the_strongest_class_above_the_threshold() -> None:
    """Exactly at the threshold is background, as published; of equals the first wins."""
    activation = np.array([[[0.5, 0.51, 0.6, 0.0]], [[0.5, 0.7, 0.6, 0.2]]], np.float32)
    assert labels_above(activation, 0.5).tolist() == [[0, 2, 1, 0]]


def test_levels_mean_above() -> None:
    """Level >= k where the value lies above k hundredths."""
    values = np.array([0.0, 0.005, 0.25, 0.26, 0.5, 0.505, 0.99999], np.float32)
    assert levels_of(values).tolist() == [0, 0, 24, 25, 49, 50, 99]


def test_curves_and_confusion_equal_comparing(tmp_path: Path) -> None:
    """At each threshold of the curve the figures are those of labelling at it."""
    rng = np.random.default_rng(2)
    masks = {c: rng.choice([0, 0, 128, 255], 400).tolist() for c in range(2)}
    truth = _truth(tmp_path, masks, (True, True))
    activation = rng.random((2, 1, 400)).astype(np.float32)
    segmentation = {p: rng.integers(0, 3, (1, 400)).astype(np.uint8) for p in Protocol}
    maps = PictureMaps(activation={"cam": activation}, segmentation=segmentation)
    scores = score_maps([(truth, maps)], 2)
    for k, percent in enumerate(CURVE_PERCENT):
        predicted = labels_above(activation, percent / 100)
        for c in range(2):
            claimed, mask = predicted[0] == c + 1, np.array(masks[c])
            hit = (claimed & (mask == 255)).sum()
            curve = scores.curves["cam"][c]
            assert curve.precision[k] == pytest.approx(hit / (claimed & (mask != 128)).sum())
            assert curve.recall[k] == pytest.approx(hit / (mask == 255).sum())
            union = ((claimed & (mask != 128)) | (mask == 255)).sum()
            assert curve.iou[k] == pytest.approx(hit / union)
    labels = true_labels(truth, 1, 400)
    expected = score_confusion(count_confusion(labels, labels_above(activation, 0.5), 3))
    assert scores.confusion["cam"].reported_miou_percent == expected.reported_miou_percent
    assert set(scores.confusion) == {
        "cam", "segmentation, label-free", "segmentation, label-filtered"
    }  # fmt: skip


@pytest.fixture(scope="module")
def model() -> ModelCheckpoint:
    """An untrained network that sees every class somewhere and mixed its CAMs."""
    torch.manual_seed(0)
    network = CosaNetwork(NetworkConfig(cam_head="final")).eval()
    for head in (network.classifier, network.auxiliary_classifier):
        head.weight.data = head.weight.data.abs() * 1e6
    training = {
        "config": {"mixed_cam_shares": (0.3, 1.0, 0.8, 1.0), "cam_exponents": (0.5, 1.0, 0.9, 2.0)}
    }
    return ModelCheckpoint(network=network, input_size_px=64, training=training)


def test_maps_have_the_size_of_their_picture_and_obey_its_labels(
    model: ModelCheckpoint, labelled_folder: Path
) -> None:
    """Classes that are not labelled present have no activation and no filtered segment."""
    for truth, maps in stream_maps(model, labelled_folder / "labels.csv", "val"):
        present = np.array([label is True for label in truth.picture.labels])
        assert set(maps.activation) == {"cam", "auxiliary_cam", "label_cam"}
        for activation in maps.activation.values():
            assert activation.shape == (4, 96, 128)
            assert (activation.max(axis=(1, 2)) > 0.5).tolist() == present.tolist()
        filtered = maps.segmentation[Protocol.LABEL_FILTERED]
        assert filtered.shape == (96, 128)
        assert not np.isin(filtered, np.flatnonzero(~present) + 1).any()


def test_the_map_that_labels_are_made_of_is_measured_beside_the_plain_ones(
    model: ModelCheckpoint, labelled_folder: Path
) -> None:
    """Mixed, then raised by class; where a run does neither there is no such map."""
    config = model.training["config"]

    def maps(**values: object) -> dict[str, np.ndarray]:
        one = dataclasses.replace(model, training={"config": config | values})
        return next(stream_maps(one, labelled_folder / "labels.csv", "val"))[1].activation

    raised, mixed = maps(), maps(cam_exponents=())
    alone = maps(mixed_cam_shares=(), cam_exponents=(1.0, 1.0, 1.0, 1.0))
    np.testing.assert_array_equal(raised["cam"], mixed["cam"])
    np.testing.assert_allclose(alone["label_cam"], alone["cam"], rtol=1e-5)
    assert set(maps(mixed_cam_shares=(), cam_exponents=())) == {"cam", "auxiliary_cam"}
    for c, power in enumerate(config["cam_exponents"]):
        shown = mixed["label_cam"][c]
        # raising comes before enlarging, so borders between cells differ a little
        assert np.abs(raised["label_cam"][c] - shown**power).mean() < 0.03
        assert power == 1 or not shown.any() or np.abs(raised["label_cam"][c] - shown).max() > 0.02


def test_pictures_without_any_mask_are_not_looked_at(
    model: ModelCheckpoint, labelled_folder: Path
) -> None:
    """Without truth there is nothing to compare: the column `truth` empty, no maps."""
    rows = (labelled_folder / "labels.csv").read_text().replace("ring;polished_nail", "")
    other = labelled_folder / "fewer.csv"
    other.write_text(rows)
    names = [truth.picture.path.name for truth, _ in stream_maps(model, other, "val")]
    other.unlink()
    assert names == ["hand-7.png"]


def test_the_report_is_text_json_and_a_chart(
    model: ModelCheckpoint, labelled_folder: Path, tmp_path: Path
) -> None:
    """Three forms of the same scores; the chart has a panel for each map and class."""
    names = model.network.config.class_names
    scores = score_maps(stream_maps(model, labelled_folder / "labels.csv", "val"), len(names))
    text = maps_as_text(scores, names)
    assert "segmentation, label-filtered" in text
    assert "label_cam mixed and raised to a power as the pseudo-labels were made of it" in text
    assert "nan" not in text
    write_map_report(tmp_path / "new", scores, names)
    values = json.loads((tmp_path / "new/maps.json").read_text())
    assert values["pictures"] == 2
    assert values["activation_maps"] == "label-filtered"
    assert len(values["curves"]["label_cam"]["ring"]["iou"]) == len(values["thresholds"])
    chart = cv2.imread(str(tmp_path / "new/maps.png"))
    assert chart is not None
    assert chart.shape == (3 * 240, 4 * 300, 3)
