"""What a decoder process is told, and what it answers: the words, not the pixels.

In JSON, of which every part is checked: with pickle, whoever took a decoder over could have
the server do anything.
"""

import json
from dataclasses import asdict, dataclass, replace
from typing import Any, Self

import numpy as np

from hunique_models.errors import (
    ImageTooLargeError,
    InputError,
    UnreadableImageError,
    UnsupportedImageError,
)
from hunique_models.geometry import Detail, Geometry, plan_looks
from hunique_models.image import DecodeLimits, Picture
from hunique_models.preparing import Looks
from hunique_server.decoding_memory import PictureMemory

MAX_WORDS_BYTES = 64 * 1024
"""Of one message between the two."""
READY = b"ready"
"""What a decoder says first."""
_ERRORS = {
    kind.__name__: kind
    for kind in (ImageTooLargeError, UnreadableImageError, UnsupportedImageError)
}
_MAX_SENTENCE_CHARACTERS = 1000
_NUMBERS = ("size_bytes", "raw_width_px", "raw_height_px", "exif_orientation", "frame_count")
_TEXTS = ("sha256", "format", "colour_profile")


class NonsenseError(Exception):
    """A decoder answered what it never should."""


@dataclass(frozen=True, kw_only=True)
class DecodeJob:
    """One picture to decode and cut."""

    size_bytes: int
    """Of the encoded picture."""
    limits: DecodeLimits
    """What is refused."""
    geometry: Geometry
    """How the network sees."""
    detail: Detail
    """How closely to look."""

    def write(self) -> bytes:
        """For the decoder."""
        return json.dumps(asdict(self)).encode()

    @classmethod
    def read(cls, words: bytes) -> Self:
        """By the decoder."""
        found = json.loads(words)
        geometry = Geometry(**found["geometry"])
        red, green, blue = geometry.pad_value
        return cls(
            size_bytes=found["size_bytes"],
            limits=DecodeLimits(**found["limits"]),
            geometry=replace(geometry, pad_value=(red, green, blue)),
            detail=Detail(found["detail"]),
        )


def write_picture(picture: Picture) -> bytes:
    """The answer for a picture whose pixels and looks are in its memory, one after the other."""
    facts = {name: getattr(picture, name) for name in (*_NUMBERS, *_TEXTS, "remarks")}
    return json.dumps(facts | {"shape": picture.pixels.shape[:2]}).encode()


def write_refusal(error: InputError) -> bytes:
    """The answer for a picture that cannot be served."""
    words = {"error": type(error).__name__, "sentence": str(error), "pixels": error.pixels}
    return json.dumps(words).encode()


def read_answer(words: bytes, job: DecodeJob, memory: PictureMemory) -> tuple[Picture, Looks]:
    """What a decoder made of a picture.

    Raises:
        InputError: the picture cannot be served.
        NonsenseError: this is no answer to the job.
    """
    try:
        found = json.loads(words)
        refusal = _refusal(found, job.limits)
        if refusal is None:
            return _read_picture(found, job, memory)
    except Exception as error:  # noqa: BLE001 - it may say anything
        raise NonsenseError(f"its answer cannot be read ({type(error).__name__})") from None
    raise refusal


def _refusal(found: dict[str, Any], limits: DecodeLimits) -> InputError | None:
    if "error" not in found:
        return None
    refusal = _ERRORS[found["error"]](str(found["sentence"])[:_MAX_SENTENCE_CHARACTERS])
    refusal.pixels = max(0, min(int(found["pixels"]), limits.max_pixels))
    return refusal


def _read_picture(
    found: dict[str, Any], job: DecodeJob, memory: PictureMemory
) -> tuple[Picture, Looks]:
    height, width = (int(side) for side in found["shape"])
    if min(height, width) < 1 or height * width > job.limits.max_pixels:
        raise ValueError(f"no picture has {width} x {height} pixels here")
    # where looks lie follows from the size, and is not left to the decoder
    looks = plan_looks(height, width, job.geometry, job.detail)
    side = job.geometry.input_size_px
    pixels_bytes, tiles_bytes = height * width * 3, len(looks) * side * side * 3
    pixels, tiles = np.split(memory.frozen(pixels_bytes + tiles_bytes), [pixels_bytes])
    facts: dict[str, Any] = {name: int(found[name]) for name in _NUMBERS}
    facts |= {name: str(found[name]) for name in _TEXTS}
    facts["remarks"] = tuple(str(remark) for remark in found["remarks"])
    picture = Picture(pixels=pixels.reshape(height, width, 3), **facts)
    tiles = tiles.reshape(len(looks), side, side, 3)
    return picture, Looks(looks=looks, tiles=tiles, detail=job.detail)
