"""What cannot be examined is refused with a clear error, and costs neither time nor memory."""

import resource
import struct
import sys
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, TiffImagePlugin

from hunique_models.errors import (
    ImageTooLargeError,
    InputError,
    UnreadableImageError,
    UnsupportedImageError,
)
from hunique_models.image import FORMATS, MAX_FRAMES, DecodeLimits, decode
from hunique_models.jpeg import MAX_SCANS, MAX_SEGMENTS

pytestmark = pytest.mark.filterwarnings(r"ignore:::PIL\.")

Encode = PngOf = Callable[..., bytes]
LIMITS = DecodeLimits()
SMALL = DecodeLimits(max_pixels=1_000_000)
CONTAINERS = ("JPEG", "PROGRESSIVE", "PNG", "PLAIN", "WEBP", "TIFF", "LZW", "BMP", "HEIF")


@pytest.fixture(scope="session")
def whole(encode: Encode) -> dict[str, bytes]:
    """A noisy picture in every container, with EXIF data where they fit."""
    pixels = np.random.default_rng(0).integers(0, 255, (40, 60, 3), np.uint8)
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = 6, "maker"
    return {
        "PROGRESSIVE": encode(pixels, "JPEG", progressive=True, exif=exif.tobytes()),
        "LZW": encode(pixels, "TIFF", compression="tiff_lzw"),
        "BMP": encode(pixels, "BMP"),
        "PLAIN": encode(pixels, "PNG"),
        **{
            name: encode(pixels, name, exif=exif.tobytes())
            for name in ("JPEG", "PNG", "WEBP", "TIFF", "HEIF")
        },
    }


def _bmp(width: int, height: int) -> bytes:
    header = struct.pack("<IiiHHIIiiII", 40, width, height, 1, 24, 0, 0, 0, 0, 0, 0)
    return b"BM" + struct.pack("<IHHI", 54, 0, 0, 54) + header


def _tiff(width: int, height: int, *, pages: int = 1, bits: int = 8) -> bytes:
    tags = [(256, width), (257, height), (258, bits), (259, 1), (262, 1), (273, 8)]
    tags += [(278, height), (279, 1)]
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags)
    data = b"II*\0\x08\0\0\0"
    for page in range(pages):
        following = len(data) + 2 + len(entries) + 4 if page < pages - 1 else 0
        data += struct.pack("<H", len(tags)) + entries + struct.pack("<I", following)
    return data


def _jpeg(width: int, height: int) -> bytes:
    frame = struct.pack(">HBHHBBBB", 11, 8, height, width, 1, 1, 0x11, 0)
    return b"\xff\xd8\xff\xc0" + frame + b"\xff\xda\x00\x08\x01\x01\x00\x00\x3f\x00" + bytes(20)


def _webp(width: int, height: int) -> bytes:
    sides = struct.pack("<I", width - 1)[:3] + struct.pack("<I", height - 1)[:3]
    body = b"WEBPVP8X" + struct.pack("<II", 10, 0) + sides + b"VP8L" + struct.pack("<I", 8)
    body += bytes([0x2F, 0, 0, 0, 0, 0, 0, 0])
    return b"RIFF" + struct.pack("<I", len(body)) + body


@pytest.fixture(scope="session")
def of_size(encode: Encode, png_of: PngOf) -> dict[str, Callable[[int, int], bytes]]:
    """For each container, a file of a few bytes that states a size."""
    template = encode(Image.new("RGB", (64, 64)), "HEIF")
    return {
        "JPEG": _jpeg,
        "PNG": lambda width, height: png_of((width, height), (8, 2), bytes(100)),
        "WEBP": _webp,
        "TIFF": _tiff,
        "BMP": _bmp,
        "HEIF": lambda width, height: _heif(width, height, template),
    }


def _heif(width: int, height: int, template: bytes) -> bytes:
    data, start = bytearray(template), template.find(b"ispe")
    while start >= 0:
        data[start + 8 : start + 16] = struct.pack(">II", width, height)
        start = template.find(b"ispe", start + 4)
    return bytes(data)


@pytest.mark.parametrize(
    ("data", "found"),
    [
        (b"", "0 bytes"),
        (b"\xff", "1 bytes"),
        (b"hello, world\n" * 50, "650 bytes"),
        (bytes(range(256)) * 8, "2048 bytes"),
        (b"\x7fELF\x02\x01\x01" + bytes(500), "507 bytes"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "41 bytes"),
    ],
)
def test_what_is_no_image_is_unreadable(data: bytes, found: str) -> None:
    """Nothing, text, programs: the error says what was expected and what was found."""
    with pytest.raises(UnreadableImageError, match=f"(?i)expected an .*image.*{found}"):
        decode(data, LIMITS)


@pytest.mark.parametrize("container", ["GIF", "AVIF", "JPEG2000", "PDF"])
def test_images_of_other_kinds_are_named(container: str, encode: Encode) -> None:
    """A picture of a kind that is not decoded is refused by the name of its kind."""
    name = "JPEG 2000" if container == "JPEG2000" else container
    with pytest.raises(UnsupportedImageError, match=f"JPEG, PNG.*found {name}"):
        decode(encode(Image.new("RGB", (16, 16)), container), LIMITS)


def test_gif_in_disguise_is_seen(encode: Encode) -> None:
    """An animation is recognised by its bytes; decoders never get what they were not asked for."""
    frames = [Image.new("RGB", (8, 8), shade) for shade in ("red", "blue")]
    data = encode(frames[0], "GIF", save_all=True, append_images=frames[1:])
    with pytest.raises(UnsupportedImageError, match="found GIF"):
        decode(data, LIMITS)


@pytest.mark.parametrize("sides", [(0, 5), (5, 0), (0, 0)])
@pytest.mark.parametrize("container", ["PNG", "BMP", "TIFF", "JPEG", "HEIF"])
def test_pictures_without_pixels_are_unreadable(
    container: str, sides: tuple[int, int], of_size: dict[str, Callable[[int, int], bytes]]
) -> None:
    """A side of 0 pixels is refused in a sentence that says that pixels are missing."""
    data = of_size[container](*sides)
    with pytest.raises(UnreadableImageError, match=f"{container}.* without pixels|0 x |x 0"):
        decode(data, LIMITS)


@pytest.mark.parametrize("container", FORMATS)
def test_pixel_bombs_are_refused_before_they_cost_memory(
    container: str, of_size: dict[str, Callable[[int, int], bytes]]
) -> None:
    """40,000 x 40,000 pixels in a few bytes: an error with both figures, and no memory taken."""
    data = of_size[container](40_000, 40_000)
    before = _peak_bytes()
    with pytest.raises(ImageTooLargeError, match=r"at most 120000000 pixels.*1600000000"):
        decode(data, LIMITS)
    assert _peak_bytes() - before < 50_000_000


def _peak_bytes() -> int:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


@pytest.mark.parametrize("container", ["JPEG", "PNG", "WEBP", "TIFF", "BMP", "HEIF"])
def test_limits_of_the_caller_hold(container: str, whole: dict[str, bytes]) -> None:
    """One pixel more than allowed, in all or along a side, is one too many; as many pass."""
    decode(whole[container], DecodeLimits(max_pixels=2400, max_side_px=60))
    for limits in (DecodeLimits(max_pixels=2399), DecodeLimits(max_side_px=59)):
        with pytest.raises(ImageTooLargeError, match="= 2400"):
            decode(whole[container], limits)


def test_200_megabytes_are_refused_unseen() -> None:
    """More bytes than allowed are refused by number alone, with both numbers."""
    with pytest.raises(ImageTooLargeError, match=r"at most 67108864 bytes.*found 200000000"):
        decode(bytes(200_000_000), LIMITS)


def test_padded_bombs_are_refused(encode: Encode) -> None:
    """A real file that unpacks to a thousand times its size is held to the pixel limit."""
    data = encode(Image.new("1", (8000, 8000)), "PNG")
    assert len(data) < 64_000
    with pytest.raises(ImageTooLargeError, match="found 8000 x 8000"):
        decode(data, SMALL)


def test_a_file_of_endless_pages_is_refused() -> None:
    """Counting the pages of a TIFF stops early: a small file cannot keep a worker for hours."""
    most = decode(_tiff(1, 1, pages=MAX_FRAMES), LIMITS)
    assert most.frame_count == MAX_FRAMES
    with pytest.raises(UnsupportedImageError, match=f"more than {MAX_FRAMES} pages"):
        decode(_tiff(1, 1, pages=20 * MAX_FRAMES), LIMITS)


def test_a_jpeg_of_endless_scans_is_refused(encode: Encode) -> None:
    """14 bytes have a decoder go over all pixels once more: a small file could take hours."""
    plain = encode(Image.new("L", (64, 64)), "JPEG", progressive=True)
    last, scans = plain[plain.rindex(b"\xff\xda") : -2], plain.count(b"\xff\xda")
    end = b"\xff\xd9"
    most = plain[:-2] + (MAX_SCANS - scans) * last + end
    film = 10 * MAX_SCANS * b"\xff\xda"
    thumbnail = b"\xff\xe1" + struct.pack(">H", len(film) + 2) + film
    for data in (most, most + film, most[:2] + thumbnail + most[2:]):
        assert decode(data, LIMITS).width_px == 64
    many = most[:-2] + last + end
    header = last[: 2 + int.from_bytes(last[2:4])]
    hidden = plain[:-2] + header + b"\xff\x05\xff\xff" + 3 * MAX_SCANS * last + end
    for data in (many, most[:-2] + last.replace(b"\xff", b"\xff\xff", 1) + end, hidden):
        with pytest.raises(UnsupportedImageError, match=f"more than {MAX_SCANS} scans"):
            decode(data, LIMITS)


def test_a_jpeg_of_endless_segments_is_refused(encode: Encode) -> None:
    """Empty segments are four bytes each, and each would be looked at."""
    plain = encode(Image.new("L", (64, 64)), "JPEG")
    behind = 2 * MAX_SCANS * b"\xff\xda"
    data = plain[:2] + 2 * MAX_SEGMENTS * b"\xff\xe5\x00\x02" + plain[2:] + behind
    with pytest.raises(UnsupportedImageError, match=f"more than {MAX_SEGMENTS} segments"):
        decode(data, LIMITS)


def test_samples_of_12_bits_are_refused() -> None:
    """TIFF of 12 bits a sample would come out dark; it is refused instead."""
    with pytest.raises(UnsupportedImageError, match="found 12"):
        decode(_tiff(2, 1, bits=12), LIMITS)


def test_raw_files_of_cameras_are_refused(encode: Encode) -> None:
    """They are TIFF whose first picture is a stamp: that would be answered for the photograph."""
    tags = TiffImagePlugin.ImageFileDirectory_v2()
    tags[254] = 1  # of reduced resolution
    preview = Image.new("RGB", (160, 120))
    assert decode(encode(preview, "TIFF", tiffinfo=tags), LIMITS).width_px == 160
    tags[330] = 8
    with pytest.raises(UnsupportedImageError, match=r"preview.*DNG.*Convert"):
        decode(encode(preview, "TIFF", tiffinfo=tags), LIMITS)


@pytest.mark.parametrize("values", [np.uint16, np.float32, np.uint8])
def test_no_negative_is_examined(values: type, encode: Encode) -> None:
    """TIFF may count grey from white to black; what is not decoded so is refused."""
    black_is_zero = encode(np.full((4, 4), 255, values), "TIFF")
    tag = struct.pack("<HHI", 262, 3, 1)
    data = black_is_zero.replace(tag + b"\1", tag + b"\0")
    assert data != black_is_zero
    if values is np.uint8:
        assert not decode(data, LIMITS).pixels.any()
    else:
        with pytest.raises(UnsupportedImageError, match="0 for white"):
            decode(data, LIMITS)


@pytest.mark.parametrize("container", CONTAINERS)
@pytest.mark.parametrize("share", [0.01, 0.1, 0.5, 0.9, 0.99])
def test_cut_short_is_unreadable(container: str, share: float, whole: dict[str, bytes]) -> None:
    """A file of which any part is missing is refused, never completed with grey."""
    data = whole[container]
    with pytest.raises(UnreadableImageError, match=r"cut short|none of these") as refused:
        decode(data[: int(len(data) * share)], LIMITS)
    assert refused.value.pixels in (0, 40 * 60)


@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_a_jpeg_that_was_mended_is_remarked(mode: str, encode: Encode) -> None:
    """Decoders take one that ends early for whole where its end is marked; half is grey then."""
    noise = np.random.default_rng(0).integers(0, 255, (64, 48, 3), np.uint8)
    data = encode(Image.fromarray(noise).convert(mode), "JPEG")
    mended = decode(data[: len(data) // 2] + b"\xff\xd9", LIMITS)
    assert (mended.pixels[-16:] == 128).all()
    assert "even grey" in " ".join(mended.remarks)
    even = encode(Image.new(mode, (48, 64), 0x808080 if mode == "RGB" else 128), "JPEG")
    for whole in (data, even):
        assert decode(whole, LIMITS).remarks == ()


def test_refusal_says_what_was_begun(whole: dict[str, bytes]) -> None:
    """Pixels are those that a decoder began to make; what the header alone refuses has none."""
    begun = {
        "cut": (whole["JPEG"][:-100], LIMITS),
        "large": (whole["JPEG"], DecodeLimits(max_pixels=9)),
    }
    pixels = {}
    for name, (data, limits) in begun.items():
        with pytest.raises(InputError) as refused:
            decode(data, limits)
        pixels[name] = refused.value.pixels
    assert pixels == {"cut": 40 * 60, "large": 0}


@pytest.mark.parametrize("container", ["PNG", "PLAIN"])
def test_checksums_of_png_are_held(container: str, whole: dict[str, bytes]) -> None:
    """A single changed bit among the pixels is refused: no other picture is examined instead."""
    first = whole[container].index(b"IDAT") + 4
    for place in range(first, len(whole[container]) - 20, 50):
        data = bytearray(whole[container])
        data[place] ^= 0x40
        with pytest.raises(UnreadableImageError):
            decode(bytes(data), LIMITS)


@pytest.mark.parametrize("container", CONTAINERS)
@settings(max_examples=120, deadline=None, derandomize=True, database=None)
@given(draw=st.data())
def test_damage_never_ends_in_another_error(
    container: str, draw: st.DataObject, whole: dict[str, bytes]
) -> None:
    """Whatever is cut off or overwritten, the answer is pixels or an InputError that tells."""
    data = bytearray(whole[container])
    near = st.integers(0, min(300, len(data) - 1)) | st.integers(0, len(data) - 1)
    for place, value in draw.draw(st.lists(st.tuples(near, st.integers(0, 255)), max_size=8)):
        data[place] = value
    damaged = bytes(data[: draw.draw(st.integers(0, len(data)))])
    try:
        picture = decode(damaged, SMALL)
    except InputError:
        return
    assert picture.pixels.size <= 3 * SMALL.max_pixels
    assert picture.pixels.dtype == np.uint8


@settings(max_examples=100, deadline=None, derandomize=True, database=None)
@given(start=st.sampled_from([b"", b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"II*\0", b"BM"]),
       rest=st.binary(max_size=200))  # fmt: skip
def test_noise_behind_a_signature_is_unreadable(start: bytes, rest: bytes) -> None:
    """Bytes that begin like an image and go on like nothing are refused."""
    with pytest.raises(InputError):
        decode(start + rest, SMALL)


def test_errors_do_not_quote_the_file() -> None:
    """Words of the file may be evidence; they stay out of messages, which are logged."""
    secret = b"SECRET-NAME"
    for data in (
        secret * 10,
        b"II*\0\x08\0\0\0" + secret * 10,
        b"\xff\xd8\xff\xe1\x00\x40" + secret,
    ):
        with pytest.raises(InputError) as caught:
            decode(data, LIMITS)
        assert "SECRET" not in str(caught.value)
