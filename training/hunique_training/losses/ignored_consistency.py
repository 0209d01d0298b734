"""Consistency on ignored pixels: where the CAM does not decide, the slow network's view counts.

CAM pseudo-labels leave out what lies between their two thresholds, and often just there the
borders are. DuPL (Wu et al., CVPR 2024) regularises these discarded pixels by consistency
under strong perturbation, so that all pixels take part. Combined with CoSA, which has the
two views already: the online network's segmentation of the strong view follows the
assignment network's soft labels of the weak view, over the set I of ignored pixels at which
these are sure,

    L = -1/|I| sum_{i in I} sum_c t_ic log softmax(s_i)_c ,    I = {ignored, max_c t_ic >= sure}

DuPL's second student is not needed: the assignment network stands for it.
"""

import torch

from hunique_training.losses.cam_to_segmentation import IGNORE


def ignored_consistency_loss(
    logits: torch.Tensor,
    target: torch.Tensor,
    ignored: torch.Tensor,
    count: torch.Tensor | None = None,
) -> torch.Tensor:
    """L.

    Args:
        logits: s, (B, C+1, h, w) of the strong view; channel 0 is the background.
        target: t, (B, C+1, h, w) in [0, 1], constants that add up to 1 at each place.
        ignored: (B, h, w) bool: I, see `sure_where_ignored`.
        count: () int: |I| of the whole batch that this is a part of; the losses of its parts
            add up to its own. None: this is all.

    Returns:
        A scalar >= 0; 0 with zero gradient where I is empty.
    """
    each = -(target * logits.log_softmax(dim=1)).sum(dim=1)
    size = ignored.sum() if count is None else count
    return (each * ignored).sum() / size.clamp(min=1)


def sure_where_ignored(
    labels: torch.Tensor, inside: torch.Tensor, target: torch.Tensor, sure: float
) -> torch.Tensor:
    """(B, h, w) bool: I.

    Args:
        labels: (B, h, w) int64, CAM pseudo-labels.
        inside: (B, h, w) bool: places that show the picture. Padding is ignored too, and
            there is nothing to learn from it.
        target: (B, C+1, h, w) in [0, 1].
        sure: least probability of the likeliest label.
    """
    return (labels == IGNORE) & inside & (target.amax(dim=1) >= sure)
