"""What is counted of one picture: instances, pixels, size, compression, sharpness."""

import io
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from hunique_models.findings import ClassFinding, Instance, Status
from hunique_models.image import Picture
from hunique_models.mask import Mask, components
from hunique_models.measure import measure
from hunique_models.pipeline import PictureFindings
from hunique_training.data.labels import LabelledPicture
from hunique_training.evaluation.truth import TruthPicture
from hunique_training.validation_report.instances import InstanceColumn, count_instances
from hunique_training.validation_report.picture_tally import PictureTally, count_classes, stamp_of
from hunique_training.validation_report.picture_traits import (
    PictureTraits,
    jpeg_quality,
    sharpness,
    traits_of,
)
from hunique_training.validation_report.variants import STRESSES

SIDE = (40, 60)


def _area(rows: slice, columns: slice) -> np.ndarray:
    mask = np.zeros(SIDE, np.uint8)
    mask[rows, columns] = 1
    return mask


def _masks(*areas: np.ndarray) -> list[Mask]:
    return [mask for area in areas for mask in components(area, 0)]


def test_instances_match_from_the_stated_iou() -> None:
    """IoU 1, 0.5 and 0.25: all three match at 0.25, two at 0.5, and one that misses does not."""
    truth = np.zeros(SIDE, np.uint8)
    truth[0:10, 0:10] = truth[20:30, 0:10] = truth[0:10, 20:30] = 255
    found = _masks(
        _area(slice(0, 10), slice(0, 10)),
        _area(slice(20, 25), slice(0, 10)),
        _area(slice(0, 5), slice(20, 25)),
        _area(slice(30, 40), slice(50, 60)),
    )
    counts = count_instances(found, truth)
    assert counts[InstanceColumn.CLAIMED] == 4
    assert counts[InstanceColumn.TRUE] == 3
    assert counts[InstanceColumn.MATCHED_AT_25] == 3
    assert counts[InstanceColumn.MATCHED_AT_50] == 2


def test_an_instance_matches_once_and_the_best_pair_first() -> None:
    """Two findings on one feature are one match; the other one stays without."""
    truth = np.zeros(SIDE, np.uint8)
    truth[0:20, 0:20] = 255
    halves = _masks(_area(slice(0, 9), slice(0, 20)), _area(slice(9, 20), slice(0, 20)))
    np.testing.assert_array_equal(count_instances(halves, truth), [2, 1, 1, 1])


def test_a_finding_across_two_features_takes_one_of_them() -> None:
    """The other feature is left for the finding that has only it."""
    truth = np.zeros(SIDE, np.uint8)
    truth[0:10, 0:10] = truth[0:10, 11:21] = 255
    across = _area(slice(0, 10), slice(0, 17))
    beside = _area(slice(0, 10), slice(18, 23))
    np.testing.assert_array_equal(count_instances(_masks(across, beside), truth), [2, 2, 2, 1])


def test_the_best_pair_wins_even_over_more_pairs() -> None:
    """As stated: from the highest IoU down, not the pairing with the most matches."""
    truth = np.zeros(SIDE, np.uint8)
    truth[0:10, 0:10] = truth[0:10, 11:21] = 255
    across = _area(slice(0, 10), slice(0, 17))
    part_of_first = _area(slice(0, 10), slice(0, 3))
    found = _masks(across, part_of_first)
    np.testing.assert_array_equal(count_instances(found, truth), [2, 2, 1, 1])


def test_findings_on_dont_care_areas_are_no_mistakes() -> None:
    """More than half in a don't-care area: left out. Less: the rest of it is compared."""
    truth = np.zeros(SIDE, np.uint8)
    truth[0:10, 0:10], truth[0:10, 10:20] = 255, 128
    inside = _masks(_area(slice(0, 10), slice(11, 20)))
    np.testing.assert_array_equal(count_instances(inside, truth), [0, 1, 0, 0])
    across = _masks(_area(slice(0, 10), slice(0, 18)))
    np.testing.assert_array_equal(count_instances(across, truth), [1, 1, 1, 1])


def test_instances_agree_with_whole_pictures() -> None:
    """IoU by boxes and crops is that of whole masks, don't-care pixels left out."""
    rng, matched = np.random.default_rng(4), 0
    for _ in range(30):
        truth = _patches(rng, (5, 6), [0, 0, 128, 255])
        found = components(_patches(rng, (6, 5), [0, 1]) | (truth == 255), 0)
        true = [mask.full() > 0 for mask in components((truth == 255).astype(np.uint8), 0)]
        counted = truth != 128
        whole = [mask.full() > 0 for mask in found]
        kept = [one for one in whole if 2 * (one & counted).sum() >= one.sum()]
        good = sum(
            (one & other).sum() / ((one & counted) | other).sum() >= 0.5
            for one in kept
            for other in true
        )
        counts = count_instances(found, truth)
        assert counts.tolist()[:2] == [len(kept), len(true)]
        assert counts[InstanceColumn.MATCHED_AT_50] == good
        matched += good
    assert matched > 10


def _patches(rng: np.random.Generator, shape: tuple[int, int], values: list[int]) -> np.ndarray:
    small = rng.choice(np.array(values, np.uint8), shape)
    return cv2.resize(small, SIDE[::-1], interpolation=cv2.INTER_NEAREST)


def _found(pixels: np.ndarray, *masks: np.ndarray | None) -> PictureFindings:
    picture = Picture(
        pixels=pixels, sha256="0" * 64, size_bytes=1, format="PNG", raw_width_px=SIDE[1],
        raw_height_px=SIDE[0], exif_orientation=1, frame_count=1, colour_profile="none", remarks=(),
    )  # fmt: skip
    findings = []
    for number, mask in enumerate(masks):
        instances = tuple(
            Instance(index=n, score=0.9, mask=one, measurements=measure(one, pixels))
            for n, one in enumerate(components(mask, 0) if mask is not None else [], 1)
        )
        status = Status.PRESENT if instances else Status.NOT_ASSESSABLE
        findings.append(ClassFinding(name=f"class {number}", status=status, score=0.7,
                                     instances=instances))  # fmt: skip
    return PictureFindings(picture=picture, findings=tuple(findings), look_count=1)


@pytest.fixture
def truth(tmp_path: Path) -> TruthPicture:
    """Class 0 present with a mask, class 1 absent, class 2 present without one, class 3 unknown."""
    mask = np.zeros(SIDE, np.uint8)
    mask[0:10, 0:10], mask[0:10, 10:12] = 255, 128
    cv2.imwrite(str(tmp_path / "mask.png"), mask)
    picture = LabelledPicture(path=tmp_path / "a.png", labels=(True, False, True, None))
    cv2.imwrite(str(picture.path), np.zeros((*SIDE, 3), np.uint8))
    return TruthPicture(picture=picture, masks=(tmp_path / "mask.png", None, None, None))


def test_what_is_served_is_what_is_counted(truth: TruthPicture) -> None:
    """Pixels of the instances: hits, false ones outside don't-care areas, misses."""
    claim = _area(slice(0, 5), slice(0, 20))
    found = _found(np.zeros((*SIDE, 3), np.uint8), claim, claim, claim, None)
    first, second, third, fourth = count_classes(truth, found)
    assert first.pixels is not None
    assert first.pixels[:3] == (50, 40, 50)
    assert second.pixels is not None
    assert second.pixels[:3] == (0, 100, 0)
    assert second.instances == (1, 0, 0, 0)
    assert third.pixels is third.instances is fourth.pixels is None
    assert (first.status, fourth.status) == ("present", "not_assessable")


def test_a_tally_survives_json_and_holds_no_name(truth: TruthPicture) -> None:
    """What is read back is what was kept, and no path is in it."""
    found = _found(np.zeros((*SIDE, 3), np.uint8), None, None, None, None)
    tally = PictureTally(
        row=7, variant="as it is", stamp=stamp_of(truth), classes=count_classes(truth, found),
        traits=PictureTraits(height_px=40, width_px=60, jpeg_quality=None, sharpness=1.5),
        duration_ms=3.25, look_count=1, hardware="here",
    )  # fmt: skip
    assert PictureTally.from_dict(tally.as_dict()) == tally
    assert str(truth.picture.path.parent) not in str(tally.as_dict())


def test_a_stamp_follows_picture_and_mask(truth: TruthPicture) -> None:
    """Another picture or another mask is another stamp."""
    before = stamp_of(truth)
    cv2.imwrite(str(truth.masks[0]), np.full(SIDE, 255, np.uint8))
    after = stamp_of(truth)
    assert before != after
    truth.picture.path.write_bytes(b"another")
    assert stamp_of(truth) != after


@pytest.mark.parametrize("quality", [15, 30, 50, 75, 90, 95, 100])
def test_jpeg_quality_is_read_from_the_file(quality: int) -> None:
    """The estimate is the quality that an encoder of the usual tables was given."""
    stream = io.BytesIO()
    noise = np.random.default_rng(3).integers(0, 256, (32, 32, 3), np.uint8)
    Image.fromarray(noise).save(stream, "JPEG", quality=quality)
    assert jpeg_quality(stream.getvalue()) == quality


def test_other_files_have_no_jpeg_quality() -> None:
    """A PNG has none, and neither have bytes that are no picture."""
    ok, data = cv2.imencode(".png", np.zeros((8, 8, 3), np.uint8))
    assert ok
    assert jpeg_quality(data.tobytes()) is None
    assert jpeg_quality(b"nothing") is None


def test_sharpness_falls_with_blur_and_not_with_size() -> None:
    """Blurred is lower; the same picture at twice the size is about as sharp."""
    small = np.random.default_rng(3).integers(0, 256, (64, 64, 3), np.uint8)
    pixels = cv2.resize(small, (512, 512), interpolation=cv2.INTER_CUBIC)
    twice = cv2.resize(pixels, (1024, 1024), interpolation=cv2.INTER_CUBIC)
    assert sharpness(cv2.GaussianBlur(pixels, (0, 0), 6)) < 0.2 * sharpness(pixels)
    assert sharpness(twice) == pytest.approx(sharpness(pixels), rel=0.15)


@pytest.mark.parametrize("stress", list(STRESSES))
def test_stress_worsens_more_each_time(stress: str) -> None:
    """Each next variant of the same size is farther from the picture."""
    noise = np.random.default_rng(3).integers(0, 256, (240, 320, 3), np.uint8)
    smooth = cv2.GaussianBlur(noise, (0, 0), 1.2)
    ok, data = cv2.imencode(".png", cv2.cvtColor(smooth, cv2.COLOR_RGB2BGR))
    assert ok
    losses = []
    for variant in STRESSES[stress]:
        sent = np.asarray(Image.open(io.BytesIO(variant.apply(data.tobytes()))).convert("RGB"))
        assert sent.shape == smooth.shape
        losses.append(np.abs(sent.astype(float) - smooth).mean())
    assert losses == sorted(losses)
    assert losses[0] < 0.8 * losses[-1]


def test_traits_are_those_of_the_upright_picture() -> None:
    """Height before width, and megapixels from both."""
    ok, data = cv2.imencode(".jpg", np.zeros((1000, 500, 3), np.uint8))
    assert ok
    traits = traits_of(data.tobytes(), np.zeros((1000, 500, 3), np.uint8))
    assert (traits.height_px, traits.width_px, traits.megapixels) == (1000, 500, 0.5)
