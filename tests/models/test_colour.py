"""Any pixel mode and profile ends as 8-bit sRGB, and what was done is remarked."""

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageCms

from hunique_models.colour import profile_name, to_srgb

TO_XYZ_P3 = np.array(
    [[0.51512, 0.29198, 0.15710], [0.24120, 0.69225, 0.06657], [-0.00105, 0.04189, 0.78407]]
)
TO_XYZ_SRGB = np.array(
    [[0.43607, 0.38515, 0.14307], [0.22249, 0.71687, 0.06061], [0.01392, 0.09708, 0.71410]]
)
"""Both seen under D50, as profiles state them."""


def _p3_to_srgb(colours: NDArray[np.float64]) -> NDArray[np.float64]:
    linear = (colours / 255) ** 2.2 @ (np.linalg.inv(TO_XYZ_SRGB) @ TO_XYZ_P3).T
    linear = np.clip(linear, 0, 1)
    curved = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    return curved * 255


def test_profile_converts_as_the_standard_says(display_p3: bytes) -> None:
    """Colours under a Display P3 profile become the sRGB that the matrices of both give."""
    colours = np.random.default_rng(1).integers(40, 220, (1, 50, 3), np.uint8)
    pixels, remarks = to_srgb(Image.fromarray(colours), display_p3)
    expected = _p3_to_srgb(colours.reshape(-1, 3).astype(float))
    inside = ((expected > 5) & (expected < 250)).all(axis=1)  # what lies in both gamuts
    np.testing.assert_allclose(pixels.reshape(-1, 3)[inside], expected[inside], atol=3)
    assert inside.sum() > 20
    assert remarks == ()
    assert np.abs(pixels.astype(int) - colours).max() > 10


def test_srgb_profile_changes_nothing() -> None:
    """A picture that says that it is sRGB keeps its values."""
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    colours = np.random.default_rng(2).integers(0, 256, (20, 20, 3), np.uint8)
    pixels, _ = to_srgb(Image.fromarray(colours), profile)
    np.testing.assert_allclose(pixels, colours, atol=1)


@pytest.mark.parametrize(("profile", "name"), [(b"junk" * 40, "unreadable"), (None, "none")])
def test_damaged_profiles_are_left_out(profile: bytes | None, name: str) -> None:
    """A profile that is no profile leaves the pixels alone, and the result says so."""
    pixels, remarks = to_srgb(Image.new("RGB", (4, 4), (10, 20, 30)), profile)
    assert pixels[0, 0].tolist() == [10, 20, 30]
    assert [("profile" in remark) for remark in remarks] == ([True] if profile else [])
    assert profile_name(profile) == name


def test_profile_of_other_pixels_is_left_out(display_p3: bytes) -> None:
    """An RGB profile on grey pixels is wrong; the grey stays, with a remark."""
    pixels, remarks = to_srgb(Image.new("L", (4, 4), 77), display_p3)
    assert pixels[0, 0].tolist() == [77, 77, 77]
    assert "profile" in " ".join(remarks)
    assert profile_name(display_p3) == "Display P3"


def test_float_pixels_are_stretched() -> None:
    """The range of floating-point pixels becomes 0 to 255; what is no number is black."""
    values = np.array([[-1.0, 0.0, 1.0, np.nan, np.inf, -np.inf]], np.float32)
    pixels, remarks = to_srgb(Image.fromarray(values), None)
    assert pixels[0, :, 0].tolist() == [0, 128, 255, 0, 255, 0]
    assert "8 bits" in " ".join(remarks)
    nothing = Image.fromarray(np.full((2, 2), np.nan, np.float32))
    assert not to_srgb(nothing, None)[0].any()


def test_wide_integers_are_scaled() -> None:
    """Integers of 32 bits are scaled by their largest value."""
    values = np.array([[0, 70_000, 140_000]], np.int32)
    assert to_srgb(Image.fromarray(values), None)[0][0, :, 0].tolist() == [0, 128, 255]


@pytest.mark.parametrize("mode", ["I", "F", "RGBA"])
def test_parts_come_out_as_the_whole(mode: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tall pictures are scaled and composed part by part, with one range for all of them."""
    rng = np.random.default_rng(4)
    values = rng.integers(0, 256, (41, 37, 4), np.uint8)
    wide = rng.integers(0, 1 << 20, (41, 37)).astype(np.float32 if mode == "F" else np.int32)
    image = Image.fromarray(values if mode == "RGBA" else wide)
    whole = to_srgb(image, None)
    monkeypatch.setattr("hunique_models.colour._BAND_PIXELS", 150)
    parts = to_srgb(image, None)
    np.testing.assert_array_equal(parts[0], whole[0])
    assert parts[1] == whole[1]
    assert np.ptp(whole[0]) > 200


def test_opaque_alpha_is_not_remarked() -> None:
    """An alpha channel that hides nothing leaves no remark."""
    pixels, remarks = to_srgb(Image.new("RGBA", (2, 2), (1, 2, 3, 255)), None)
    assert pixels[0, 0].tolist() == [1, 2, 3]
    assert remarks == ()
