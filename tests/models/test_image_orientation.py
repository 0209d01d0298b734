"""Coordinates are those of the upright picture, whichever way the camera was held."""

import io
import struct
from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, TiffImagePlugin

from hunique_models.image import DecodeLimits, decode, stored_frame

pytestmark = pytest.mark.filterwarnings(r"ignore:::PIL\.")

Encode = PngOf = Callable[..., bytes]
T = Image.Transpose
STORED_AS = {
    2: T.FLIP_LEFT_RIGHT,
    3: T.ROTATE_180,
    4: T.FLIP_TOP_BOTTOM,
    5: T.TRANSPOSE,
    6: T.ROTATE_90,
    7: T.TRANSVERSE,
    8: T.ROTATE_270,
}
"""How a camera stores an upright picture under each EXIF orientation."""
IFD = b"II*\0\x08\0\0\0"


def _exif(orientation: int) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return exif.tobytes()


def _stored(pixels: NDArray[np.uint8], orientation: int) -> Image.Image:
    upright = Image.fromarray(pixels)
    return upright.transpose(STORED_AS[orientation]) if orientation in STORED_AS else upright


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("container", ["JPEG", "PNG", "WEBP", "TIFF", "HEIF"])
def test_every_orientation_comes_out_upright(
    container: str, orientation: int, corners: NDArray[np.uint8], encode: Encode
) -> None:
    """All eight EXIF orientations in every container that has them give the upright picture."""
    stored = _stored(corners, orientation)
    picture = decode(encode(stored, container, exif=_exif(orientation)), DecodeLimits())
    assert picture.pixels.shape == corners.shape
    difference = np.abs(picture.pixels.astype(int) - corners)
    assert np.mean(difference) < 4
    assert difference[::39, ::59].max() < 8  # each corner has its colour
    assert (picture.height_px, picture.width_px) == (40, 60)
    assert picture.exif_orientation == orientation
    as_decoded = corners.shape[1::-1] if container == "HEIF" else stored.size
    assert (picture.raw_width_px, picture.raw_height_px) == as_decoded


@pytest.mark.parametrize("compression", ["tiff_lzw", "tiff_deflate", "jpeg"])
def test_compressed_tiff_is_turned_once(
    compression: str, corners: NDArray[np.uint8], encode: Encode
) -> None:
    """TIFF goes through another decoder where it is compressed; it is turned there as well."""
    data = encode(_stored(corners, 6), "TIFF", exif=_exif(6), compression=compression)
    picture = decode(data, DecodeLimits())
    assert picture.pixels.shape == corners.shape
    assert np.mean(np.abs(picture.pixels.astype(int) - corners)) < 8
    assert (picture.raw_width_px, picture.raw_height_px) == (40, 60)


def test_exif_behind_the_pixels_of_a_png_counts(
    corners: NDArray[np.uint8], encode: Encode, png_of: PngOf
) -> None:
    """PNG allows EXIF data after the pixels; they turn the picture as those before do."""
    data = encode(_stored(corners, 6), "PNG")
    exif = png_of((1, 1), (8, 2), b"", eXIf=_exif(6)[6:])
    chunk = exif[exif.index(b"eXIf") - 4 : exif.index(b"IDAT") - 4]
    late = data[:-12] + chunk + data[-12:]
    np.testing.assert_array_equal(decode(late, DecodeLimits()).pixels, corners)


def test_orientation_in_xmp_counts(corners: NDArray[np.uint8], encode: Encode) -> None:
    """Editing programs that state the orientation in XMP alone are understood."""
    xmp = b'<x:xmpmeta><rdf:Description tiff:Orientation="8"/></x:xmpmeta>'
    picture = decode(encode(_stored(corners, 8), "WEBP", xmp=xmp), DecodeLimits())
    np.testing.assert_array_equal(picture.pixels, corners)
    assert picture.exif_orientation == 8


def test_tiff_with_its_orientation_in_xmp_keeps_its_stored_size(
    corners: NDArray[np.uint8], encode: Encode
) -> None:
    """Its decoder swaps the sides early or late; marks of stored pixels go by those stored."""
    tags = TiffImagePlugin.ImageFileDirectory_v2()
    tags[700] = b'<x:xmpmeta><rdf:Description tiff:Orientation="6"/></x:xmpmeta>'
    data = encode(_stored(corners, 6), "TIFF", tiffinfo=tags)
    picture = decode(data, DecodeLimits())
    np.testing.assert_array_equal(picture.pixels, corners)
    assert (picture.raw_width_px, picture.raw_height_px, picture.exif_orientation) == (40, 60, 6)
    assert stored_frame(io.BytesIO(data)) == (40, 60, 6)


@pytest.mark.parametrize("value", [0, 9, 255, 65535])
def test_unknown_orientations_leave_the_picture_as_stored(
    value: int, corners: NDArray[np.uint8], encode: Encode
) -> None:
    """A value outside 1 to 8 is reported as 1, and nothing is turned."""
    picture = decode(encode(corners, exif=_exif(value)), DecodeLimits())
    np.testing.assert_array_equal(picture.pixels, corners)
    assert picture.exif_orientation == 1


@pytest.mark.parametrize(
    "odd",
    [
        struct.pack("<HHIf", 0x8769, 11, 1, 2.5),
        struct.pack("<HHII", 0x8769, 4, 1, 0x7FFFFFFF),
        struct.pack("<HHI4s", 0x010F, 77, 4, b"abc\0"),
        struct.pack("<HHIf", 0x0132, 11, 1, 1.5),
        struct.pack("<HHII", 0xEA1C, 12, 1, 9999),
    ],
)
@pytest.mark.parametrize("container", ["JPEG", "PNG", "WEBP"])
def test_odd_tags_beside_the_orientation_do_no_harm(
    container: str, odd: bytes, corners: NDArray[np.uint8], encode: Encode
) -> None:
    """A photograph with faulty tags beside its orientation is decoded, and upright."""
    entries = struct.pack("<H", 2) + struct.pack("<HHII", 0x0112, 3, 1, 6) + odd
    data = encode(_stored(corners, 6), container, exif=b"Exif\0\0" + IFD + entries + bytes(4))
    picture = decode(data, DecodeLimits())
    assert picture.pixels.shape == corners.shape
    assert np.mean(np.abs(picture.pixels.astype(int) - corners)) < 4


@pytest.mark.parametrize("kind", [11, 12])
def test_what_is_reported_is_what_was_done(
    kind: int, corners: NDArray[np.uint8], encode: Encode
) -> None:
    """An orientation of an unusual type is applied and reported, or neither."""
    value = struct.pack("<f", 6.0) if kind == 11 else struct.pack("<I", 26)
    entries = struct.pack("<HHHI", 1, 0x0112, kind, 1) + value + bytes(4) + struct.pack("<d", 6.0)
    data = encode(_stored(corners, 6), "PNG", exif=b"Exif\0\0" + IFD + entries)
    picture = decode(data, DecodeLimits())
    turned = picture.pixels.shape == corners.shape
    assert picture.exif_orientation == (6 if turned else 1)


@pytest.mark.parametrize("container", ["PNG", "WEBP"])
@pytest.mark.parametrize("exif", [b"Exif\0\0no TIFF header", b"Exif\0\0II*\0"])
def test_unreadable_exif_is_a_remark(
    container: str, exif: bytes, corners: NDArray[np.uint8], encode: Encode
) -> None:
    """Whole pixels beside damaged EXIF data are examined as stored, and the result says so."""
    picture = decode(encode(corners, container, exif=exif), DecodeLimits())
    np.testing.assert_array_equal(picture.pixels, corners)
    assert "EXIF" in " ".join(picture.remarks)


def test_rotation_of_heif_is_remarked(corners: NDArray[np.uint8], encode: Encode) -> None:
    """HEIF states its rotation apart from EXIF; the result says which one was applied."""
    picture = decode(encode(_stored(corners, 3), "HEIF", exif=_exif(3)), DecodeLimits())
    assert any("HEIF" in remark for remark in picture.remarks)
