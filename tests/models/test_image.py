"""Photographs of every kind that is decoded give the right pixels and say where they came from."""

import gc
import hashlib
import os
import struct
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from hunique_models.image import FORMATS, DecodeLimits, decode

pytestmark = pytest.mark.filterwarnings(r"ignore:::PIL\.")

Encode = PngOf = Callable[..., bytes]
LIMITS = DecodeLimits()


def _tiff_16_bit_rgb(values: NDArray[np.uint16]) -> bytes:
    height, width = values.shape[:2]
    tags = [(256, 3, width), (257, 3, height), (259, 3, 1), (262, 3, 2), (273, 4, 134)]
    tags += [(277, 3, 3), (278, 3, height), (279, 4, values.nbytes)]
    entries = [struct.pack("<HHII", tag, kind, 1, value) for tag, kind, value in tags]
    entries.insert(2, struct.pack("<HHII", 258, 3, 3, 128))
    ifd = struct.pack("<H", len(entries)) + b"".join(entries) + bytes(4)
    head = (b"II*\0\x08\0\0\0" + ifd).ljust(128, b"\0")
    return head + struct.pack("<3H", 16, 16, 16) + values.astype("<u2").tobytes()


@pytest.mark.parametrize("container", ["JPEG", "PNG", "WEBP", "TIFF", "BMP", "HEIF"])
def test_every_container_gives_its_pixels(
    container: str, corners: NDArray[np.uint8], encode: Encode
) -> None:
    """Each container gives (H, W, 3) uint8 sRGB, with the digest and size of what was sent."""
    data = encode(corners, container)
    picture = decode(data, LIMITS)
    assert container in FORMATS
    assert picture.pixels.dtype == np.uint8
    assert picture.pixels.flags["C_CONTIGUOUS"]
    assert np.mean(np.abs(picture.pixels.astype(int) - corners)) < 4
    assert (picture.format, picture.size_bytes) == (container, len(data))
    assert picture.sha256 == hashlib.sha256(data).hexdigest()
    assert (picture.raw_width_px, picture.raw_height_px) == (60, 40)
    assert (picture.frame_count, picture.exif_orientation) == (1, 1)
    assert (picture.colour_profile, picture.remarks) == ("none", ())


@pytest.mark.parametrize("mode", ["1", "L", "P", "CMYK", "YCbCr", "LAB"])
def test_pixel_modes_become_rgb(mode: str, encode: Encode) -> None:
    """Bilevel, grey, palette, CMYK, YCbCr and Lab pixels keep their colour."""
    grey = Image.new("RGB", (8, 8), (255, 255, 255))
    image = grey.convert(mode) if mode != "LAB" else Image.new("LAB", (8, 8), (255, 128, 128))
    options = {"compression": "jpeg"} if mode == "YCbCr" else {}
    picture = decode(encode(image, "TIFF", **options), LIMITS)
    assert picture.pixels.shape == (8, 8, 3)
    assert picture.pixels.min() >= 253


@pytest.mark.parametrize("container", ["JPEG", "TIFF"])
def test_cmyk_is_not_inverted(container: str, encode: Encode) -> None:
    """Magenta and yellow ink make red, although Adobe's JPEG stores ink inverted."""
    data = encode(Image.new("CMYK", (16, 16), (0, 255, 255, 0)), container)
    assert (b"Adobe" in data) == (container == "JPEG")
    np.testing.assert_allclose(decode(data, LIMITS).pixels[8, 8], (255, 0, 0), atol=3)


def test_grey_of_16_bits_is_scaled(encode: Encode) -> None:
    """16-bit grey is scaled by its range, not cut off, and the result says so."""
    values = np.array([[0, 257 * 100, 257 * 200, 65535]], np.uint16)
    for data in (encode(values, "PNG"), encode(values, "TIFF")):
        picture = decode(data, LIMITS)
        assert picture.pixels[0, :, 0].tolist() == [0, 100, 200, 255]
        assert "8 bits" in " ".join(picture.remarks)


def test_colour_of_16_bits_is_scaled(png_of: PngOf) -> None:
    """16-bit RGB comes out within one step of the exact value, in PNG and TIFF alike."""
    values = np.array([[[0, 257 * 100, 65535], [32768, 513, 256]]], np.uint16)
    png = png_of((2, 1), (16, 2), b"\0" + values.astype(">u2").tobytes())
    for data in (png, _tiff_16_bit_rgb(values)):
        np.testing.assert_allclose(decode(data, LIMITS).pixels, values / 257, atol=1)


@pytest.mark.parametrize(("kind", "values"), [(4, "0000 8000"), (6, "0000 0000 0000 8000")])
def test_alpha_of_16_bits_is_composed(kind: int, values: str, png_of: PngOf) -> None:
    """Half-transparent black of 16 bits becomes middle grey."""
    picture = decode(png_of((1, 1), (16, kind), b"\0" + bytes.fromhex(values)), LIMITS)
    np.testing.assert_allclose(picture.pixels[0, 0], 127, atol=1)


@pytest.mark.parametrize("container", ["PNG", "WEBP", "TIFF", "HEIF"])
def test_transparency_is_composed_over_white(container: str, encode: Encode) -> None:
    """What shows through is white, in every container that has alpha, and it is remarked."""
    picture = decode(encode(Image.new("RGBA", (32, 32), (255, 0, 0, 128)), container), LIMITS)
    np.testing.assert_allclose(picture.pixels[16, 16], (255, 127, 127), atol=3)
    assert "transparency" in " ".join(picture.remarks)


@pytest.mark.parametrize(
    ("kind", "rows", "chunks"),
    [
        (3, "00 00 01", {"PLTE": "ff0000 0000ff", "tRNS": "00"}),
        (2, "00 090909 0000ff", {"tRNS": "0009 0009 0009"}),
    ],
)
def test_transparent_colours_are_white(
    kind: int, rows: str, chunks: dict[str, str], png_of: PngOf
) -> None:
    """A palette entry or a colour that PNG declares transparent is white, the others stay."""
    further = {name: bytes.fromhex(value) for name, value in chunks.items()}
    picture = decode(png_of((2, 1), (8, kind), bytes.fromhex(rows), **further), LIMITS)
    assert picture.pixels.tolist() == [[[255, 255, 255], [0, 0, 255]]]


@pytest.mark.parametrize("container", ["PNG", "WEBP", "TIFF", "MPO", "HEIF"])
def test_first_of_several_frames_is_examined(
    container: str, corners: NDArray[np.uint8], encode: Encode
) -> None:
    """Of an animation, pages or bursts the first is decoded, and the result says how many."""
    others = [Image.new("RGB", (60, 40), shade) for shade in ("white", "black")]
    data = encode(corners, container, save_all=True, append_images=others)
    picture = decode(data, LIMITS)
    assert np.mean(np.abs(picture.pixels.astype(int) - corners)) < 8
    assert picture.frame_count == 3
    assert picture.format == ("JPEG" if container == "MPO" else container)
    assert "first of 3" in " ".join(picture.remarks)


def test_primary_picture_of_heif_is_examined(encode: Encode) -> None:
    """HEIF names the picture that is meant; the result says which of them was examined."""
    shades = [Image.new("RGB", (32, 32), shade) for shade in ("white", "black")]
    data = encode(shades[0], "HEIF", save_all=True, append_images=shades[1:], primary_index=1)
    picture = decode(data, LIMITS)
    assert picture.pixels.max() < 8
    assert "number 2 of 2" in " ".join(picture.remarks)


@pytest.mark.parametrize("container", ["JPEG", "PNG", "WEBP", "TIFF", "HEIF"])
def test_display_p3_is_converted(container: str, encode: Encode, display_p3: bytes) -> None:
    """A Display P3 photograph, as telephones take them, is examined in sRGB."""
    image = Image.new("RGB", (32, 32), (200, 100, 50))
    picture = decode(encode(image, container, icc_profile=display_p3), LIMITS)
    np.testing.assert_allclose(picture.pixels[16, 16], (216, 93, 24), atol=6)
    assert picture.colour_profile == "Display P3"


def test_size_warnings_of_the_decoder_do_not_refuse(tmp_path: Path, encode: Encode) -> None:
    """Only the limits of the caller count, even where Python makes warnings errors."""
    path = tmp_path / "large.png"
    path.write_bytes(encode(np.zeros((12, 12, 3), np.uint8)))
    program = """if True:
        import pathlib, sys
        from hunique_models.image import DecodeLimits, Image, decode
        Image.MAX_IMAGE_PIXELS = 100  # Pillow warns above it, and refuses above twice as many
        decode(pathlib.Path(sys.argv[1]).read_bytes(), DecodeLimits())
    """
    command = [sys.executable, "-W", "error::Warning:PIL.Image", "-c", program, str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_threads_decode_the_same(corners: NDArray[np.uint8], encode: Encode) -> None:
    """Pictures decoded side by side in threads come out as those decoded alone."""
    names = ["JPEG", "PNG", "WEBP", "TIFF", "BMP", "HEIF"] * 8
    datas = {name: encode(corners, name) for name in set(names)}
    alone = {name: decode(data, LIMITS).pixels for name, data in datas.items()}
    with ThreadPoolExecutor(8) as pool:
        results = pool.map(lambda name: (name, decode(datas[name], LIMITS).pixels), names)
        for name, pixels in results:
            np.testing.assert_array_equal(pixels, alone[name])


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="needs Linux")
def test_memory_returns(encode: Encode) -> None:
    """After many large photographs the process is about as small as after one."""
    rng = np.random.default_rng(0)
    coarse = Image.fromarray(rng.integers(0, 255, (30, 40, 3), np.uint8))
    large = coarse.resize((4000, 3000))
    datas = [encode(large, "JPEG"), encode(coarse.resize((1600, 1200)), "PNG")]

    def resident_bytes() -> int:
        gc.collect()
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")

    [decode(data, LIMITS) for data in datas]
    before = resident_bytes()
    for data in datas * 4:
        decode(data, LIMITS)
    assert resident_bytes() - before < 40_000_000  # one of the pictures has 36 MB


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs Linux")
@pytest.mark.parametrize(("mode", "container"), [("I;16", "TIFF"), ("F", "TIFF"), ("RGBA", "PNG")])
def test_no_mode_takes_much_more_memory(
    mode: str, container: str, tmp_path: Path, encode: Encode
) -> None:
    """A small file of wide or transparent pixels does not take what several photographs do."""
    path = tmp_path / "large"
    path.write_bytes(encode(Image.new(mode, (3000, 2000)), container))
    program = """if True:
        import pathlib, re, sys
        from hunique_models.image import DecodeLimits, decode
        def peak():
            status = pathlib.Path("/proc/self/status").read_text()
            return int(re.search(r"VmHWM:\\s+(\\d+) kB", status)[1]) * 1024
        data, before = pathlib.Path(sys.argv[1]).read_bytes(), peak()
        decode(data, DecodeLimits())
        print(peak() - before)
    """
    command = [sys.executable, "-c", program, str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert int(done.stdout) < 20 * 3000 * 2000  # of RGB it is 10 bytes a pixel
