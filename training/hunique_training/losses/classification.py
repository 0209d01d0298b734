"""Multi-label soft margin loss over the labels that are known (COSA section 3)."""

import torch
from torch.nn.functional import softplus


def classification_loss(
    logits: torch.Tensor, labels: torch.Tensor, known: torch.Tensor
) -> torch.Tensor:
    """Mean of y softplus(-z) + (1 - y) softplus(z) over known entries; 0 if none is known.

    Args:
        logits: (B, C), any range.
        labels: (B, C) float, 1 present, 0 absent.
        known: (B, C) bool, False where the label is unknown.
    """
    each = labels * softplus(-logits) + (1 - labels) * softplus(logits)
    return (each * known).sum() / known.sum().clamp(min=1)
