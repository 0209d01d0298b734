"""Perplexity and the weights from it equal the printed formulas, and stay finite at the edges."""

import math
from collections.abc import Callable

import pytest
import torch

from hunique_training.losses.cam_to_segmentation import cam_to_segmentation_loss, pixel_mean_loss
from hunique_training.pseudo_labels.perplexity import (
    PerplexityConfig,
    adaptive_weights,
    perplexity,
)

Vectors = Callable[[str], dict[str, torch.Tensor]]
SHAPES = [(0.8, 1.0), (0.8, 2.0), (0.5, 1.0), (0.95, 0.5)]


@pytest.mark.parametrize(("scale", "exponent"), SHAPES)
@pytest.mark.parametrize("threshold", [0.5, 0.3])
def test_weights_equal_the_formula(
    vectors: Vectors, threshold: float, scale: float, exponent: float
) -> None:
    """P and W of every reference pixel, with values at 0, 1 and the threshold among them."""
    z = vectors("FORMULA_raw")
    config = PerplexityConfig(scale=scale, exponent=exponent)
    found = perplexity(z["cam_max"], threshold, config)
    name = f"xi{threshold}_la{scale}_lb{exponent}"
    torch.testing.assert_close(found, z[f"P_{name}"], rtol=1e-12, atol=0)
    weights = adaptive_weights(found, torch.ones_like(found, dtype=torch.bool))
    torch.testing.assert_close(weights, z[f"W_{name}"], rtol=1e-12, atol=0)


def test_weighted_losses_equal_the_formula(vectors: Vectors) -> None:
    """The released weighted loss with its gradient, and the paper's mean over pixels."""
    z = vectors("FORMULA_raw")
    weights = z["W_xi0.5_la0.8_lb1.0"].float()
    label = z["label_at_xi"].long()
    logits = z["seg_pred"].requires_grad_(True)
    loss = cam_to_segmentation_loss(logits, label, weights=weights)
    torch.testing.assert_close(loss, z["weighted_loss_official_fn"].float(), rtol=1e-5, atol=0)
    loss.backward()
    torch.testing.assert_close(logits.grad, z["weighted_grad"], rtol=1e-4, atol=1e-7)
    mean = pixel_mean_loss(logits, label, weights)
    torch.testing.assert_close(mean, z["weighted_loss_eq6_plain_mean"].float(), rtol=1e-5, atol=0)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_edges_by_hand(dtype: torch.dtype) -> None:
    """Surest at 0 and 1, infinitely unsure at the threshold, clamped outside [0, 1]."""
    found = perplexity(torch.tensor([0.0, 1.0, 0.3, -0.1, 1.1], dtype=dtype), 0.3).tolist()
    surest = -math.log(0.8)
    assert found == pytest.approx([surest, surest, math.inf, surest, surest])


def test_weights_leave_out_what_is_not_valid() -> None:
    """Mean 1 over the valid pixels of the batch together; 0 outside them."""
    strength = torch.rand(3, 8, 8, generator=torch.Generator().manual_seed(0))
    valid = torch.zeros(3, 8, 8, dtype=torch.bool)
    valid[0, :4], valid[1, :, 2:5] = True, True
    weights = adaptive_weights(perplexity(strength, 0.4), valid)
    assert float(weights[valid].mean()) == pytest.approx(1, rel=1e-6)
    assert not weights[~valid].any()
    inside = (perplexity(strength, 0.4)[valid].reciprocal() / weights[valid]).double()
    assert float(inside.std()) == pytest.approx(0, abs=1e-6), "one factor for the whole batch"


@pytest.mark.parametrize(
    ("strength", "valid", "expected"),
    [(0.0, True, 1.0), (0.5, True, 0.0), (1.0, True, 1.0), (0.9, False, 0.0)],
    ids=["all zero", "all at the threshold", "all one", "nothing in the box"],
)
def test_one_value_gives_no_nan(strength: float, valid: bool, expected: float) -> None:
    """Maps of one value weigh alike, or nothing where nothing is known."""
    weights = adaptive_weights(
        perplexity(torch.full((1, 4, 4), strength), 0.5), torch.full((1, 4, 4), valid)
    )
    assert weights.tolist() == torch.full((1, 4, 4), expected).tolist()


def test_impossible_shapes_are_refused() -> None:
    """A scale of 1 would weigh sure pixels infinitely; a threshold of 0 has no lower side."""
    with pytest.raises(ValueError, match="scale < 1"):
        PerplexityConfig(scale=1.0)
    with pytest.raises(ValueError, match="within"):
        perplexity(torch.zeros(1), 0.0)
