"""Segmentation pseudo-labels: the assignment network's segmentation, held to the image label.

Logits of absent classes become -1e5, then a softmax of low temperature makes the rest
almost one-hot (COSA section 2, step 5).
"""

import torch

ABSENT_LOGIT = -1e5


def segmentation_pseudo_labels(
    logits: torch.Tensor, present: torch.Tensor, *, temperature: float = 0.01
) -> torch.Tensor:
    """Logits (B, C+1, H, W) and image labels (B, C) to probabilities (B, C+1, H, W)."""
    return (forbid_absent(logits, present) / temperature).softmax(dim=1)


def forbid_absent(logits: torch.Tensor, present: torch.Tensor) -> torch.Tensor:
    """Logits (B, C+1, H, W) with -1e5 where `present` (B, C) is 0; background stays."""
    absent = (present == 0)[:, :, None, None]
    return torch.cat([logits[:, :1], logits[:, 1:].masked_fill(absent, ABSENT_LOGIT)], dim=1)
