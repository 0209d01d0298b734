"""Each loss equals its formula, written as scalar loops, and what CoSA's release computes."""

import itertools
import math
from collections.abc import Callable

import pytest
import torch

from hunique_training.losses.cam_to_segmentation import (
    IGNORE,
    cam_to_segmentation_loss,
    pixel_mean_loss,
)
from hunique_training.losses.classification import classification_loss
from hunique_training.losses.segmentation_to_cam import segmentation_to_cam_loss

Vectors = Callable[[str], dict[str, torch.Tensor]]
LABELS = {"mixed": None, "nofg": None, "nobg": None, "allignore": None, "oneclass": None}


def _softplus(x: float) -> float:
    return math.log1p(math.exp(-abs(x))) + max(x, 0.0)


def _random(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def _gradient(loss: Callable[[torch.Tensor], torch.Tensor], at: torch.Tensor) -> torch.Tensor:
    leaf = at.clone().requires_grad_(True)
    loss(leaf).backward()
    assert leaf.grad is not None
    return leaf.grad


def test_classification_leaves_unknown_labels_out() -> None:
    """The mean runs over known entries alone, entry by entry as the formula says."""
    logits = _random(3, 4)
    labels = torch.tensor([[1.0, 0, 0, 1], [0, 0, 1, 1], [0, 1, 0, 0]])
    known = torch.tensor([[True, True, False, True], [False, False, False, False], [True] * 4])
    terms = [
        labels[b, c] * _softplus(-logits[b, c]) + (1 - labels[b, c]) * _softplus(logits[b, c])
        for b in range(3)
        for c in range(4)
        if known[b, c]
    ]
    expected = sum(float(term) for term in terms) / len(terms)
    assert float(classification_loss(logits, labels, known)) == pytest.approx(expected)
    assert float(classification_loss(logits, labels, known & False)) == 0.0


def test_classification_of_layers_adds_up() -> None:
    """Several layers are taught as if each were alone, unknown labels left out of all."""
    logits, labels = _random(3, 2, 4), torch.tensor([[1.0, 0, 0, 1], [0, 0, 1, 1], [0, 1, 0, 0]])
    known = torch.tensor([[True, False, True, True]] * 3)
    alone = [classification_loss(layer, labels, known) for layer in logits.unbind(1)]
    torch.testing.assert_close(classification_loss(logits, labels, known), sum(alone))


def test_classification_equals_the_release(vectors: Vectors) -> None:
    """Loss and gradient of the released multi-label loss."""
    z = vectors("cls_loss")
    known = torch.ones_like(z["labels"], dtype=torch.bool)
    loss = lambda x: classification_loss(x, z["labels"], known)
    torch.testing.assert_close(loss(z["logits"]).double(), z["loss"].double(), rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(_gradient(loss, z["logits"]), z["grad"], rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("name", LABELS)
def test_cam_to_segmentation_equals_the_release(vectors: Vectors, name: str) -> None:
    """Loss and gradient, where foreground, background or everything is missing too."""
    z = vectors("seg_loss")
    target = z[f"label_{name}"].long()
    loss = lambda x: cam_to_segmentation_loss(x, target)
    expected = z[f"loss_{name}_a0.5"].float()
    torch.testing.assert_close(loss(z["seg_pred"]), expected, rtol=1e-4, atol=1e-6)
    found = _gradient(loss, z["seg_pred"])
    torch.testing.assert_close(found, z[f"grad_{name}_a0.5"], rtol=1e-4, atol=1e-7)
    lighter = cam_to_segmentation_loss(z["seg_pred"], target, foreground_weight=0.3)
    torch.testing.assert_close(lighter, z[f"loss_{name}_a0.3"].float(), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("name", LABELS)
def test_weighted_cam_to_segmentation_equals_the_release(vectors: Vectors, name: str) -> None:
    """With a weight for each pixel over the plain counts, loss and gradient."""
    z = vectors("seg_loss")
    target = z[f"label_{name}"].long()
    loss = lambda x: cam_to_segmentation_loss(x, target, weights=z["weights"])
    expected = z[f"weightloss_{name}"].float()
    torch.testing.assert_close(loss(z["seg_pred"]), expected, rtol=1e-4, atol=1e-6)
    found = _gradient(loss, z["seg_pred"])
    torch.testing.assert_close(found, z[f"weightgrad_{name}"], rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize("name", LABELS)
def test_mean_over_pixels_equals_the_release(vectors: Vectors, name: str) -> None:
    """The paper's mean with equal weights is the release's second version."""
    z = vectors("seg_loss")
    found = pixel_mean_loss(z["seg_pred"], z[f"label_{name}"].long())
    torch.testing.assert_close(found, z[f"lossv2_{name}"].float(), rtol=1e-4, atol=1e-6)


def test_weighted_mean_over_pixels_by_scalar_loops() -> None:
    """Each pixel's cross-entropy times its weight, over the number of pixels not ignored."""
    logits, weights = _random(2, 3, 2, 3), _random(2, 2, 3, seed=1).abs()
    target = torch.tensor([[[0, 1, 2], [IGNORE, 2, 1]], [[0, 0, IGNORE], [1, 1, 2]]])
    terms = []
    for b, y, x in itertools.product(range(2), range(2), range(3)):
        label = int(target[b, y, x])
        if label != IGNORE:
            place = logits[b, :, y, x]
            terms.append(float(weights[b, y, x] * (place.logsumexp(0) - place[label])))
    found = pixel_mean_loss(logits, target, weights)
    assert float(found) == pytest.approx(sum(terms) / len(terms), rel=1e-6)


def test_cam_to_segmentation_by_class_weighs_classes_alike() -> None:
    """A class of one pixel counts as much as one of many, loop by loop."""
    logits = _random(1, 3, 2, 4)
    target = torch.tensor([[[0, 1, 1, 1], [IGNORE, 2, 1, 0]]])
    sums: dict[int, list[float]] = {0: [], 1: [], 2: []}
    for row in range(2):
        for column in range(4):
            label = int(target[0, row, column])
            if label != IGNORE:
                place = logits[0, :, row, column]
                sums[label].append(float(place.logsumexp(0) - place[label]))
    means = {label: sum(values) / len(values) for label, values in sums.items()}
    expected = 0.5 * means[0] + 0.5 * (means[1] + means[2]) / 2
    found = cam_to_segmentation_loss(logits, target, by_class=True)
    assert float(found) == pytest.approx(expected, rel=1e-5)


def test_everything_ignored_gives_no_gradient() -> None:
    """A batch without any decided pixel moves nothing, and is no NaN."""
    target = torch.full((2, 5, 5), IGNORE)
    for by_class in (False, True):
        loss = lambda x, b=by_class: cam_to_segmentation_loss(x, target, by_class=b)
        assert float(loss(_random(2, 4, 5, 5))) == 0.0
        assert not _gradient(loss, _random(2, 4, 5, 5)).any()
    weights = torch.zeros(2, 5, 5, dtype=torch.float64)
    mean = lambda x: pixel_mean_loss(x, target, weights)
    assert float(mean(_random(2, 4, 5, 5))) == 0.0
    assert not _gradient(mean, _random(2, 4, 5, 5)).any()


@pytest.mark.parametrize(("rectify", "suffix"), [(True, "v1"), (False, "v1_norelu")])
def test_segmentation_to_cam_equals_the_release(
    vectors: Vectors, rectify: bool, suffix: str
) -> None:
    """With the release's ReLU and without it, loss and gradient."""
    z = vectors("cam_loss")
    loss = lambda x: segmentation_to_cam_loss(x, z["seg_ps"], rectify=rectify)
    expected = z[f"loss_{suffix}"].float()
    torch.testing.assert_close(loss(z["cam"]), expected, rtol=1e-4, atol=1e-6)
    found = _gradient(loss, z["cam"])
    torch.testing.assert_close(found, z[f"grad_{suffix}"], rtol=1e-4, atol=1e-7)


def test_segmentation_to_cam_leaves_unknown_classes_out() -> None:
    """A class whose label is unknown is neither raised nor pressed down."""
    cam, target = _random(2, 2, 3, 3), _random(2, 3, 3, 3, seed=1).softmax(1)
    known = torch.tensor([[True, False], [True, True]])
    terms = [
        float(t * _softplus(-x) + (1 - t) * _softplus(x))
        for b in range(2)
        for c in range(2)
        if known[b, c]
        for x, t in zip(cam[b, c].flatten(), target[b, c + 1].flatten(), strict=True)
    ]
    found = segmentation_to_cam_loss(cam, target, rectify=False, known=known)
    assert float(found) == pytest.approx(sum(terms) / len(terms))
    loss = lambda x: segmentation_to_cam_loss(x, target, rectify=False, known=known)
    assert not _gradient(loss, cam)[0, 1].any()


def test_gradients_agree_with_finite_differences() -> None:
    """In float64 each loss's gradient is that of its value."""
    labels = torch.tensor([[1.0, 0], [0, 1]], dtype=torch.float64)
    known = torch.tensor([[True, True], [False, True]])
    pseudo = torch.tensor([[[0, 1], [2, IGNORE]], [[1, 1], [0, 2]]])
    target, weights = _random(2, 3, 4, 4, seed=2).softmax(1), _random(2, 2, 2, seed=3).abs()
    losses: list[tuple[Callable[[torch.Tensor], torch.Tensor], torch.Tensor]] = [
        (lambda x: classification_loss(x, labels, known), _random(2, 2)),
        (lambda x: cam_to_segmentation_loss(x, pseudo, by_class=True), _random(2, 3, 2, 2)),
        (lambda x: cam_to_segmentation_loss(x, pseudo, weights=weights), _random(2, 3, 2, 2)),
        (lambda x: pixel_mean_loss(x, pseudo, weights), _random(2, 3, 2, 2)),
        (lambda x: segmentation_to_cam_loss(x, target, rectify=False), _random(2, 2, 4, 4)),
    ]
    for loss, at in losses:
        assert torch.autograd.gradcheck(loss, at.requires_grad_(True))
