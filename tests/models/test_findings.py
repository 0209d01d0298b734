"""Presence is decided before the mask, and what cannot be judged is not called absent."""

import dataclasses
from math import exp

import numpy as np
import pytest
from numpy.typing import NDArray

from hunique_models.bundle import Bundle
from hunique_models.errors import UnknownClassError
from hunique_models.findings import (
    MAX_INSTANCES,
    MIN_SIDE_PX,
    Status,
    calibrated_score,
    check_classes,
    find,
)
from hunique_models.manifest import Calibration, Manifest

GREY = np.full((100, 120, 3), 128, np.uint8)
CERTAIN = [1.0, 1.0, 1.0, 1.0]


@pytest.fixture
def manifest(tiny_bundle: Bundle) -> Manifest:
    """Tattoo, ring, lunule (hidden by polish), polished_nail; all thresholds one half."""
    return tiny_bundle.manifest


def _maps(**squares: int) -> NDArray[np.uint8]:
    """(4, 100, 120): each class's probability in a square of its own."""
    maps = np.zeros((4, 100, 120), np.uint8)
    for index, name in enumerate(("tattoo", "ring", "lunule", "polished_nail")):
        maps[index, 10:30, 30 * index : 30 * index + 20] = squares.get(name, 0)
    return maps


def _with(manifest: Manifest, index: int, **changes: object) -> Manifest:
    classes = list(manifest.classes)
    classes[index] = dataclasses.replace(classes[index], **changes)  # type: ignore[arg-type]
    return dataclasses.replace(manifest, classes=tuple(classes))


def test_mask_needs_a_sure_score(manifest: Manifest) -> None:
    """The strongest map is not outlined while the picture's score is below the threshold."""
    maps = _maps(tattoo=255, ring=255)
    tattoo, ring, *_ = find(GREY, maps, [0.49, 0.51, 0, 0], manifest)
    assert (tattoo.status, tattoo.instances) == (Status.ABSENT, ())
    assert (ring.status, len(ring.instances)) == (Status.PRESENT, 1)
    assert (tattoo.score, ring.score) == pytest.approx((0.49, 0.51))


def test_presence_needs_a_mask(manifest: Manifest) -> None:
    """A sure score without a single pixel above the threshold is not presence."""
    tattoo, *_ = find(GREY, _maps(tattoo=127), CERTAIN, manifest)
    assert (tattoo.status, tattoo.instances) == (Status.ABSENT, ())


def test_pixel_threshold_is_inclusive(manifest: Manifest) -> None:
    """Pixels from the threshold on belong to the mask; at 0, pixels of no probability do not."""
    tattoo, *_ = find(GREY, _maps(tattoo=128), CERTAIN, manifest)
    assert tattoo.instances[0].mask.area_px == 400
    lenient = _with(manifest, 0, pixel_threshold=0.0)
    tattoo, *_ = find(GREY, _maps(tattoo=1), CERTAIN, lenient)
    assert tattoo.instances[0].mask.area_px == 400


def test_maps_like_noise_list_their_largest_areas(manifest: Manifest) -> None:
    """Of more areas than a hand could have the largest are listed, and the rest is counted."""
    maps = np.zeros((4, 100, 120), np.uint8)
    maps[1, ::4, ::4] = 255  # 750 dots, two of them larger
    maps[1, 40:43, 40:43] = maps[1, 80:82, 80:82] = 255
    ring = find(GREY, maps, CERTAIN, manifest)[1]
    areas = [one.mask.area_px for one in ring.instances]
    assert areas == [9, 4] + [1] * (MAX_INSTANCES - 2)
    assert ring.left_out == 750 - MAX_INSTANCES


def test_instances_are_numbered_by_size(manifest: Manifest) -> None:
    """Instances come largest first with numbers from 1, each with its own mean probability."""
    maps = np.zeros((4, 100, 120), np.uint8)
    maps[1, 5:10, 5:10], maps[1, 50:80, 50:90] = 255, 204
    ring = find(GREY, maps, CERTAIN, manifest)[1]
    assert [one.index for one in ring.instances] == [1, 2]
    assert [one.mask.area_px for one in ring.instances] == [1200, 25]
    assert [one.score for one in ring.instances] == pytest.approx([0.8, 1.0])
    assert ring.instances[0].measurements.area_share == pytest.approx(0.1)


@pytest.mark.parametrize(("share", "areas"), [(0.0, [1200, 25]), (0.01, [1200]), (0.11, [])])
def test_small_instances_are_dropped(share: float, areas: list[int], manifest: Manifest) -> None:
    """What covers less of the picture than the class's least share is left out."""
    maps = np.zeros((4, 100, 120), np.uint8)
    maps[1, 5:10, 5:10], maps[1, 50:80, 50:90] = 255, 204
    ring = find(GREY, maps, CERTAIN, _with(manifest, 1, min_area_share=share))[1]
    assert [one.mask.area_px for one in ring.instances] == areas
    assert ring.status is (Status.PRESENT if areas else Status.ABSENT)


def test_pixels_belong_to_their_strongest_class(manifest: Manifest) -> None:
    """Masks of different classes never overlap, not even where both are equally sure."""
    maps = np.zeros((4, 100, 120), np.uint8)
    maps[0, :60], maps[1, 40:], maps[0, 70:] = 200, 240, 240
    findings = find(GREY, maps, CERTAIN, manifest)
    masks = [sum(one.mask.full() for one in each.instances) for each in findings[:2]]
    assert (masks[0] + masks[1] <= 1).all()
    assert masks[0][:40].all()
    assert masks[1][40:70].all()
    assert masks[0][70:].all()


@pytest.mark.parametrize(
    ("scores", "status"),
    [
        ([0, 0, 0.1, 0.9], Status.NOT_ASSESSABLE),
        ([0, 0, 0.1, 0.1], Status.ABSENT),
        ([0, 0, 0.9, 0.9], Status.PRESENT),
    ],
)
def test_covered_lunule_is_not_assessable(
    scores: list[float], status: Status, manifest: Manifest
) -> None:
    """Polish hides the lunule: it is then not assessable, with the reason, unless it is seen."""
    lunule = find(GREY, _maps(lunule=255, polished_nail=255), scores, manifest)[2]
    assert lunule.status is status
    assert lunule.reason == ("covered by polished_nail" if status == "not_assessable" else "")
    assert lunule.score == pytest.approx(scores[2])


def test_unasked_polish_still_hides_the_lunule(manifest: Manifest) -> None:
    """Classes that were not asked for are skipped, but what they cover stays covered."""
    maps = _maps(polished_nail=255)
    findings = find(GREY, maps, [1, 0, 0, 1], manifest, wanted=["lunule"])
    statuses = [finding.status for finding in findings]
    assert statuses == ["skipped", "skipped", "not_assessable", "skipped"]
    assert not any(finding.instances for finding in findings)


@pytest.mark.parametrize(("side_px", "assessable"), [(MIN_SIDE_PX - 1, False), (MIN_SIDE_PX, True)])
def test_tiny_pictures_are_not_assessable(
    side_px: int, assessable: bool, manifest: Manifest
) -> None:
    """Below the least side nothing is called absent; the reason gives both sizes."""
    pixels = np.zeros((side_px, 500, 3), np.uint8)
    maps = np.full((4, side_px, 500), 255, np.uint8)
    tattoo, ring, *_ = find(pixels, maps, CERTAIN, manifest, wanted=["tattoo"])
    assert ring.status is Status.SKIPPED
    assert tattoo.status is (Status.PRESENT if assessable else Status.NOT_ASSESSABLE)
    if not assessable:
        assert f"500 x {side_px}" in tattoo.reason
        assert str(MIN_SIDE_PX) in tattoo.reason


def test_small_maps_are_enlarged_to_the_picture(manifest: Manifest) -> None:
    """A map merged on a smaller canvas gives masks in pixels of the picture."""
    maps = np.zeros((4, 50, 60), np.uint8)
    maps[0, 10:20, 20:40] = 255
    (instance,) = find(GREY, maps, CERTAIN, manifest)[0].instances
    assert (instance.mask.height_px, instance.mask.width_px) == (100, 120)
    assert instance.mask.area_px == pytest.approx(800, rel=0.1)
    assert instance.measurements.centroid_x_px == pytest.approx(59.5, abs=0.5)


def test_scores_are_calibrated(manifest: Manifest) -> None:
    """The score is sigmoid(scale * logit + offset), and the threshold applies to it."""
    calibration = Calibration(scale=2.0, offset=-1.0)
    assert calibrated_score(0.5, calibration) == pytest.approx(1 / (1 + exp(1)))
    tattoo, *_ = find(
        GREY, _maps(tattoo=255), [0.6, 0, 0, 0], _with(manifest, 0, calibration=calibration)
    )
    assert tattoo.score == pytest.approx(1 / (1 + exp(1 - 2 * 0.4054651)))
    assert tattoo.status is Status.ABSENT


@pytest.mark.parametrize("raw", [0.0, 1.0, 1e-30, 1 - 1e-16])
@pytest.mark.parametrize("scale", [0.001, 1.0, 1000.0])
def test_calibration_survives_certainty(raw: float, scale: float) -> None:
    """Scores of exactly 0 or 1 and steep calibrations stay within 0 to 1."""
    for offset in (-1000.0, 0.0, 1000.0):
        assert 0 <= calibrated_score(raw, Calibration(scale=scale, offset=offset)) <= 1


def test_unknown_class_is_named(manifest: Manifest) -> None:
    """A wish for a class that the model lacks says which there are."""
    with pytest.raises(UnknownClassError, match=r"tattoo, ring.*found scar"):
        check_classes(["ring", "scar"], manifest)
    assert check_classes([], manifest) == set(manifest.class_names)
