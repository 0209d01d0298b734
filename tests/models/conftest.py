"""Pictures made on the spot, encoded in every container that is decoded."""

import io
import struct
import zlib
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

Encode = Callable[..., bytes]
PngOf = Callable[..., bytes]


@pytest.fixture(scope="session")
def corners() -> NDArray[np.uint8]:
    """(40, 60, 3): red and green above, blue and yellow below; no turn looks like another."""
    pixels = np.zeros((40, 60, 3), np.uint8)
    pixels[:20, :30], pixels[:20, 30:] = (255, 0, 0), (0, 255, 0)
    pixels[20:, :30], pixels[20:, 30:] = (0, 0, 255), (255, 255, 0)
    return pixels


@pytest.fixture(scope="session")
def encode() -> Encode:
    """Pixels or a Pillow image to the bytes of a container, as good as it can."""
    best: dict[str, dict[str, Any]] = {
        "JPEG": {"quality": 97, "subsampling": 0},
        "WEBP": {"lossless": True, "exact": True},
        "HEIF": {"quality": 97, "chroma": 444},
    }

    def encode_one(
        image: Image.Image | NDArray[Any], container: str = "PNG", **options: Any
    ) -> bytes:
        stream = io.BytesIO()
        picture = image if isinstance(image, Image.Image) else Image.fromarray(image)
        picture.save(stream, container, **{**best.get(container, {}), **options})
        return stream.getvalue()

    return encode_one


@pytest.fixture(scope="session")
def png_of() -> PngOf:
    """A PNG of (width, height), bits and colour type, from raw rows and further chunks."""

    def make(size: tuple[int, int], kind: tuple[int, int], rows: bytes, **further: bytes) -> bytes:
        header = struct.pack(">IIBBBBB", *size, *kind, 0, 0, 0)
        chunks = {"IHDR": header, **further, "IDAT": zlib.compress(rows), "IEND": b""}
        data = b"\x89PNG\r\n\x1a\n"
        for name, body in chunks.items():
            check = struct.pack(">I", zlib.crc32(name.encode() + body))
            data += struct.pack(">I", len(body)) + name.encode() + body + check
        return data

    return make


@pytest.fixture(scope="session")
def display_p3() -> bytes:
    """A matrix profile with the primaries of Display P3 and a gamma of 2.2."""

    def numbers(kind: bytes, *values: float) -> bytes:
        return kind + bytes(4) + b"".join(struct.pack(">i", round(v * 65536)) for v in values)

    gamma = b"curv" + bytes(4) + struct.pack(">IHH", 1, round(2.2 * 256), 0)
    name = b"desc" + bytes(4) + struct.pack(">I", 11) + b"Display P3\0" + bytes(79)
    tags = {
        b"desc": name,
        b"wtpt": numbers(b"XYZ ", 0.9642, 1.0, 0.8249),
        b"rXYZ": numbers(b"XYZ ", 0.51512, 0.24120, -0.00105),
        b"gXYZ": numbers(b"XYZ ", 0.29198, 0.69225, 0.04189),
        b"bXYZ": numbers(b"XYZ ", 0.15710, 0.06657, 0.78407),
        **dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), gamma),
    }
    table, body, start = b"", b"", 128 + 4 + 12 * len(tags)
    for tag, value in tags.items():
        table += tag + struct.pack(">II", start + len(body), len(value))
        body += value + bytes(-len(value) % 4)
    header = struct.pack(">III", start + len(body), 0, 0x02400000) + b"mntrRGB XYZ "
    header += struct.pack(">6H", 2026, 1, 1, 0, 0, 0) + b"acsp" + bytes(28)
    header += struct.pack(">3i", *(round(v * 65536) for v in (0.9642, 1.0, 0.8249)))
    return header.ljust(128, b"\0") + struct.pack(">I", len(tags)) + table + body
