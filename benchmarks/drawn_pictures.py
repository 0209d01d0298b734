"""Drawn hands as files, the same ones in every run."""

from io import BytesIO

from PIL import Image

from hunique_models.drawn import draw_hand

PICTURE_SIZE_PX = (960, 1280)
PICTURE_COUNT = 8
SMALL_SIZES_PX = ((320, 320), (240, 320), (320, 240), (160, 200), (120, 90), (64, 64))


def drawn_jpegs() -> list[bytes]:
    """Hands of the usual size."""
    return [_encoded(seed, PICTURE_SIZE_PX, "JPEG") for seed in range(PICTURE_COUNT)]


def small_pictures() -> list[bytes]:
    """Small hands of several sizes, each as JPEG and as PNG."""
    kinds = [(size_px, form) for size_px in SMALL_SIZES_PX for form in ("JPEG", "PNG")]
    return [_encoded(seed, *kind) for seed, kind in enumerate(kinds)]


def _encoded(seed: int, size_px: tuple[int, int], form: str) -> bytes:
    stream = BytesIO()
    Image.fromarray(draw_hand(seed, size_px=size_px).pixels).save(stream, form, quality=92)
    return stream.getvalue()
