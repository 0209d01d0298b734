"""Any pixel mode and colour profile to 8-bit sRGB."""

import io
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms

_SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))
_WITH_ALPHA = ("RGBA", "LA", "PA", "La", "RGBa")
_BAND_PIXELS = 1 << 20
"""So many are scaled or composed at once."""


def to_srgb(image: Image.Image, profile: bytes | None) -> tuple[NDArray[np.uint8], tuple[str, ...]]:
    """Convert a loaded image to (H, W, 3) uint8 sRGB, with remarks on what was done.

    16-bit values are scaled by their range; transparency is composed over white; pixels
    are converted by the embedded profile. A profile that cannot be used is a remark.
    """
    remarks: list[str] = []
    if image.mode.startswith("I") or image.mode == "F":
        image = _scaled_to_8_bit(image)
        remarks.append("values of more than 8 bits were scaled to 8 bits")
    image, transparent = _without_transparency(image)
    if transparent:
        remarks.append("transparency was composed over white")
    if profile:
        image, remark = _apply_profile(image, profile)
        remarks += [remark] if remark else []
    if image.mode != "RGB":
        image = image.convert("RGB")
    return np.asarray(image, np.uint8), tuple(remarks)


def profile_name(profile: bytes | None) -> str:
    """The profile's description; "none" where there is none, "unreadable" where it is broken."""
    if not profile:
        return "none"
    try:
        parsed = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        return ImageCms.getProfileDescription(parsed).strip()[:128] or "unnamed"
    except Exception:  # noqa: BLE001 - damaged profiles raise anything
        return "unreadable"


def _scaled_to_8_bit(image: Image.Image) -> Image.Image:
    low, high = _range(image)
    scaled = np.empty((image.height, image.width), np.uint8)
    for upper, band in _bands(image):
        values = np.asarray(band).astype(np.float64)
        if image.mode == "F":
            values = np.where(np.isnan(values), 0.0, (values - low) / (high - low or 1.0)) * 65535
        elif high > 65535:
            values = values / high * 65535
        scaled[upper : upper + band.height] = np.clip(np.rint(values / 257), 0, 255)
    return Image.fromarray(scaled, "L")


def _range(image: Image.Image) -> tuple[float, float]:
    """Least and greatest finite value; 0 and 0 where there is none."""
    ends: list[float] = []
    for _, band in _bands(image):
        values = np.asarray(band)
        finite = values[np.isfinite(values)]
        ends += [float(finite.min()), float(finite.max())] if finite.size else []
    return min(ends, default=0.0), max(ends, default=0.0)


def _without_transparency(image: Image.Image) -> tuple[Image.Image, bool]:
    if image.mode == "P" and "transparency" not in image.info:
        return image.convert("RGB"), False
    if image.mode not in _WITH_ALPHA and "transparency" not in image.info:
        return image, False
    opaque, transparent = Image.new("RGB", image.size), False
    for upper, band in _bands(image):
        rgba = band.convert("RGBA")
        transparent |= bool((np.asarray(rgba)[..., 3] < 255).any())
        white = Image.new("RGBA", rgba.size, (255, 255, 255, 255))
        opaque.paste(Image.alpha_composite(white, rgba).convert("RGB"), (0, upper))
    return opaque, transparent


def _bands(image: Image.Image) -> Iterator[tuple[int, Image.Image]]:
    """The picture in parts, each with its first row: all at once would take it many times over."""
    rows = max(1, _BAND_PIXELS // image.width)
    for upper in range(0, image.height, rows):
        lower = min(upper + rows, image.height)
        yield upper, image.crop((0, upper, image.width, lower))


def _apply_profile(image: Image.Image, profile: bytes) -> tuple[Image.Image, str | None]:
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        if image.mode not in ("RGB", "L", "CMYK", "LAB"):
            image = image.convert("RGB")
        converted = ImageCms.profileToProfile(image, source, _SRGB, outputMode="RGB")
    except Exception:  # noqa: BLE001 - damaged or ill-fitting profiles raise anything
        return image, "the embedded colour profile could not be used and was left out"
    return converted or image, None
