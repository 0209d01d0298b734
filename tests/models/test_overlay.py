"""An overlay shows each finding in its class's colour and leaves the rest of the picture alone."""

import io
import tracemalloc

import numpy as np
import pytest
from PIL import Image

from hunique_models.bundle import Bundle
from hunique_models.findings import find
from hunique_models.overlay import draw_overlay, encode_jpeg


def _overlay(bundle: Bundle, pixels: np.ndarray) -> np.ndarray:
    maps = np.zeros((4, *pixels.shape[:2]), np.uint8)
    maps[0, 60:120, 100:180] = 255
    findings = find(pixels, maps, [1.0, 0, 0, 0], bundle.manifest)
    return draw_overlay(pixels, findings, bundle.manifest)


def test_overlay_tints_what_was_found(tiny_bundle: Bundle) -> None:
    """Inside the mask the class colour is mixed in; far from it nothing changes."""
    pixels = np.full((200, 300, 3), 128, np.uint8)
    drawn = _overlay(tiny_bundle, pixels)
    assert drawn.shape == pixels.shape
    red, green, blue = (int(value) for value in drawn[90, 140])
    assert red > 150 > green  # the tattoo's colour is #e63c3c
    assert green == blue
    assert (drawn[130:] == 128).all()
    assert (drawn[:, :90] == 128).all()
    assert (pixels == 128).all()  # the picture itself is not drawn on


def test_overlay_without_findings_is_the_picture(tiny_bundle: Bundle) -> None:
    """Nothing found, nothing drawn."""
    pixels = np.random.default_rng(0).integers(0, 256, (60, 80, 3), np.uint8)
    findings = find(pixels, np.zeros((4, 60, 80), np.uint8), [0.0] * 4, tiny_bundle.manifest)
    np.testing.assert_array_equal(draw_overlay(pixels, findings, tiny_bundle.manifest), pixels)


@pytest.mark.parametrize("size_px", [(32, 32), (32, 600), (600, 32)])
def test_labels_fit_small_pictures(size_px: tuple[int, int], tiny_bundle: Bundle) -> None:
    """A finding that fills a small picture is drawn without an error."""
    pixels = np.zeros((*size_px, 3), np.uint8)
    findings = find(pixels, np.full((4, *size_px), 255, np.uint8), [1.0] * 4, tiny_bundle.manifest)
    assert draw_overlay(pixels, findings, tiny_bundle.manifest).any()


def test_small_features_of_large_photographs_stay_visible(tiny_bundle: Bundle) -> None:
    """What is drawn for a ring of a distant hand leaves its neighbours alone."""
    pixels = np.zeros((1500, 3000, 3), np.uint8)
    maps = np.zeros((4, 1500, 3000), np.uint8)
    maps[1, 700:730, 1500:1530] = 255
    findings = find(pixels, maps, [0, 1.0, 0, 0], tiny_bundle.manifest)
    drawn = draw_overlay(pixels, findings, tiny_bundle.manifest).any(axis=-1)
    assert drawn[700:730, 1500:1530].all()
    assert not drawn[740:].any()
    assert not drawn[:670].any()
    assert not drawn[:, 1650:].any()


def test_jpeg_keeps_colours_in_order() -> None:
    """Red stays red in the encoded overlay."""
    pixels = np.zeros((40, 50, 3), np.uint8)
    pixels[...] = (220, 40, 10)
    with Image.open(io.BytesIO(encode_jpeg(pixels))) as image:
        assert (image.format, image.size) == ("JPEG", (50, 40))
        np.testing.assert_allclose(np.asarray(image)[20, 25], (220, 40, 10), atol=6)


def test_memory_is_that_of_a_few_pictures(tiny_bundle: Bundle) -> None:
    """A feature that fills a large photograph takes two copies of it beside the overlay at most."""
    pixels = np.full((1000, 1500, 3), 128, np.uint8)
    findings = find(
        pixels, np.full((4, 1000, 1500), 255, np.uint8), [1.0, 0, 0, 0], tiny_bundle.manifest
    )
    tracemalloc.start()
    draw_overlay(pixels, findings, tiny_bundle.manifest)
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak_bytes < 3 * pixels.nbytes
