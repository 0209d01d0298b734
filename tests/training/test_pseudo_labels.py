"""Pseudo-labels equal those of CoSA's release, and stay sound at their edges."""

from collections.abc import Callable

import pytest
import torch

from hunique_training.losses.cam_to_segmentation import IGNORE
from hunique_training.network.cosa import CosaOutput
from hunique_training.pseudo_labels.cam_labels import CamThresholds, cam_pseudo_labels
from hunique_training.pseudo_labels.multi_scale import (
    maps_of_scales,
    multi_scale_maps,
    stretch,
    sum_of_scales,
)
from hunique_training.pseudo_labels.refinement import colour_affinity, pixel_adaptive_refinement
from hunique_training.pseudo_labels.segmentation_labels import (
    forbid_absent,
    segmentation_pseudo_labels,
)

Vectors = Callable[[str], dict[str, torch.Tensor]]


def _par(images: torch.Tensor, maps: torch.Tensor) -> torch.Tensor:
    return pixel_adaptive_refinement(images, maps)


@pytest.mark.parametrize(
    ("high", "low", "downscale", "suffix"),
    [
        (0.7, 0.25, 2, "h0.7_l0.25_down2"),
        (0.7, 0.25, 1, "h0.7_l0.25_down0"),
        (0.65, 0.25, 2, "h0.65_l0.25_down2"),
        (0.65, 0.25, 1, "h0.65_l0.25_down0"),
        (0.5, 0.5, 2, "h0.5_l0.5_down2"),
        (0.5, 0.5, 1, "h0.5_l0.5_down0"),
    ],
)
def test_cam_labels_equal_the_release(
    vectors: Vectors, high: float, low: float, downscale: int, suffix: str
) -> None:
    """Pixel for pixel, with empty boxes, no class at all, and values at the thresholds."""
    z = vectors("cam2mask")
    found = cam_pseudo_labels(
        z["cams"], z["cls_labels"], z["img_boxes"],
        thresholds=CamThresholds(high=high, low=low), downscale=downscale,
    )  # fmt: skip
    assert (found != z[f"mask_{suffix}"].long()).float().mean() <= 0.002


def test_refined_cam_labels_equal_the_release(vectors: Vectors) -> None:
    """With pixel-adaptive refinement in between."""
    z = vectors("cam2mask")
    found = cam_pseudo_labels(
        z["cams"], z["cls_labels"], z["img_boxes"], thresholds=CamThresholds(high=0.7, low=0.25),
        downscale=2, images=z["images"], refine=_par,
    )  # fmt: skip
    assert (found != z["mask_h0.7_l0.25_down2_par"].long()).float().mean() <= 0.002


def test_cam_labels_by_hand() -> None:
    """Above high the class, below low background, between ignored, outside the box ignored."""
    cam = torch.tensor([[[[0.9, 0.5, 0.1, 0.9]], [[0.95, 0.1, 0.1, 0.8]]]])
    labels = cam_pseudo_labels(
        cam, torch.tensor([[1.0, 0.0]]), torch.tensor([[0, 1, 0, 3]]),
        thresholds=CamThresholds(high=0.7, low=0.25), downscale=1,
    )  # fmt: skip
    assert labels.tolist() == [[[1, IGNORE, 0, IGNORE]]]


def test_thresholds_out_of_order_are_refused() -> None:
    """A low threshold above the high one is an error that names both."""
    with pytest.raises(ValueError, match=r"0\.8 and 0\.7"):
        CamThresholds(high=0.7, low=0.8)


def test_refinement_equals_the_release(vectors: Vectors) -> None:
    """Affinities and refined maps, on a picture of constant areas too."""
    z = vectors("par")
    found = pixel_adaptive_refinement(z["imgs"], z["masks"])
    torch.testing.assert_close(found, z["out"], rtol=1e-3, atol=1e-4)
    dilations = z["small_dilations"].tolist()
    affinity = colour_affinity(z["small_imgs"], dilations)
    torch.testing.assert_close(affinity, z["small_aff"][:, 0], rtol=1e-3, atol=1e-5)


def test_refinement_follows_colour() -> None:
    """A map that stops short of an edge of colour is drawn to it, and not beyond."""
    image = torch.zeros(1, 3, 16, 16)
    image[..., 8:] = 1.0
    image += 0.01 * torch.rand(image.shape, generator=torch.Generator().manual_seed(0))
    blurred = torch.linspace(0, 1, 16).expand(1, 1, 16, 16)
    refined = pixel_adaptive_refinement(image, blurred, dilations=(1, 2), iterations=20)
    step = (refined[..., 8] - refined[..., 7]).mean()
    assert step > 3 * (blurred[..., 8] - blurred[..., 7]).mean()


def _recorded_network(z: dict[str, torch.Tensor], scales: list[float], side: int) -> Callable:
    by_side = {int(scale * side): scale for scale in scales}

    def network(images: torch.Tensor) -> CosaOutput:
        scale = by_side[images.shape[-1]]
        cam, auxiliary = z[f"raw_cam_s{scale}"], z[f"raw_cam_aux_s{scale}"]
        none = torch.zeros(0)
        return CosaOutput(none, none, cam, auxiliary, z[f"raw_seg_s{scale}"])

    return network


@pytest.mark.parametrize("name", ["multi_scale_camseg", "multi_scale_camseg_eval"])
def test_maps_over_scales_equal_the_release(vectors: Vectors, name: str) -> None:
    """CAM and segmentation over scales and flips; the auxiliary CAM over all scales."""
    z = vectors(name)
    scales = [round(float(scale), 2) for scale in z["scales"]]
    side = z["imgs"].shape[-1]
    maps = multi_scale_maps(
        _recorded_network(z, scales, side), z["imgs"], scales=scales, size=(side, side),
        multiple_px=1,
    )  # fmt: skip
    torch.testing.assert_close(maps.cam, z["cam"], rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(maps.segmentation_logits, z["seg"], rtol=1e-4, atol=1e-4)
    if "cam_aux_all_scales_NOT_OFFICIAL" in z:
        expected = z["cam_aux_all_scales_NOT_OFFICIAL"]
        torch.testing.assert_close(maps.auxiliary_cam, expected, rtol=1e-4, atol=1e-5)


def test_auxiliary_map_of_the_last_scale_equals_the_release(vectors: Vectors) -> None:
    """As released, the auxiliary CAM forgets all scales but the last."""
    for name in ("multi_scale_camseg", "multi_scale_camseg_eval"):
        z = vectors(name)
        scales = [round(float(scale), 2) for scale in z["scales"]]
        side = z["imgs"].shape[-1]
        each = maps_of_scales(
            _recorded_network(z, scales, side), z["imgs"], scales=scales, size=(side, side),
            multiple_px=1,
        )  # fmt: skip
        found = sum_of_scales(each, auxiliary_of_last_scale=True)
        torch.testing.assert_close(found.auxiliary_cam, z["cam_aux"], rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(found.cam, z["cam"], rtol=1e-4, atol=1e-5)


def test_stretching_an_empty_map_gives_zeros() -> None:
    """A class that is nowhere active has a map of zeros, not of NaN."""
    assert not stretch(torch.zeros(1, 2, 3, 3)).any()
    stretched = stretch(torch.tensor([[[[1.0, 3.0]]]]))
    assert stretched.min() == 0
    assert 0.999 < float(stretched.max()) < 1


@pytest.mark.parametrize("temperature", [0.01, 0.5, 1.0])
def test_segmentation_labels_equal_the_release(vectors: Vectors, temperature: float) -> None:
    """Absent classes get nothing; the rest is sharpened by the temperature."""
    z = vectors("seg_refine_by_label")
    found = segmentation_pseudo_labels(z["seg"], z["cls_label"], temperature=temperature)
    torch.testing.assert_close(found, z[f"before_t{temperature}"], rtol=1e-4, atol=1e-6)


def test_absent_classes_never_win(vectors: Vectors) -> None:
    """Logits of absent classes are the release's -1e5."""
    z = vectors("seg_refine_by_label")
    found = forbid_absent(z["seg"], z["cls_label"])
    torch.testing.assert_close(found, z["seg_validation"])
    assert torch.equal(found.argmax(1), z["seg_validation_argmax"])
