"""Partial losses equal their loops, have right gradients, and are silent without marks."""

import math
from collections.abc import Callable

import pytest
import torch

from hunique_training.losses.cam_to_segmentation import IGNORE, label_counts
from hunique_training.losses.ignored_consistency import (
    ignored_consistency_loss,
    sure_where_ignored,
)
from hunique_training.losses.marked_pixels import marked_cam_loss, marked_pixels_loss


def _case() -> tuple[torch.Tensor, torch.Tensor]:
    """Logits of a background and three classes, and labels of which few are marked."""
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(2, 4, 4, 5, generator=generator, dtype=torch.float64)
    labels = torch.full((2, 4, 5), IGNORE)
    labels[0, 0, 0], labels[0, 1, 3], labels[1, 2, 2] = 2, 0, 2
    labels[1, 3] = 0
    return logits, labels


def _by_label(each: Callable[[int, int, int], float], labels: torch.Tensor) -> float:
    """Mean over labels of the mean over their cells, in loops."""
    of_label: dict[int, list[float]] = {}
    for b in range(labels.shape[0]):
        for y in range(labels.shape[1]):
            for x in range(labels.shape[2]):
                if int(labels[b, y, x]) != IGNORE:
                    of_label.setdefault(int(labels[b, y, x]), []).append(each(b, y, x))
    means = [sum(values) / len(values) for values in of_label.values()]
    return sum(means) / len(means)


def test_segmentation_at_marks_equals_its_loop() -> None:
    """Each label that is marked weighs alike, be it one click or a scribble."""
    logits, labels = _case()

    def entropy(b: int, y: int, x: int) -> float:
        values = [float(v) for v in logits[b, :, y, x]]
        return math.log(sum(map(math.exp, values))) - values[int(labels[b, y, x])]

    found = float(marked_pixels_loss(logits, labels))
    assert found == pytest.approx(_by_label(entropy, labels), rel=1e-12)


def test_cam_at_marks_equals_its_loop() -> None:
    """The marked class is wanted there, and no other; on background none is."""
    logits, labels = _case()
    cam = logits[:, 1:]

    def both_ways(b: int, y: int, x: int) -> float:
        total = 0.0
        for c in range(cam.shape[1]):
            value = float(cam[b, c, y, x])
            sign = -1 if int(labels[b, y, x]) == c + 1 else 1
            total += math.log1p(math.exp(sign * value))
        return total / cam.shape[1]

    found = float(marked_cam_loss(cam, labels))
    assert found == pytest.approx(_by_label(both_ways, labels), rel=1e-12)


def test_gradients_equal_finite_differences() -> None:
    """In float64, of both losses and of consistency."""
    logits, labels = _case()
    target = torch.rand_like(logits).softmax(dim=1)
    ignored = labels == IGNORE
    leaf = logits.clone().requires_grad_(True)
    assert torch.autograd.gradcheck(lambda x: marked_pixels_loss(x, labels), leaf)
    assert torch.autograd.gradcheck(lambda x: ignored_consistency_loss(x, target, ignored), leaf)
    coarse = torch.randn(2, 3, 2, 2, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: marked_cam_loss(x, labels), coarse)


@pytest.mark.parametrize("loss", [marked_pixels_loss, marked_cam_loss])
def test_no_marks_give_no_loss_and_no_gradient(loss: Callable[..., torch.Tensor]) -> None:
    """Zero, not NaN."""
    leaf = torch.randn(2, 4, 4, 5, requires_grad=True)
    value = loss(leaf, torch.full((2, 4, 5), IGNORE))
    value.backward()
    assert float(value.detach()) == 0.0
    assert leaf.grad is not None
    assert not leaf.grad.any()


@pytest.mark.parametrize("loss", [marked_pixels_loss, marked_cam_loss])
def test_losses_of_parts_add_up(loss: Callable[..., torch.Tensor]) -> None:
    """With the counts of the whole batch, though a label is marked in one part alone."""
    logits, labels = _case()
    labels[1][labels[1] == 2] = IGNORE
    counts = label_counts(labels)
    parts = sum(loss(logits[n : n + 1], labels[n : n + 1], counts) for n in range(2))
    torch.testing.assert_close(parts, loss(logits, labels), rtol=1e-12, atol=0)


def test_consistency_equals_its_loop() -> None:
    """Soft cross-entropy, a mean over ignored places alone."""
    logits, labels = _case()
    target = torch.rand_like(logits).softmax(dim=1)
    ignored = labels == IGNORE
    total, count = 0.0, 0
    for b, y, x in ignored.nonzero().tolist():
        values = [float(v) for v in logits[b, :, y, x]]
        normal = math.log(sum(map(math.exp, values)))
        total += sum(float(target[b, c, y, x]) * (normal - v) for c, v in enumerate(values))
        count += 1
    found = float(ignored_consistency_loss(logits, target, ignored))
    assert found == pytest.approx(total / count, rel=1e-12)
    parts = [
        ignored_consistency_loss(logits[n : n + 1], target[n : n + 1], ignored[n : n + 1],
                                 ignored.sum())
        for n in range(2)
    ]  # fmt: skip
    assert float(sum(parts)) == pytest.approx(found, rel=1e-12)


def test_consistency_leaves_decided_places_and_padding_alone() -> None:
    """Taken are ignored places of the picture at which the slow network is sure."""
    labels = torch.tensor([[[IGNORE, IGNORE, IGNORE, 0]]])
    inside = torch.tensor([[[True, True, False, True]]])
    target = torch.tensor([[0.95, 0.6, 0.99, 0.99], [0.05, 0.4, 0.01, 0.01]])[None, :, None]
    taken = sure_where_ignored(labels, inside, target, 0.9)
    assert taken.tolist() == [[[True, False, False, False]]]
    leaf = torch.zeros(1, 2, 1, 4, requires_grad=True)
    ignored_consistency_loss(leaf, target, taken).backward()
    assert leaf.grad is not None
    assert leaf.grad[..., 0].all()
    assert not leaf.grad[..., 1:].any()
    empty = ignored_consistency_loss(leaf, target, taken & False)
    assert float(empty.detach()) == 0.0
