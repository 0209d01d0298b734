"""From encoded bytes to upright sRGB pixels, or to a clear error.

    bytes -> limits -> format and size (header only) -> limits -> decode first frame
          -> upright by EXIF -> sRGB by the embedded profile -> 8 bit -> (H, W, 3)

Size limits are decided before pixels are decoded. No global state of the imaging library
is touched, so pictures can be decoded in threads. Every fault of a decoder becomes an
`InputError` that says what was expected and found; its own words may quote the file and
are left out.
"""

import hashlib
import io
import re
import warnings
from contextlib import suppress
from dataclasses import dataclass
from typing import BinaryIO, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import (  # the plugins register themselves; no others are loaded
    BmpImagePlugin,  # noqa: F401
    Image,
    JpegImagePlugin,  # noqa: F401
    MpoImagePlugin,  # noqa: F401
    PngImagePlugin,  # noqa: F401
    TiffImagePlugin,
    UnidentifiedImageError,
    WebPImagePlugin,  # noqa: F401
)

from hunique_models.colour import profile_name, to_srgb
from hunique_models.errors import (
    ImageTooLargeError,
    InputError,
    UnreadableImageError,
    UnsupportedImageError,
)
from hunique_models.jpeg import check_scans, ends_in_grey
from hunique_models.signature import kind_of

try:
    import pillow_heif
except ImportError:  # HEIC is then refused like any unknown format
    pillow_heif = None  # type: ignore[assignment, unused-ignore]
else:
    pillow_heif.register_heif_opener(thumbnails=False)

# Decoders warn about the file, never about this program; their words may quote the file.
warnings.filterwarnings("ignore", module=r"PIL\.")

_PILLOW_FORMATS = ("JPEG", "PNG", "WEBP", "TIFF", "BMP")
FORMATS = (*_PILLOW_FORMATS, "HEIF") if pillow_heif else _PILLOW_FORMATS
"""Container formats that are decoded."""
DECODER_VERSIONS = {"libheif": str(pillow_heif.libheif_version())} if pillow_heif else {}
"""What decodes beside Pillow, and which."""
_TURNED_BY_DECODER = ("TIFF", "HEIF")
ORIENTATION_TAG = 0x0112
MAX_FRAMES = 1000
"""Files of more frames or pages are refused: counting them alone can take hours."""
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


@dataclass(frozen=True, kw_only=True)
class DecodeLimits:
    """What is refused before it costs memory."""

    max_bytes: int = 64 * 1024 * 1024
    """Largest encoded image."""
    max_pixels: int = 120_000_000
    """Most pixels of the decoded image."""
    max_side_px: int = 30_000
    """Longest side."""


@dataclass(frozen=True, kw_only=True)
class Picture:
    """A decoded photograph and where it came from."""

    pixels: NDArray[np.uint8]
    """(H, W, 3) C-contiguous, upright, sRGB, 0 to 255."""
    sha256: str
    """Of the encoded bytes."""
    size_bytes: int
    """Length of the encoded bytes."""
    format: str
    """Container: JPEG, PNG, WEBP, TIFF, BMP or HEIF."""
    raw_width_px: int
    """As stored; for HEIF as its decoder gives it."""
    raw_height_px: int
    """As stored."""
    exif_orientation: int
    """1 to 8; 1 where the file states none."""
    frame_count: int
    """Frames or pages; only the first is decoded, of HEIF the one that it calls primary."""
    colour_profile: str
    """Description of the embedded profile, "none" where there is none."""
    remarks: tuple[str, ...]
    """What a reader of the result should know."""

    @property
    def height_px(self) -> int:
        """Rows of the upright picture."""
        return int(self.pixels.shape[0])

    @property
    def width_px(self) -> int:
        """Columns of the upright picture."""
        return int(self.pixels.shape[1])


class StoredFrame(NamedTuple):
    """How a picture lies in its file, before it is turned upright."""

    width_px: int
    """Columns as stored."""
    height_px: int
    """Rows as stored."""
    turned: int
    """EXIF orientation by which `decode` turns it, 1 to 8; 1: it is stored upright."""


def stored_frame(stream: BinaryIO) -> StoredFrame | None:
    """How an encoded picture lies in its file; None where that cannot be read.

    HEIF states its turns apart from EXIF and every program makes them: it counts as upright.
    """
    try:
        with Image.open(stream, formats=FORMATS) as image:
            orientation = 1 if image.format == "HEIF" else _orientation(image)[0]
            return StoredFrame(*_raw_size(image), orientation)
    except Exception:  # noqa: BLE001 - decoders raise anything on damaged files
        return None


def decode(data: bytes, limits: DecodeLimits) -> Picture:
    """Decode one photograph.

    Raises:
        UnreadableImageError: empty, no image, damaged or cut short.
        UnsupportedImageError: an image of a kind that is not decoded here.
        ImageTooLargeError: more bytes or pixels than `limits` allow.
    """
    try:
        return _decode_or_explain(data, limits)
    except InputError as error:
        error.pixels = _begun_pixels(data, limits)
        raise


def _begun_pixels(data: bytes, limits: DecodeLimits) -> int:
    """Pixels that decoding begins to make, by the header; 0 where that is refused."""
    try:
        with Image.open(io.BytesIO(data), formats=FORMATS) as image:
            _check_pixels(image, limits)
            return image.width * image.height
    except Exception:  # noqa: BLE001 - decoders raise anything on damaged files
        return 0


def _decode_or_explain(data: bytes, limits: DecodeLimits) -> Picture:
    check_size_bytes(len(data), limits)
    if not data:
        raise UnreadableImageError("Expected an encoded image, found 0 bytes")
    try:
        return _decode(data, limits)
    except InputError:
        raise
    except UnidentifiedImageError as error:
        raise _unidentified(data) from error
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        most = min(limits.max_pixels, 2 * (Image.MAX_IMAGE_PIXELS or limits.max_pixels))
        found = re.search(r"\d+", str(error))
        raise ImageTooLargeError(
            f"Expected at most {most} pixels, found {found[0] if found else 'more'}"
        ) from error
    except MemoryError as error:
        raise ImageTooLargeError("Decoding the image takes more memory than there is") from error
    except Exception as error:  # decoders raise anything on damaged files
        raise UnreadableImageError(
            f"The image is damaged or cut short: its decoder stopped ({type(error).__name__}). "
            "Send the whole, original file."
        ) from error


def check_size_bytes(size_bytes: int, limits: DecodeLimits) -> None:
    """Refuse encoded images above the limit.

    Raises:
        ImageTooLargeError: with what is allowed and what was found.
    """
    if size_bytes > limits.max_bytes:
        raise ImageTooLargeError(
            f"Expected at most {limits.max_bytes} bytes of image, found {size_bytes}"
        )


def _unidentified(data: bytes) -> InputError:
    kind, expected = kind_of(data), f"Expected an image as {', '.join(FORMATS)}"
    if kind in FORMATS:
        return UnreadableImageError(
            f"{expected}; the {len(data)} bytes received begin like {kind}, but their header is "
            "damaged, cut short or without pixels. Send the whole, original file."
        )
    if kind:
        return UnsupportedImageError(f"{expected}; found {kind}. Convert it, or send a photograph.")
    return UnreadableImageError(f"{expected}; the {len(data)} bytes received are none of these")


def _decode(data: bytes, limits: DecodeLimits) -> Picture:
    image: Image.Image = Image.open(io.BytesIO(data), formats=FORMATS)
    _check_pixels(image, limits)
    container = "JPEG" if image.format == "MPO" else image.format or ""
    if container == "JPEG":
        check_scans(data)
    frame_count = _frame_count(image, data)
    if container == "PNG":
        image.load()  # EXIF data may follow the pixels, and reading them would hide damage of these
    orientation, remarks = _orientation(image)
    raw_size = _raw_size(image)
    profile = image.info.get("icc_profile")
    image.load()
    if frame_count > 1:
        which = f"number {image.tell() + 1}" if image.tell() else "the first"
        remarks.append(f"only {which} of {frame_count} frames or pages was examined")
    if container == "JPEG" and ends_in_grey(image):
        remarks.append("the last rows as stored are even grey, as where data of a file are missing")
    if container == "HEIF" and orientation != 1:
        remarks.append("the rotation that HEIF itself states was applied, not the EXIF one")
    if container not in _TURNED_BY_DECODER and orientation in _UPRIGHT:
        # not ImageOps.exif_transpose: it writes the EXIF data anew, and fails on odd ones
        image = image.transpose(_UPRIGHT[orientation])
    rgb, colour_remarks = to_srgb(image, profile)
    return Picture(
        pixels=np.ascontiguousarray(rgb),
        sha256=hashlib.sha256(data).hexdigest(),
        size_bytes=len(data),
        format=container,
        raw_width_px=raw_size[0],
        raw_height_px=raw_size[1],
        exif_orientation=orientation,
        frame_count=frame_count,
        colour_profile=profile_name(profile),
        remarks=(*remarks, *colour_remarks),
    )


def _check_pixels(image: Image.Image, limits: DecodeLimits) -> None:
    width, height = image.size
    if width < 1 or height < 1:
        raise UnreadableImageError(f"Expected at least one pixel, found {width} x {height}")
    if max(width, height) > limits.max_side_px or width * height > limits.max_pixels:
        raise ImageTooLargeError(
            f"Expected at most {limits.max_pixels} pixels and sides of at most "
            f"{limits.max_side_px}, found {width} x {height} = {width * height}"
        )
    if image.mode not in _MODES:
        raise UnsupportedImageError(
            f"Expected grey, RGB, CMYK, YCbCr, Lab or palette pixels, found mode {image.mode}"
        )
    if isinstance(image, TiffImagePlugin.TiffImageFile):
        _check_samples(image)


def _check_samples(image: TiffImagePlugin.TiffImageFile) -> None:
    """Refuse what the decoder would give dark, as a negative, or of the size of a stamp."""
    kind = image.tag_v2.get(254)
    if isinstance(kind, int) and kind & 1 and 330 in image.tag_v2:
        raise UnsupportedImageError(
            "Expected a photograph, found a preview with the photograph behind it, as in raw files "
            "of cameras (DNG, NEF, ARW). Convert the file to TIFF or JPEG."
        )
    if 12 in image.tag_v2.get(258, ()):
        raise UnsupportedImageError("Expected 8, 16 or 32 bits a sample, found 12")
    if image.tag_v2.get(262) == 0 and image.mode in ("I;16", "F"):
        raise UnsupportedImageError(
            "Expected grey of 16 or 32 bits with 0 for black, found 0 for white (WhiteIsZero). "
            "Save it anew with another program."
        )


_MODES = frozenset(
    ["1", "L", "LA", "La", "P", "PA", "RGB", "RGBA", "RGBa", "RGBX", "CMYK", "YCbCr", "LAB", "HSV",
     "I", "F", "I;16", "I;16B", "I;16L", "I;16N"]
)  # fmt: skip


def _frame_count(image: Image.Image, data: bytes) -> int:
    if image.format == "TIFF":
        # on a copy: looking beyond the last page upsets the count that comes after
        with Image.open(io.BytesIO(data), formats=("TIFF",)) as copy, suppress(EOFError):
            copy.seek(MAX_FRAMES)
            raise UnsupportedImageError(
                f"Expected a photograph, found a TIFF of more than {MAX_FRAMES} pages. "
                "Send the page alone."
            )
    return int(getattr(image, "n_frames", 1))


def _orientation(image: Image.Image) -> tuple[int, list[str]]:
    try:
        if image.format == "HEIF":
            # HEIF states its rotation apart from EXIF; its decoder keeps the tag here
            value = image.info.get("original_orientation")
        else:
            value = image.getexif().get(ORIENTATION_TAG)
    except Exception:  # noqa: BLE001 - damaged EXIF data raise anything; the pixels may be whole
        return 1, ["the EXIF data could not be read; the picture was examined as stored"]
    return next((known for known in range(1, 9) if known == value), 1), []


def _raw_size(image: Image.Image) -> tuple[int, int]:
    """(width, height) as stored; the TIFF decoder may have swapped them to turn the picture."""
    if isinstance(image, TiffImagePlugin.TiffImageFile):
        return image.tag_v2[256], image.tag_v2[257]
    return image.size
