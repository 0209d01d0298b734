"""CAM-to-segmentation loss: cross-entropy against CAM pseudo-labels (COSA section 3).

Background and foreground pixels are averaged apart, over the whole batch, so that a small
feature weighs as much as all the skin around it; with `by_class` every class present
weighs the same within the foreground, so that a lunule is not drowned by a tattoo.
The paper's form, `pixel_mean_loss`, is the plain mean over pixels. Both take a weight for
each pixel, which multiplies its cross-entropy but not the count that the sum is divided by.
"""

import torch
from torch.nn.functional import cross_entropy

IGNORE = 255
"""Pseudo-label of pixels that no loss may use."""


def cam_to_segmentation_loss(
    logits: torch.Tensor,
    pseudo_label: torch.Tensor,
    *,
    foreground_weight: float = 0.5,
    by_class: bool = False,
    weights: torch.Tensor | None = None,
) -> torch.Tensor:
    """(1 - a) mean CE over background + a mean CE over foreground.

    Args:
        logits: (B, C+1, H, W); channel 0 is the background.
        pseudo_label: (B, H, W) int64: 0, 1 to C, or 255 (ignored).
        foreground_weight: a.
        by_class: average the foreground within each class first, then over classes present.
        weights: (B, H, W) >= 0, constants; None weighs all pixels alike.

    Returns:
        A scalar; 0 with zero gradient where every pixel is ignored.
    """
    each = _weighted_entropy(logits, pseudo_label, weights)
    background = _mean_where(each, pseudo_label == 0)
    if by_class:
        counted = torch.bincount(pseudo_label.flatten(), minlength=IGNORE + 1)
        present = [c for c in range(1, logits.shape[1]) if counted[c] > 0]
        means = [_mean_where(each, pseudo_label == c) for c in present]
        foreground = torch.stack(means).mean() if means else each.sum() * 0
    else:
        foreground = _mean_where(each, (pseudo_label != 0) & (pseudo_label != IGNORE))
    return (1 - foreground_weight) * background + foreground_weight * foreground


def pixel_mean_loss(
    logits: torch.Tensor, pseudo_label: torch.Tensor, weights: torch.Tensor | None = None
) -> torch.Tensor:
    """Mean of W CE over the pixels that are not ignored (the paper's form).

    Args:
        logits: (B, C+1, H, W); channel 0 is the background.
        pseudo_label: (B, H, W) int64: 0, 1 to C, or 255 (ignored).
        weights: W, (B, H, W) >= 0, constants; None weighs all pixels alike.

    Returns:
        A scalar; 0 with zero gradient where every pixel is ignored.
    """
    each = _weighted_entropy(logits, pseudo_label, weights)
    return _mean_where(each, pseudo_label != IGNORE)


def _weighted_entropy(
    logits: torch.Tensor, pseudo_label: torch.Tensor, weights: torch.Tensor | None
) -> torch.Tensor:
    each = cross_entropy(logits, pseudo_label, ignore_index=IGNORE, reduction="none")
    return each if weights is None else each * weights


def _mean_where(values: torch.Tensor, where: torch.Tensor) -> torch.Tensor:
    return (values * where).sum() / (where.sum() + 1e-6)
