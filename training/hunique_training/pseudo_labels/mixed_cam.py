"""Mixed CAM: the main and the auxiliary CAM in shares that differ by class, as in the talk.

What pseudo-labels are made of is then raised to a power that differs by class too.
"""

from collections.abc import Sequence

import torch

from hunique_training.pseudo_labels.multi_scale import stretch


def mixed_cam(
    cam: torch.Tensor, auxiliary_cam: torch.Tensor, shares: Sequence[float]
) -> torch.Tensor:
    """Mix two CAMs.

    Args:
        cam: (B, C, h, w) in [0, 1).
        auxiliary_cam: (B, C, h, w) in [0, 1).
        shares: of the auxiliary CAM, one a class; none: `cam` as it is.

    Returns:
        (B, C, h, w) in [0, 1).
    """
    if not shares:
        return cam
    share = cam.new_tensor(list(shares))[None, :, None, None]
    return stretch((1 - share) * cam + share * auxiliary_cam)


def raised(cam: torch.Tensor, exponents: Sequence[float]) -> torch.Tensor:
    """A CAM (B, C, h, w) in [0, 1), each class raised to its power; none: as it is."""
    if not exponents:
        return cam
    return cam ** cam.new_tensor(list(exponents))[None, :, None, None]
