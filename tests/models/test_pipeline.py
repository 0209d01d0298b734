"""From encoded bytes to findings: in the right place, repeatable, for every size of picture."""

import dataclasses
from collections.abc import Callable

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from hunique_models.bundle import Bundle
from hunique_models.colour_refinement import ColourRefinement
from hunique_models.engine import Engine, EngineOutput, FakeEngine, open_engine
from hunique_models.errors import ImageTooLargeError, UnknownClassError
from hunique_models.findings import Status
from hunique_models.geometry import OVERVIEW_LEVEL, Detail
from hunique_models.image import DecodeLimits
from hunique_models.pipeline import PictureFindings, Pipeline
from hunique_models.seeing import Seen

Encode = Callable[..., bytes]


@pytest.fixture
def engine(tiny_bundle: Bundle) -> Engine:
    """ONNX Runtime on the colour rule."""
    return open_engine(tiny_bundle)


@pytest.fixture
def pipeline(tiny_bundle: Bundle) -> Pipeline:
    """The way through the tiny model."""
    return Pipeline(tiny_bundle.manifest)


def _evidence(found: PictureFindings) -> list[object]:
    return [
        (finding.name, finding.status, finding.score, one.score, one.measurements, one.mask.box,
         one.mask.crop.tobytes())
        for finding in found.findings
        for one in finding.instances
    ]  # fmt: skip


def _square(found: PictureFindings) -> NDArray[np.uint8]:
    (instance,) = found.findings[0].instances
    return instance.mask.full()


@pytest.mark.parametrize("detail", list(Detail))
def test_feature_is_found_where_it_is(
    detail: Detail, red_square: np.ndarray, pipeline: Pipeline, engine: Engine, encode: Encode
) -> None:
    """A red square is outlined where it lies, within a cell of the map; nothing else is found."""
    found = pipeline.segment(encode(red_square), engine, detail)
    truth = (red_square[..., 1] == 0).astype(np.uint8)
    mask = _square(found)
    assert (mask & truth).sum() / (mask | truth).sum() > (0.65 if detail is Detail.FAST else 0.8)
    measured = found.findings[0].instances[0].measurements
    assert (measured.centroid_x_px, measured.centroid_y_px) == pytest.approx((139.5, 89.5), abs=4)
    assert [finding.status for finding in found.findings] == ["present", *["absent"] * 3]


def test_closer_looks_are_sharper(
    red_square: np.ndarray, pipeline: Pipeline, engine: Engine, encode: Encode
) -> None:
    """Fine detail follows the border of a feature more closely than one look does."""
    large = np.repeat(np.repeat(red_square, 3, axis=0), 3, axis=1)
    truth = (large[..., 1] == 0).astype(np.uint8)
    wrong = [
        int((_square(pipeline.segment(encode(large), engine, detail)) ^ truth).sum())
        for detail in (Detail.FAST, Detail.FINE)
    ]
    assert wrong[1] < wrong[0]


@pytest.mark.parametrize("orientation", range(2, 9))
def test_findings_lie_in_the_upright_picture(
    orientation: int, red_square: np.ndarray, pipeline: Pipeline, engine: Engine, encode: Encode
) -> None:
    """However the camera was held, the findings are those of the upright picture."""
    stored_as = [None, None, 0, 3, 1, 5, 2, 6, 4][orientation]
    stored = Image.fromarray(red_square).transpose(Image.Transpose(stored_as))
    exif = Image.Exif()
    exif[0x0112] = orientation
    turned = pipeline.segment(encode(stored, exif=exif.tobytes()), engine)
    assert _evidence(turned) == _evidence(pipeline.segment(encode(red_square), engine))


def test_same_picture_same_answer(
    red_square: np.ndarray, pipeline: Pipeline, engine: Engine, encode: Encode
) -> None:
    """Alone or between other pictures of a batch, masks and figures are equal to the byte."""
    noise = np.random.default_rng(5).integers(0, 256, (150, 150, 3), np.uint8)
    alone = pipeline.segment(encode(red_square), engine, Detail.FINE)
    prepared = [pipeline.prepare(encode(one), Detail.FINE) for one in (noise, red_square, noise)]
    starts = np.cumsum([0, *(len(one.looks.looks) for one in prepared)])
    output = engine.run(np.concatenate([one.looks.tiles for one in prepared]))
    part = slice(starts[1], starts[2])
    own = EngineOutput(output.probability[part], output.score[part])
    batched = pipeline.finish(prepared[1], Seen(looks=prepared[1].looks.looks, output=own))
    assert _evidence(batched) == _evidence(alone)
    assert batched.look_count == alone.look_count == starts[2] - starts[1]


@pytest.mark.parametrize("size_px", [(1, 1), (1, 400), (31, 400), (32, 32), (150, 400)])
def test_every_size_is_answered(
    size_px: tuple[int, int], pipeline: Pipeline, engine: Engine, encode: Encode
) -> None:
    """Pictures of any shape get an answer for each class; too small ones say so."""
    red = np.zeros((*size_px, 3), np.uint8)
    red[...] = (255, 0, 0)
    tattoo = pipeline.segment(encode(red), engine, Detail.FINE).findings[0]
    if min(size_px) < 32:
        assert tattoo.status is Status.NOT_ASSESSABLE
    else:
        assert tattoo.instances[0].mask.area_px == size_px[0] * size_px[1]


def test_wishes_and_limits_are_held(
    red_square: np.ndarray, tiny_bundle: Bundle, engine: Engine, encode: Encode
) -> None:
    """Only what was asked for is answered, unknown wishes and too large pictures are refused."""
    pipeline = Pipeline(tiny_bundle.manifest)
    statuses = [
        finding.status
        for finding in pipeline.segment(encode(red_square), engine, wanted=["ring"]).findings
    ]
    assert statuses == ["skipped", "absent", "skipped", "skipped"]
    with pytest.raises(UnknownClassError):
        pipeline.segment(encode(red_square), engine, wanted=["scar"])
    strict = Pipeline(tiny_bundle.manifest, DecodeLimits(max_pixels=100))
    with pytest.raises(ImageTooLargeError):
        strict.segment(encode(red_square), engine)


def test_fake_engine_follows_the_same_rule(
    red_square: np.ndarray, pipeline: Pipeline, encode: Encode
) -> None:
    """The fake engine that tests elsewhere use finds the square where it is."""
    mask = _square(pipeline.segment(encode(red_square), FakeEngine()))
    truth = (red_square[..., 1] == 0).astype(np.uint8)
    assert (mask & truth).sum() / (mask | truth).sum() > 0.65


def test_colours_refine_the_classes_whose_manifest_says_so(
    tiny_bundle: Bundle, red_square: np.ndarray
) -> None:
    """A coarse map of the square is drawn to its edges, of the first class alone."""
    manifest = tiny_bundle.manifest
    first, *others = manifest.classes
    refined = dataclasses.replace(first, refinement=ColourRefinement(colour_weight=1.0))
    manifest = dataclasses.replace(manifest, classes=(refined, *others))
    plain, pipeline = Pipeline(tiny_bundle.manifest), Pipeline(manifest)
    looks = pipeline.look_at(red_square, Detail.FAST)
    coarse = cv2.resize(
        (looks.tiles[0, ..., 1] == 0) * 200.0, (20, 20), interpolation=cv2.INTER_AREA
    )
    side = manifest.geometry.input_size_px // manifest.geometry.output_stride_px
    answer = cv2.resize(coarse, (side, side)).astype(np.uint8)
    answers = np.broadcast_to(answer, (1, len(manifest.classes), side, side)).copy()
    output = EngineOutput(answers, np.ones(answers.shape[:2], np.float32))
    before = plain.merge(Seen(looks=looks.looks, output=output), red_square)
    after = pipeline.merge(Seen(looks=looks.looks, output=output), red_square)
    truth = red_square[..., 1] == 0
    wrong = [int(((plane > 100) ^ truth).sum()) for plane in (before[0], after[0])]
    assert wrong[1] < wrong[0] / 2
    assert (after[1:] == before[1:]).all()


def test_overview_counts_for_the_classes_whose_manifest_says_so(
    tiny_bundle: Bundle, red_square: np.ndarray
) -> None:
    """The merged map of such a class follows the overview too; the others' do not."""
    manifest = tiny_bundle.manifest
    first, *others = manifest.classes
    manifest = dataclasses.replace(
        manifest,
        geometry=dataclasses.replace(manifest.geometry, overview_zoom=0.5),
        classes=(dataclasses.replace(first, in_overview=True), *others),
    )
    pipeline = Pipeline(manifest)
    looks = pipeline.look_at(red_square)
    side = manifest.geometry.input_size_px // manifest.geometry.output_stride_px
    answers = np.full((len(looks.looks), len(manifest.classes), side, side), 40, np.uint8)
    answers[[look.level == OVERVIEW_LEVEL for look in looks.looks]] = 240
    output = EngineOutput(answers, np.ones(answers.shape[:2], np.float32))
    merged = pipeline.merge(Seen(looks=looks.looks, output=output), red_square)
    assert (merged[0] > 40).all()
    assert (merged[1:] == 40).all()


def test_a_class_that_is_seen_and_not_outlined_is_told(
    red_square: np.ndarray, tiny_bundle: Bundle, engine: Engine, encode: Encode
) -> None:
    """Absent with a score above its threshold puzzles a reader; other classes have no remark."""
    manifest = tiny_bundle.manifest
    huge = dataclasses.replace(manifest.classes[0], min_area_share=0.9)
    strict = dataclasses.replace(manifest, classes=(huge, *manifest.classes[1:]))
    found = Pipeline(strict).segment(encode(red_square), engine)
    assert found.findings[0].status is Status.ABSENT
    (told,) = found.remarks
    assert told.startswith("tattoo: the score 1.000 reaches the threshold 0.500")
    assert Pipeline(manifest).segment(encode(red_square), engine).remarks == ()


def test_areas_that_are_not_listed_are_told(
    red_square: np.ndarray, tiny_bundle: Bundle, engine: Engine, encode: Encode
) -> None:
    """A reader learns that there was more than what is listed."""
    found = Pipeline(tiny_bundle.manifest).segment(encode(red_square), engine)
    first, *others = found.findings
    noisy = dataclasses.replace(found, findings=(dataclasses.replace(first, left_out=7), *others))
    (told,) = noisy.remarks
    assert told.startswith("tattoo: 7 more areas are not listed, none larger than the 1 that are")
