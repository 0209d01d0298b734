"""From encoded bytes to what the network will see; needs neither a manifest nor an engine.

    bytes -> image -> plan_looks -> cut_look -> looks (L, S, S, 3)

Apart from `hunique_models.pipeline` because a process that only decodes should load little.
"""

import time
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hunique_models.geometry import Detail, Geometry, Look, cut_look, plan_looks
from hunique_models.image import DecodeLimits, Picture, decode


@dataclass(frozen=True, kw_only=True, eq=False)
class Looks:
    """A picture as the network will see it."""

    looks: tuple[Look, ...]
    """Where each look lies."""
    tiles: NDArray[np.uint8]
    """(L, S, S, 3) uint8 sRGB."""
    detail: Detail
    """How closely the picture is looked at."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Prepared:
    """A decoded picture with its looks."""

    picture: Picture
    """The upright picture and where it came from."""
    looks: Looks
    """What the network will see."""
    decode_ns: int
    """Duration of decoding and cutting."""


def prepare(data: bytes, limits: DecodeLimits, geometry: Geometry, detail: Detail) -> Prepared:
    """Decode an encoded image and cut its looks.

    Raises:
        InputError: the image cannot be served.
    """
    started_ns = time.monotonic_ns()
    picture = decode(data, limits)
    looks = look_at(picture.pixels, geometry, detail)
    return Prepared(picture=picture, looks=looks, decode_ns=time.monotonic_ns() - started_ns)


def look_at(pixels: NDArray[np.uint8], geometry: Geometry, detail: Detail) -> Looks:
    """Cut the looks at (H, W, 3) uint8 pixels."""
    looks = plan_looks(pixels.shape[0], pixels.shape[1], geometry, detail)
    tiles = np.stack([cut_look(pixels, look, geometry) for look in looks])
    return Looks(looks=looks, tiles=tiles, detail=detail)
