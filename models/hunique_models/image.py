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
import warnings
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import (  # the plugins register themselves; no others are loaded
    BmpImagePlugin,  # noqa: F401
    Image,
    ImageOps,
    JpegImagePlugin,  # noqa: F401
    MpoImagePlugin,  # noqa: F401
    PngImagePlugin,  # noqa: F401
    TiffImagePlugin,  # noqa: F401
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
_TURNED_BY_DECODER = ("TIFF", "HEIF")
ORIENTATION_TAG = 0x0112


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
    """Frames or pages; only the first is decoded."""
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


def decode(data: bytes, limits: DecodeLimits) -> Picture:
    """Decode one photograph.

    Raises:
        UnreadableImageError: empty, no image, damaged or cut short.
        UnsupportedImageError: an image of a kind that is not decoded here.
        ImageTooLargeError: more bytes or pixels than `limits` allow.
    """
    check_size_bytes(len(data), limits)
    if not data:
        raise UnreadableImageError("Expected an encoded image, found 0 bytes")
    try:
        return _decode(data, limits)
    except InputError:
        raise
    except UnidentifiedImageError as error:
        raise UnreadableImageError(
            f"Expected an image as {', '.join(FORMATS)}; the {len(data)} bytes received are "
            "none of these"
        ) from error
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise ImageTooLargeError("The image has more pixels than can be decoded") from error
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


def _decode(data: bytes, limits: DecodeLimits) -> Picture:
    image: Image.Image = Image.open(io.BytesIO(data), formats=FORMATS)
    _check_pixels(image, limits)
    container = "JPEG" if image.format == "MPO" else image.format or ""
    frame_count = int(getattr(image, "n_frames", 1))
    orientation = _orientation(image)
    raw_size = _raw_size(image, orientation)
    profile = image.info.get("icc_profile")
    remarks = []
    image.load()
    if frame_count > 1:
        remarks.append(f"only the first of {frame_count} frames or pages was examined")
    if container == "HEIF" and orientation != 1:
        remarks.append("the rotation that HEIF itself states was applied, not the EXIF one")
    if container not in _TURNED_BY_DECODER:
        image = ImageOps.exif_transpose(image)
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


_MODES = frozenset(
    [
        "1",
        "L",
        "LA",
        "La",
        "P",
        "PA",
        "RGB",
        "RGBA",
        "RGBa",
        "RGBX",
        "CMYK",
        "YCbCr",
        "LAB",
        "HSV",
        "I",
        "F",
        "I;16",
        "I;16B",
        "I;16L",
        "I;16N",
    ]
)


def _orientation(image: Image.Image) -> int:
    if image.format == "HEIF":
        # HEIF states its rotation apart from EXIF; its decoder keeps the tag here
        value = image.info.get("original_orientation")
    else:
        value = image.getexif().get(ORIENTATION_TAG)
    return int(value) if isinstance(value, int) and 1 <= value <= 8 else 1


def _raw_size(image: Image.Image, orientation: int) -> tuple[int, int]:
    """(width, height) as stored; the TIFF decoder has swapped them where it will turn."""
    if image.format == "TIFF" and orientation >= 5:
        return image.size[1], image.size[0]
    return image.size
