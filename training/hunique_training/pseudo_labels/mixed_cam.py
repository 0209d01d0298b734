"""Mixed CAM: the main and the auxiliary CAM in shares that differ by class, as in the talk."""

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
