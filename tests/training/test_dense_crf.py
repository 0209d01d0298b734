"""The exact mean field agrees with the lattice that CoSA* was evaluated with."""

from collections.abc import Callable

import pytest
import torch

from hunique_training.evaluation.dense_crf import CrfConfig, dense_crf

Vectors = Callable[[str], dict[str, torch.Tensor]]
LONG = CrfConfig(
    iterations=10, smoothness_weight=3, smoothness_width=4, colour_weight=3, position_width=83,
    colour_width=5,
)  # fmt: skip


@pytest.mark.parametrize(
    ("config", "name", "share"), [(CrfConfig(), "cosa_final", 0.99), (LONG, "inf_t10", 0.97)]
)
def test_labels_equal_the_release(
    vectors: Vectors, config: CrfConfig, name: str, share: float
) -> None:
    """CoSA*'s one iteration gives its labels; ten add up what the lattice approximates."""
    z = vectors("crf")
    image = z["image"].permute(2, 0, 1)[None].float()
    found = dense_crf(z["probs"][None], image, config)[0]
    torch.testing.assert_close(found.sum(0), torch.ones(found.shape[1:]))
    agree = (found.argmax(0) == z[f"Q_{name}"].argmax(0)).float().mean()
    assert agree >= share


def test_a_speck_inside_one_colour_goes() -> None:
    """A lone place of another label is overruled by its like-coloured neighbours."""
    p = torch.full((1, 2, 9, 9), 0.3)
    p[:, 0] = 0.7
    p[0, :, 4, 4] = torch.tensor([0.45, 0.55])
    assert int(dense_crf(p, torch.full((1, 3, 9, 9), 90.0))[0, :, 4, 4].argmax()) == 0
