"""What a decoder process says is believed only where it can be true."""

import json
import sys
from collections.abc import Iterator

import numpy as np
import pytest

from hunique_models.errors import UnreadableImageError
from hunique_models.geometry import Detail, Geometry, LevelMean
from hunique_models.image import DecodeLimits

if sys.platform != "linux":
    pytest.skip("decoder processes are there on Linux only", allow_module_level=True)

from hunique_server.decoding_job import (
    DecodeJob,
    NonsenseError,
    read_answer,
    write_refusal,
)
from hunique_server.decoding_memory import PictureMemory

JOB = DecodeJob(
    size_bytes=9,
    limits=DecodeLimits(max_pixels=10_000),
    geometry=Geometry(input_size_px=16, output_stride_px=4, level_mean=LevelMean.LOG_ODDS),
    detail=Detail.FAST,
)
FACTS = {
    "size_bytes": 9, "raw_width_px": 20, "raw_height_px": 10, "exif_orientation": 1,
    "frame_count": 1, "sha256": "0", "format": "PNG", "colour_profile": "none", "remarks": [],
    "shape": [10, 20],
}  # fmt: skip
SIZE_BYTES = 10 * 20 * 3 + 16 * 16 * 3


@pytest.fixture
def memory() -> Iterator[PictureMemory]:
    """Of a picture of 20 x 10 px and one look."""
    pixels = np.arange(SIZE_BYTES).astype(np.uint8)
    memory = PictureMemory(pixels.tobytes())
    yield memory
    memory.close()


def test_job_arrives_as_it_was_sent() -> None:
    """With its limits and its geometry."""
    assert DecodeJob.read(JOB.write()) == JOB


def test_answer_is_pixels_then_looks(memory: PictureMemory) -> None:
    """Where the looks lie is computed anew."""
    picture, looks = read_answer(json.dumps(FACTS).encode(), JOB, memory)
    assert picture.pixels.shape == (10, 20, 3)
    assert picture.pixels.flatten()[:3].tolist() == [0, 1, 2]
    assert looks.tiles.shape == (1, 16, 16, 3)
    assert looks.tiles.flatten()[0] == 600 % 256
    assert looks.looks[0].scale == 0.8
    assert not picture.pixels.flags.writeable


def test_refusal_keeps_its_kind_and_its_sentence(memory: PictureMemory) -> None:
    """The caller hears what threads would have said."""
    refusal = UnreadableImageError("Expected an image, found none")
    for pixels, told in ((0, 0), (12, 12), (10**12, JOB.limits.max_pixels), (-1, 0)):
        refusal.pixels = pixels
        with pytest.raises(UnreadableImageError, match="Expected an image, found none") as read:
            read_answer(write_refusal(refusal), JOB, memory)
        assert read.value.pixels == told


@pytest.mark.parametrize(
    "words",
    [
        b"", b"{", b"[]", b"null", b"\xff", b"[" * 50_000,
        json.dumps(FACTS | {"shape": [10, 21]}).encode(),
        json.dumps(FACTS | {"shape": [0, 20]}).encode(),
        json.dumps(FACTS | {"shape": [-10, -20]}).encode(),
        json.dumps(FACTS | {"shape": [1000, 2000]}).encode(),
        json.dumps(FACTS | {"frame_count": "many"}).encode(),
        json.dumps({name: FACTS[name] for name in FACTS if name != "sha256"}).encode(),
        json.dumps({"error": "SystemExit", "sentence": "x", "pixels": 0}).encode(),
        json.dumps({"error": "UnreadableImageError"}).encode(),
    ],
)  # fmt: skip
def test_nonsense_is_told_from_a_refusal(words: bytes, memory: PictureMemory) -> None:
    """A decoder that says such things has crashed in its way, and is replaced."""
    with pytest.raises(NonsenseError):
        read_answer(words, JOB, memory)


def test_frozen_memory_cannot_be_changed(memory: PictureMemory) -> None:
    """Not even by a decoder that kept it."""
    memory.frozen(SIZE_BYTES)
    with pytest.raises(PermissionError):
        memory.frozen(SIZE_BYTES)  # no seal can be added to what is sealed
