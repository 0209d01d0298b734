"""The dense energy equals its formula; the release's lattice sees about half of it."""

import math
from collections.abc import Callable

import pytest
import torch
from torch.nn.functional import interpolate

from hunique_models.drawn import draw_hand
from hunique_training.losses.cam_to_segmentation import IGNORE
from hunique_training.losses.dense_energy import (
    ENERGY_SCALE,
    EnergyConfig,
    bilateral_sum,
    dense_energy_loss,
)

Vectors = Callable[[str], dict[str, torch.Tensor]]


def _inside(boxes: torch.Tensor, height: int, width: int) -> torch.Tensor:
    inside = torch.zeros(len(boxes), height, width, dtype=torch.bool)
    for mask, (y0, y1, x0, x1) in zip(inside, boxes.tolist(), strict=True):
        mask[y0:y1, x0:x1] = True
    return inside


def _reference(z: dict[str, torch.Tensor]) -> Callable[[torch.Tensor], torch.Tensor]:
    """The loss of the reference's logits, at the release's stride."""
    inside = _inside(z["img_box"], *z["label"].shape[-2:])
    return lambda logits: dense_energy_loss(
        logits.softmax(1), z["img_raw"] / 255, z["label"].long(), inside, EnergyConfig(stride_px=2)
    )


def test_filter_equals_exact_gaussian_sums(vectors: Vectors) -> None:
    """Every pair of places of the reference picture, to the rounding of its inputs."""
    z = vectors("dense_energy")
    found = bilateral_sum(
        z["filt_in"].double(), z["filt_image"].double(),
        float(z["filt_sigma_rgb"]), float(z["filt_sigma_xy"]),
    )  # fmt: skip
    expected = z["filt_out_exact_gauss_NOT_OFFICIAL"]
    torch.testing.assert_close(found, expected, rtol=2e-6, atol=0)
    single = bilateral_sum(z["filt_in"], z["filt_image"], 15.0, 50.0)
    torch.testing.assert_close(single.double(), expected, rtol=1e-4, atol=1e-5)


def test_filter_in_blocks_is_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """However few pairs are held at once, sums stay."""
    generator = torch.Generator().manual_seed(0)
    maps = torch.rand(1, 2, 9, 7, generator=generator, dtype=torch.float64)
    colours = torch.rand(1, 3, 9, 7, generator=generator, dtype=torch.float64) * 255
    whole = bilateral_sum(maps, colours, 15.0, 5.0)
    monkeypatch.setattr("hunique_training.losses.dense_energy.ENTRIES_AT_ONCE", 200)
    torch.testing.assert_close(bilateral_sum(maps, colours, 15.0, 5.0), whole)


def test_loss_is_near_that_of_the_release(vectors: Vectors) -> None:
    """Halved, the exact sum is within the lattice's error: 12 % of the value."""
    z = vectors("dense_energy")
    found = _reference(z)(z["logit"])
    assert 0.9 / 1.1 < float(found) / float(z["loss"]) < 1.1 / 0.9


def test_gradient_points_as_that_of_the_release(vectors: Vectors) -> None:
    """The same direction to 2 %, and about the same length."""
    z = vectors("dense_energy")
    logits = z["logit"].clone().requires_grad_(True)
    _reference(z)(logits).backward()
    assert logits.grad is not None
    found, expected = logits.grad.flatten(), z["grad_logit"].flatten()
    assert torch.cosine_similarity(found, expected, 0) > 0.98
    assert 0.9 / 1.1 < float(found.norm() / expected.norm()) < 1.1 / 0.9


def _small() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    p = torch.rand(1, 2, 3, 4, generator=generator, dtype=torch.float64)
    image = torch.rand(1, 3, 3, 4, generator=generator, dtype=torch.float64) * 0.2
    label = torch.tensor([[[0, 1, IGNORE, 0], [1, 0, 1, IGNORE], [0, 0, 1, 1]]])
    inside = torch.ones(1, 3, 4, dtype=torch.bool)
    inside[:, :, 3] = False
    return p, image, label, inside


def test_value_and_published_gradient_by_scalar_loops() -> None:
    """Gate, box, pairs and the gradient that counts the gate as constant."""
    p, image, label, inside = _small()
    config = EnergyConfig(stride_px=1, position_width_px=3.0)
    leaf = p.clone().requires_grad_(True)
    loss = dense_energy_loss(leaf, image, label, inside, config)
    loss.backward()
    scale = ENERGY_SCALE / 2**4
    places = [(y, x) for y in range(3) for x in range(4)]
    value, gradient = 0.0, torch.zeros_like(p)
    for i in places:
        roi = float(inside[0][i])
        gate = 1.0 if label[0][i] == IGNORE else max(0.0, roi - float(p[0, :, i[0], i[1]].max()))
        for j in places:
            square = (i[0] - j[0]) ** 2 / 9 + (i[1] - j[1]) ** 2 / 9
            colours = image[0, :, i[0], i[1]] - image[0, :, j[0], j[1]]
            square += float(((colours * 255) ** 2).sum()) / 15**2
            pull = gate * roi * math.exp(-square / 2) * float(inside[0][j])
            for k in range(2):
                at_j = pull * float(p[0, k, j[0], j[1]])
                value -= scale * float(p[0, k, i[0], i[1]]) * at_j
                gradient[0, k, i[0], i[1]] -= 2 * scale * at_j
    assert float(loss.detach()) == pytest.approx(value)
    assert leaf.grad is not None
    torch.testing.assert_close(leaf.grad, gradient, rtol=1e-9, atol=1e-18)


def test_gradient_is_that_of_the_value_where_the_gate_is_open() -> None:
    """Where no pixel is decided the gate is 1, and finite differences must agree."""
    p, image, label, inside = _small()
    label = torch.full_like(label, IGNORE)
    loss = lambda x: dense_energy_loss(x, image, label, inside, EnergyConfig(stride_px=1)) * 1e9
    assert torch.autograd.gradcheck(loss, p.requires_grad_(True))


def test_an_empty_box_gives_no_gradient() -> None:
    """A picture of which nothing is shown moves nothing."""
    p, image, label, inside = _small()
    p.requires_grad_(True)
    loss = dense_energy_loss(p, image, label, inside & False, EnergyConfig(stride_px=1))
    loss.backward()
    assert float(loss.detach()) == 0.0
    assert p.grad is not None
    assert not p.grad.any()


def test_a_coarser_grid_keeps_the_value() -> None:
    """The stride changes the cost, not what a weight means."""
    hand = draw_hand(0, size_px=(128, 128), features=("ring",), view="hand")
    image = torch.from_numpy(hand.pixels).permute(2, 0, 1)[None].double() / 255
    label = torch.full((1, 128, 128), IGNORE)
    inside = torch.ones(1, 128, 128, dtype=torch.bool)
    p = torch.rand(1, 3, 4, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    p = interpolate(p, size=(128, 128), mode="bilinear")
    fine, coarse = (
        float(dense_energy_loss(p, image, label, inside, EnergyConfig(stride_px=stride)))
        for stride in (2, 8)
    )
    assert coarse == pytest.approx(fine, rel=0.05)
