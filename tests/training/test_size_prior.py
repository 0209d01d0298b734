"""The size prior holds the CAM down where no feature can be, and nowhere else."""

import math

import pytest
import torch

from hunique_training.losses.size_prior import size_prior_loss

SHARES = (0.25, 0.0, 1.0)


def _case() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    cam = torch.randn(3, 3, 4, 5, generator=generator, dtype=torch.float64)
    labels = torch.tensor([[1.0, 1.0, 0.0], [0.0, 0.0, 1.0], [1.0, 0.0, 0.0]])
    known = torch.tensor([[True, True, True], [True, True, True], [False, True, True]])
    return cam, labels, known


def test_it_equals_its_loop() -> None:
    """The weakest places where a class is, all places where it is not; unbounded ones never."""
    cam, labels, known = _case()
    total, count = 0.0, 0
    for b in range(3):
        for c, share in enumerate(SHARES):
            if not known[b, c]:
                continue
            count += 1
            if share == 0:
                continue
            values = sorted(float(v) for v in cam[b, c].flatten())
            kept = values[: int(len(values) * (1 - share))] if labels[b, c] else values
            if kept:
                total += sum(math.log1p(math.exp(v)) for v in kept) / len(kept)
    found = float(size_prior_loss(cam, labels, known, SHARES))
    assert found == pytest.approx(total / count, rel=1e-12)


def test_the_strongest_places_are_left_alone() -> None:
    """Five of twenty places may be a feature of at most a quarter: they get no gradient."""
    cam, labels, known = _case()
    cam.requires_grad_()
    (gradient,) = torch.autograd.grad(size_prior_loss(cam, labels, known, SHARES), cam)
    strongest = cam[0, 0].flatten().topk(5).indices
    assert (gradient[0, 0].flatten()[strongest] == 0).all()
    assert (gradient[0, 0] > 0).sum() == 15
    assert (gradient[:, 1] == 0).all()
    assert (gradient[2, 0] == 0).all()


def test_gradients_are_right() -> None:
    """Against finite differences."""
    cam, labels, known = _case()
    cam.requires_grad_()
    assert torch.autograd.gradcheck(lambda x: size_prior_loss(x, labels, known, SHARES), cam)


def test_parts_add_up() -> None:
    """Losses of parts over the count of the whole are the loss of the whole."""
    cam, labels, known = _case()
    count = known.sum()
    parts = [
        size_prior_loss(cam[i : i + 1], labels[i : i + 1], known[i : i + 1], SHARES, count)
        for i in range(3)
    ]
    whole = size_prior_loss(cam, labels, known, SHARES)
    torch.testing.assert_close(torch.stack(parts).sum(), whole)
