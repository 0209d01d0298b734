"""CAM-to-segmentation loss: cross-entropy against CAM pseudo-labels (COSA section 3).

Background and foreground pixels are averaged apart, over the whole batch, so that a small
feature weighs as much as all the skin around it; with `by_class` every class present
weighs the same within the foreground, so that a lunule is not drowned by a tattoo.
The paper's form, `pixel_mean_loss`, is the plain mean over pixels. Both take a weight for
each pixel, which multiplies its cross-entropy but not the count that the sum is divided by.

A batch that is worked on in parts, one after another or by several processes, takes the
`share_of_` forms: a part's sums over the counts of the whole batch. They add up to its loss.
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
    return share_of_cam_to_segmentation(
        logits,
        (pseudo_label, weights),
        label_counts(pseudo_label),
        foreground_weight=foreground_weight,
        by_class=by_class,
    )


def share_of_cam_to_segmentation(
    logits: torch.Tensor,
    pixels: tuple[torch.Tensor, torch.Tensor | None],
    counts: torch.Tensor,
    *,
    foreground_weight: float = 0.5,
    by_class: bool = False,
) -> torch.Tensor:
    """What a part of a batch adds to `cam_to_segmentation_loss` of the whole.

    Args:
        logits: (b, C+1, H, W) of the part.
        pixels: its pseudo-labels and weights.
        counts: (256,) int64, `label_counts` of the whole batch.
        foreground_weight: a.
        by_class: as there; a class is present if it is anywhere in the whole batch.
    """
    pseudo_label, weights = pixels
    each = _weighted_entropy(logits, pseudo_label, weights)
    background = _share_where(each, pseudo_label == 0, counts[0])
    if by_class:
        present = [c for c in range(1, logits.shape[1]) if counts[c] > 0]
        means = [_share_where(each, pseudo_label == c, counts[c]) for c in present]
        foreground = torch.stack(means).mean() if means else each.sum() * 0
    else:
        chosen = (pseudo_label != 0) & (pseudo_label != IGNORE)
        foreground = _share_where(each, chosen, counts[1:IGNORE].sum())
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
    return share_of_pixel_mean(logits, (pseudo_label, weights), label_counts(pseudo_label))


def share_of_pixel_mean(
    logits: torch.Tensor,
    pixels: tuple[torch.Tensor, torch.Tensor | None],
    counts: torch.Tensor,
) -> torch.Tensor:
    """What a part of a batch adds to `pixel_mean_loss` of the whole.

    Args:
        logits: (b, C+1, H, W) of the part.
        pixels: its pseudo-labels and weights.
        counts: (256,) int64, `label_counts` of the whole batch.
    """
    each = _weighted_entropy(logits, *pixels)
    return _share_where(each, pixels[0] != IGNORE, counts[:IGNORE].sum())


def label_counts(pseudo_label: torch.Tensor) -> torch.Tensor:
    """(256,) int64: pixels of each label, those ignored at 255."""
    return torch.bincount(pseudo_label.flatten(), minlength=IGNORE + 1)


def _weighted_entropy(
    logits: torch.Tensor, pseudo_label: torch.Tensor, weights: torch.Tensor | None
) -> torch.Tensor:
    each = cross_entropy(logits, pseudo_label, ignore_index=IGNORE, reduction="none")
    return each if weights is None else each * weights


def _share_where(values: torch.Tensor, where: torch.Tensor, count: torch.Tensor) -> torch.Tensor:
    return (values * where).sum() / (count + 1e-6)
