"""Mean and deviation part by part are those of everything at once."""

import pytest
import torch

from hunique_training.network.feature_moments import moments_of_parts


def test_parts_of_any_size_give_the_moments_of_all() -> None:
    """Also where the mean is a thousand deviations: a sum of squares would lose these."""
    generator = torch.Generator().manual_seed(0)
    features = torch.randn(7, 3, 4, 5, generator=generator) * 0.01
    features[:, 1] += 10
    features[:, 2] *= 1e4
    found = moments_of_parts(features.split([3, 1, 2, 1]))
    exact = features.double()
    torch.testing.assert_close(
        found.mean.double(), exact.mean((0, 2, 3), keepdim=True), rtol=1e-6, atol=1e-9
    )
    torch.testing.assert_close(
        found.deviation.double(), exact.std((0, 2, 3), keepdim=True), rtol=1e-6, atol=0
    )
    assert found.mean.dtype == torch.float32
    assert found.mean.shape == found.deviation.shape == (1, 3, 1, 1)


def test_nothing_to_measure_is_an_error() -> None:
    """Rather than zeros that would blow features up."""
    with pytest.raises(ValueError, match="found none"):
        moments_of_parts([])
