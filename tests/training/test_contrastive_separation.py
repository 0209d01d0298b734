"""Contrastive separation equals its formula, and is silent where there is nothing to compare."""

import math
from collections.abc import Callable

import pytest
import torch

from hunique_training.losses.contrastive_separation import (
    ContrastConfig,
    contrastive_separation_loss,
)

Vectors = Callable[[str], dict[str, torch.Tensor]]


def _loss(z: dict[str, torch.Tensor], config: ContrastConfig) -> Callable[..., torch.Tensor]:
    """The loss of the reference's vectors (n, C), laid out as one picture."""
    height, width = int(z["h"]), int(z["w"])
    labels = z["labels"].view(1, height, width)
    kept = (z["aux_perplexity"] <= config.perplexity_limit).view(1, height, width)
    return lambda vectors: contrastive_separation_loss(
        vectors.T.reshape(1, -1, height, width), labels, kept, config
    )


@pytest.mark.parametrize(("limit", "temperature"), [(1.0, 0.1), (1.0, 0.5), (2.0, 0.1), (2.0, 0.5)])
def test_cosine_equals_the_formula(vectors: Vectors, limit: float, temperature: float) -> None:
    """Loss and gradient of every reference setting."""
    z = vectors("FORMULA_csc")
    loss = _loss(z, ContrastConfig(perplexity_limit=limit, temperature=temperature))
    name = f"eps{limit}_tau{temperature}"
    leaf = z["M"].clone().requires_grad_(True)
    value = loss(leaf)
    torch.testing.assert_close(value, z[f"loss_{name}"], rtol=1e-10, atol=0)
    value.backward()
    torch.testing.assert_close(leaf.grad, z[f"grad_{name}"], rtol=1e-8, atol=1e-12)


def test_dot_product_equals_the_formula(vectors: Vectors) -> None:
    """The option that rewards the length of vectors too."""
    z = vectors("FORMULA_csc")
    loss = _loss(z, ContrastConfig(temperature=0.5, similarity="dot"))
    torch.testing.assert_close(loss(z["M"]), z["loss_dot_eps1.0_tau0.5"], rtol=1e-10, atol=0)


def _case(name: str) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    cam = torch.randn(2, 3, 4, 4, generator=torch.Generator().manual_seed(0))
    labels = torch.arange(16).view(1, 4, 4).expand(2, 4, 4) % 3
    kept = torch.ones(2, 4, 4, dtype=torch.bool)
    if name == "nothing kept":
        kept = kept & False
    if name == "one label":
        labels = torch.ones_like(labels)
    if name == "all distinct":
        labels = torch.arange(16).view(1, 4, 4).expand(2, 4, 4)
    if name == "one place":
        kept = (torch.arange(16) == 5).view(1, 4, 4).expand(2, 4, 4)
    return cam, labels, kept


@pytest.mark.parametrize("name", ["nothing kept", "one label", "all distinct", "one place"])
def test_nothing_to_compare_gives_no_loss_and_no_gradient(name: str) -> None:
    """Zero, not NaN, for the value and for every entry of the gradient."""
    cam, labels, kept = _case(name)
    cam.requires_grad_(True)
    loss = contrastive_separation_loss(cam, labels, kept)
    loss.backward()
    assert float(loss.detach()) == 0.0
    assert cam.grad is not None
    assert not cam.grad.any()


def test_places_that_are_not_kept_take_no_part() -> None:
    """They get no gradient, whatever their vectors are."""
    cam, labels, kept = _case("ordinary")
    kept = (torch.arange(16) % 4 > 1).view(1, 4, 4).expand(2, 4, 4)
    cam.requires_grad_(True)
    contrastive_separation_loss(cam, labels, kept).backward()
    assert cam.grad is not None
    assert not cam.grad[(~kept)[:, None].expand_as(cam)].any()
    assert cam.grad[kept[:, None].expand_as(cam)].any()


def test_two_pictures_by_scalar_loops() -> None:
    """Pictures are compared within themselves, and averaged."""
    cam, labels, kept = _case("ordinary")
    kept = (torch.arange(32) % 3 != 1).view(2, 4, 4)
    config = ContrastConfig(temperature=0.2)
    pictures = []
    for b in range(2):
        places = [(y, x) for y in range(4) for x in range(4) if kept[b, y, x]]
        vector = {p: cam[b, :, p[0], p[1]].double() for p in places}
        total = 0.0
        for i in places:
            score = {
                j: math.exp(float(torch.cosine_similarity(vector[i], vector[j], 0)) / 0.2)
                for j in places
            }
            alike = [j for j in places if labels[b][j] == labels[b][i] and j != i]
            apart = sum(score[j] for j in places if labels[b][j] != labels[b][i])
            total -= sum(math.log(score[p] / (score[p] + apart)) for p in alike) / len(alike)
        pictures.append(total / len(places))
    found = contrastive_separation_loss(cam, labels, kept, config)
    assert float(found) == pytest.approx(sum(pictures) / 2, rel=1e-5)


def test_places_without_activation_get_a_bounded_gradient() -> None:
    """A CAM of zeros has no direction; the gradient stays finite there."""
    _, labels, kept = _case("ordinary")
    cam = torch.zeros(2, 3, 4, 4, requires_grad=True)
    contrastive_separation_loss(cam, labels, kept).backward()
    assert cam.grad is not None
    assert cam.grad.isfinite().all()


@pytest.mark.parametrize("similarity", ["cosine", "dot"])
def test_gradient_agrees_with_finite_differences(similarity: str) -> None:
    """In float64, some places left out."""
    cam, labels, kept = _case("ordinary")
    kept = (torch.arange(32) % 3 != 1).view(2, 4, 4)
    config = ContrastConfig(similarity=similarity)
    loss = lambda x: contrastive_separation_loss(x, labels, kept, config)
    assert torch.autograd.gradcheck(loss, cam.double().requires_grad_(True))


def test_impossible_settings_are_refused() -> None:
    """A similarity that is none, and a temperature of 0."""
    with pytest.raises(ValueError, match="'cosine' or 'dot'"):
        ContrastConfig(similarity="l2")
    with pytest.raises(ValueError, match="temperature above 0"):
        ContrastConfig(temperature=0)
