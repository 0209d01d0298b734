"""Batches: balanced, and a function of seed and step alone."""

import dataclasses
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch

from hunique_models.image import DecodeLimits, Picture, decode
from hunique_training.data import picture_cache
from hunique_training.data.backgrounds import replace_background
from hunique_training.data.batches import BatchMaker
from hunique_training.data.labels import DataError, LabelledPicture, read_labels
from hunique_training.data.picture_cache import PictureCache
from hunique_training.data.sampling import BalancedSampler
from hunique_training.data.views import (
    ViewConfig,
    degraded,
    make_views,
    random_crop,
    sometimes_blurred,
    strong_colour,
)
from hunique_training.presets import PRESETS

VIEWS = ViewConfig(size_px=64)


def _picture(number: int, source: str, *labels: bool | None) -> LabelledPicture:
    return LabelledPicture(path=Path(f"{number}.jpg"), labels=labels, source=source)


def test_every_class_gets_its_share() -> None:
    """Ten pictures of a rare class are drawn as often as a thousand of a common one."""
    pictures = [_picture(n, "a", n < 10, n >= 10) for n in range(1010)]
    sampler = BalancedSampler(pictures, batch_size=8, seed=0)
    drawn = Counter(index < 10 for step in range(250) for index in sampler.indices(step))
    assert 0.45 < drawn[True] / drawn.total() < 0.55


@pytest.mark.parametrize(("background_slot", "share"), [(True, 1 / 3), (False, 0)])
def test_backgrounds_have_a_slot_where_it_is_wanted(background_slot: bool, share: float) -> None:
    """Pictures without people are drawn, although no source of the class has any."""
    pictures = [_picture(n, "hands", n < 10) for n in range(90)]
    pictures += [
        dataclasses.replace(_picture(n, "scenes", False), kind="background") for n in range(10)
    ]
    sampler = BalancedSampler(pictures, batch_size=8, seed=0, background_slot=background_slot)
    drawn = [pictures[i].is_background for step in range(30) for i in sampler.indices(step)]
    assert sum(drawn) / len(drawn) == share


def test_a_large_source_does_not_rule() -> None:
    """Within a class sources count by the square root of their size."""
    pictures = [_picture(n, "large" if n < 900 else "small", True) for n in range(1000)]
    sampler = BalancedSampler(pictures, batch_size=10, seed=0)
    drawn = Counter(index < 900 for step in range(200) for index in sampler.indices(step))
    assert drawn[False] / drawn.total() == pytest.approx(0.25, abs=0.04)


def test_absence_comes_from_the_sources_of_presence() -> None:
    """Pictures without a class look like those with it: the source tells nothing."""
    pictures = [_picture(n, "both", n < 20) for n in range(200)]
    pictures += [_picture(n, "never", False) for n in range(1000)]
    sampler = BalancedSampler(pictures, batch_size=10, seed=0)
    drawn = {index for step in range(50) for index in sampler.indices(step)}
    assert {pictures[index].source for index in drawn} == {"both"}
    alone = [_picture(n, "always", True) for n in range(20)] + pictures[200:]
    sampler = BalancedSampler(alone, batch_size=10, seed=0)
    assert {alone[i].source for step in range(5) for i in sampler.indices(step)} == {
        "always", "never",
    }  # fmt: skip


def test_unknown_labels_fill_no_slot() -> None:
    """A picture of which nothing is known is never drawn while others teach something."""
    pictures = [_picture(0, "a", None), _picture(1, "a", True), _picture(2, "a", False)]
    sampler = BalancedSampler(pictures, batch_size=4, seed=0)
    assert {index for step in range(20) for index in sampler.indices(step)} == {1, 2}


def test_no_pictures_is_an_error() -> None:
    """An empty training set is told, not sampled from."""
    with pytest.raises(DataError, match="found none"):
        BalancedSampler([], batch_size=4, seed=0)


def _maker(folder: Path, seed: int = 0) -> BatchMaker:
    pictures = read_labels(folder / "labels.csv", ("tattoo", "ring", "lunule", "polished_nail"))
    training = [picture for picture in pictures if picture.split == "train"]
    sampler = BalancedSampler(training, batch_size=4, seed=seed)
    return BatchMaker(training, PictureCache(96), sampler, VIEWS, seed)


def test_a_batch_follows_from_seed_and_step(labelled_folder: Path) -> None:
    """A resumed run sees the batches that the uninterrupted one would have seen."""
    first, again = _maker(labelled_folder), _maker(labelled_folder)
    first.batch(3)
    one, other, changed = first.batch(7), again.batch(7), _maker(labelled_folder, 1).batch(7)
    assert torch.equal(one.strong, other.strong)
    assert torch.equal(one.labels, other.labels)
    assert not torch.equal(one.strong, changed.strong)


def test_batches_ahead_are_the_same_batches(labelled_folder: Path) -> None:
    """Preparing a step ahead in a thread changes nothing."""
    maker = _maker(labelled_folder)
    for step, batch in enumerate(maker.batches(2, 5), start=2):
        assert torch.equal(batch.weak, maker.batch(step).weak)
        assert batch.weak.shape == (4, 3, 64, 64)
        assert 0 <= batch.weak.min() <= batch.weak.max() <= 1


def test_views_share_their_geometry() -> None:
    """The strong view differs in colour alone; beyond the box lies the pad colour."""
    rng = np.random.default_rng(1)
    pixels = rng.integers(0, 255, (40, 90, 3), dtype=np.uint8)
    seen_padding = False
    for seed in range(20):
        pair = make_views(pixels, VIEWS, np.random.default_rng(seed))
        y0, y1, x0, x1 = pair.box
        outside = np.ones((64, 64), bool)
        outside[y0:y1, x0:x1] = False
        far = outside.copy()
        far[max(0, y0 - 5) : y1 + 5, max(0, x0 - 5) : x1 + 5] = False  # blur reaches this far
        seen_padding |= bool(far.any())
        assert (pair.weak[far] == VIEWS.pad_value).all()
        assert pair.weak.shape == pair.strong.shape == (64, 64, 3)
    assert seen_padding


def test_strong_colours_vary_and_keep_the_size() -> None:
    """All nine operations give pictures; most of them change something."""
    pixels = np.random.default_rng(0).integers(0, 255, (16, 16, 3), dtype=np.uint8)
    results = [strong_colour(pixels, np.random.default_rng(seed)) for seed in range(40)]
    assert len({result.tobytes() for result in results}) > 9
    assert all(result.shape == pixels.shape for result in results)


def test_degraded_pictures_lose_pixels_or_are_compressed() -> None:
    """Never at 0; at 1 always, in place and size what they were, and without their finest detail."""
    rng = np.random.default_rng(0)
    coarse = rng.integers(40, 215, (8, 8, 3), dtype=np.uint8).repeat(8, axis=0).repeat(8, axis=1)
    noisy = (coarse.astype(int) + rng.integers(-40, 40, coarse.shape)).astype(np.uint8)
    assert degraded(noisy, 0.0, rng) is noisy
    for _ in range(10):
        worse = degraded(noisy, 1.0, rng)
        assert worse.shape == noisy.shape
        assert worse.dtype == np.uint8
        assert (
            np.abs(np.diff(worse.astype(int), axis=1)).mean()
            < np.abs(np.diff(noisy.astype(int), axis=1)).mean()
        )
        means = worse.reshape(8, 8, 8, 8, 3).mean(axis=(1, 3))
        assert np.abs(means - noisy.reshape(8, 8, 8, 8, 3).mean(axis=(1, 3))).mean() < 15


def test_strong_views_alone_are_degraded() -> None:
    """What the assignment network sees keeps all of its pixels."""
    pixels = np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8)
    degrading = dataclasses.replace(VIEWS, degrade_probability=1.0)
    pairs = [
        (make_views(pixels, views, np.random.default_rng(seed)) for views in (VIEWS, degrading))
        for seed in range(4)
    ]
    for plain, worse in pairs:
        assert np.array_equal(plain.weak, worse.weak)
        assert not np.array_equal(plain.strong, worse.strong)


def test_another_background_leaves_the_hand() -> None:
    """Where the matte says hand the picture stays, elsewhere the new background shows."""
    pixels = np.full((40, 40, 3), 200, np.uint8)
    matte = np.zeros((40, 40), np.uint8)
    matte[:, :20] = 255
    composed = replace_background(pixels, matte, np.zeros_like(pixels))
    assert (composed[:, :15] == 200).all()
    assert (composed[:, 25:] == 0).all()


def test_unreadable_pictures_are_counted(tmp_path: Path, labelled_folder: Path) -> None:
    """A corrupt file is left out and remembered; the others are kept."""
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(b"not a picture")
    cache = PictureCache(64)
    good = read_labels(labelled_folder / "labels.csv", ("ring",))[0]
    kept = cache.keep_readable([LabelledPicture(path=broken, labels=(True,)), good])
    assert kept == [good]
    assert cache.unreadable == [broken]
    assert max(cache.pixels(good.path).shape) == 64


def test_pictures_beyond_the_room_are_decoded_again(
    labelled_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every picture is given, the same each time; those that came first stay in memory."""
    decoded: list[bytes] = []

    def counted(data: bytes, limits: DecodeLimits) -> Picture:
        decoded.append(data)
        return decode(data, limits)

    monkeypatch.setattr(picture_cache, "decode", counted)
    first, second = (p.path for p in read_labels(labelled_folder / "labels.csv", ("ring",))[:2])
    cache = PictureCache(64, most_bytes=64 * 48 * 3)
    shown = [cache.pixels(path) for path in (first, second, first, second)]
    assert decoded == [first.read_bytes(), second.read_bytes(), second.read_bytes()]
    assert np.array_equal(shown[1], shown[3])
    assert not np.array_equal(shown[0], shown[1])


def test_presets_of_the_release_scale_and_blur_as_it_does() -> None:
    """COSA section 2: 0.5 to 2 times the picture, small or large, and half of all crops blurred."""
    views = PRESETS["voc"]().views
    for height, width in ((375, 500), (100, 60), (800, 800)):
        crops = [random_crop(height, width, views, np.random.default_rng(n)) for n in range(200)]
        scales = [crop.scaled[0] / height for crop in crops]
        assert min(scales) == pytest.approx(0.5, abs=0.03)
        assert max(scales) == pytest.approx(2, abs=0.03)
    noise = np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8)
    rngs = map(np.random.default_rng, range(200))
    blurred = [sometimes_blurred(noise, views, rng) is not noise for rng in rngs]
    assert 0.4 < np.mean(blurred) < 0.6


def test_pictures_are_not_enlarged_beyond_what_they_show() -> None:
    """A close-up of few pixels fills the crop at most; a large photograph is looked at closer."""

    def largest(side_px: int) -> int:
        crops = [random_crop(side_px, side_px, VIEWS, np.random.default_rng(n)) for n in range(60)]
        return max(max(crop.scaled) for crop in crops)

    assert largest(40) <= VIEWS.size_px
    assert VIEWS.size_px * 1.5 < largest(500) <= VIEWS.size_px * VIEWS.scale_high
