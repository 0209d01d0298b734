"""What a hand map learns from a square of which it is known where a hand may be."""

from collections.abc import Sequence

import torch
from torch.nn.functional import softplus

from hunique_training.hand_map.composing import Composed

HAND_SHARE = 0.4
"""Places of a picture of a hand that are to show it: the rest is what is beside the hand."""
WORST_SHARE = 0.05
"""Places without a hand whose mean counts once more: those taken for one."""
WORST_WEIGHT = 0.5


def hand_map_loss(logits: torch.Tensor, squares: Sequence[Composed]) -> torch.Tensor:
    """Mean over squares of the loss where a hand is, and where none is.

    Multiple-instance learning: of a picture of a hand the surest `HAND_SHARE` of places are to
    show one; outside it, and everywhere on others, none may.

    Args:
        logits: (B, h, w) of a hand.
        squares: the B squares.
    """
    losses = [_of_square(plane, one) for plane, one in zip(logits, squares, strict=True)]
    return torch.stack(losses).mean()


def _of_square(plane: torch.Tensor, square: Composed) -> torch.Tensor:
    inside = cells_of(square.box, square.pixels.shape[0], plane.shape[-1])
    total = plane.new_zeros(())
    if square.has_hand:
        total = total + softplus(-_top_mean(plane[inside], HAND_SHARE))
        without = plane[~inside]
    else:
        without = plane.flatten()
    if without.numel():
        worst = softplus(_top_mean(without, WORST_SHARE))
        total = total + softplus(without).mean() + WORST_WEIGHT * worst
    return total


def cells_of(box: tuple[int, int, int, int], side_px: int, count: int) -> torch.Tensor:
    """(count, count) bool: cells of a grid over `side_px` that a box touches."""
    left, upper, right, lower = box
    first, end = torch.arange(count) * side_px / count, torch.arange(1, count + 1) * side_px / count
    rows, columns = (first < lower) & (end > upper), (first < right) & (end > left)
    return rows[:, None] & columns[None, :]


def _top_mean(values: torch.Tensor, share: float) -> torch.Tensor:
    """Mean of the largest `share` of values, of one at least."""
    return values.flatten().topk(max(1, round(share * values.numel()))).values.mean()
