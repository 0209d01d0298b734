"""SmoothGrad: gradients of class scores by pixels, averaged over noisy copies."""

import pytest
import torch

from hunique_training.network.cosa import CosaOutput
from hunique_training.pseudo_labels.smooth_grad import SmoothGradConfig, smooth_grad


def _output(logits: torch.Tensor) -> CosaOutput:
    nothing = torch.zeros(())
    return CosaOutput(logits, logits, nothing, nothing, nothing)


def test_a_linear_score_shows_its_weights() -> None:
    """The gradient is the weight whatever the noise: its magnitude, by cell, from 0 to 1."""
    weights = torch.zeros(2, 3, 8, 8)
    weights[0, 1, :4, :4] = -3.0
    weights[0, 2, :4, :4] = 1.0
    weights[1, 0, 4:, 4:] = 0.5
    weights[1, 0, 4:, :4] = 0.25

    def network(images: torch.Tensor) -> CosaOutput:
        return _output(torch.einsum("bkhw,ckhw->bc", images, weights))

    maps = smooth_grad(network, torch.rand(2, 3, 8, 8), (2, 2))
    expected = torch.tensor([[[1.0, 0], [0, 0]], [[0, 0], [0.5, 1]]]).expand(2, 2, 2, 2)
    torch.testing.assert_close(maps, expected, rtol=1e-4, atol=1e-4)


def test_only_wanted_classes_are_looked_for() -> None:
    """Theirs are the maps that they have among all; others are 0."""
    weights = torch.rand(3, 3, 8, 8, generator=torch.Generator().manual_seed(1))

    def network(images: torch.Tensor) -> CosaOutput:
        return _output(torch.einsum("bkhw,ckhw->bc", images**2, weights))

    images = torch.rand(1, 3, 8, 8, generator=torch.Generator().manual_seed(2))
    every = smooth_grad(network, images, (4, 4))
    some = smooth_grad(network, images, (4, 4), classes=(0, 2))
    torch.testing.assert_close(some[:, [0, 2]], every[:, [0, 2]])
    assert not some[:, 1].any()
    assert not smooth_grad(network, images, (4, 4), classes=()).any()


def test_noise_is_averaged_before_its_magnitude_is_taken() -> None:
    """Of a square the gradient is 2 (x + mean noise), by scalar loops over the same noise."""
    images = torch.rand(1, 3, 4, 4, generator=torch.Generator().manual_seed(5))
    config = SmoothGradConfig(samples=3, noise_share=0.5, seed=9)
    found = smooth_grad(
        lambda x: _output((x**2).sum(dim=(1, 2, 3))[:, None]), images, (4, 4), config
    )
    generator = torch.Generator().manual_seed(9)
    spread = 0.5 * float(images.max() - images.min())
    noise = [torch.randn(1, 3, 4, 4, generator=generator) * spread for _ in range(3)]
    expected = torch.zeros(4, 4)
    for y in range(4):
        for x in range(4):
            each = [
                abs(sum(2 * float(images[0, k, y, x] + n[0, k, y, x]) for n in noise) / 3)
                for k in range(3)
            ]
            expected[y, x] = max(each)
    expected = (expected - expected.min()) / (expected.max() - expected.min() + 1e-5)
    torch.testing.assert_close(found[0, 0], expected, rtol=1e-4, atol=1e-5)


@torch.no_grad()
def test_it_asks_for_gradients_itself() -> None:
    """Where gradients are off it works all the same, and parameters get none."""
    layer = torch.nn.Linear(48, 2)
    maps = smooth_grad(lambda x: _output(layer(x.flatten(1))), torch.rand(1, 3, 4, 4), (4, 4))
    assert float(maps.amax()) == pytest.approx(1, abs=1e-3)
    assert layer.weight.grad is None
