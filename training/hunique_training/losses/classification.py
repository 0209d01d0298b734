"""Multi-label soft margin loss over the labels that are known (COSA section 3)."""

import torch
from torch.nn.functional import softplus


def classification_loss(
    logits: torch.Tensor,
    labels: torch.Tensor,
    known: torch.Tensor,
    known_count: torch.Tensor | None = None,
) -> torch.Tensor:
    """Mean of y softplus(-z) + (1 - y) softplus(z) over known entries; 0 if none is known.

    Args:
        logits: (B, C), any range; or (B, L, C) of L layers, whose losses add up.
        labels: (B, C) float, 1 present, 0 absent.
        known: (B, C) bool, False where the label is unknown.
        known_count: () int, known entries of the whole batch that this is a part of; the losses
            of its parts add up to its own. None: this is all.
    """
    count = known.sum() if known_count is None else known_count
    if logits.dim() == 3:
        labels, known = labels[:, None], known[:, None]
    each = labels * softplus(-logits) + (1 - labels) * softplus(logits)
    return (each * known).sum() / count.clamp(min=1)
