"""Any pixel mode and colour profile to 8-bit sRGB."""

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms

_SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))


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
    values = np.asarray(image).astype(np.float64)
    if image.mode == "F":
        finite = values[np.isfinite(values)]
        low, high = (finite.min(), finite.max()) if len(finite) else (0.0, 0.0)
        values = np.where(np.isnan(values), 0.0, (values - low) / (high - low or 1.0)) * 65535
    elif values.max(initial=0) > 65535:
        values = values / values.max() * 65535
    return Image.fromarray(np.clip(np.rint(values / 257), 0, 255).astype(np.uint8), "L")


def _without_transparency(image: Image.Image) -> tuple[Image.Image, bool]:
    if image.mode == "P" and "transparency" not in image.info:
        return image.convert("RGB"), False
    if image.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in image.info:
        rgba = image.convert("RGBA")
        alpha = np.asarray(rgba)[..., 3]
        white = Image.new("RGBA", rgba.size, (255, 255, 255, 255))
        return Image.alpha_composite(white, rgba).convert("RGB"), bool((alpha < 255).any())
    return image, False


def _apply_profile(image: Image.Image, profile: bytes) -> tuple[Image.Image, str | None]:
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        if image.mode not in ("RGB", "L", "CMYK", "LAB"):
            image = image.convert("RGB")
        converted = ImageCms.profileToProfile(image, source, _SRGB, outputMode="RGB")
    except Exception:  # noqa: BLE001 - damaged or ill-fitting profiles raise anything
        return image, "the embedded colour profile could not be used and was left out"
    return converted or image, None
