"""Size prior: no feature fills more than a share of a picture, and none of one without it.

A CAM taught by its strongest places alone is free to rise around them too. Where a class is
present, all places but its largest share are the weakest ones and taken for background;
where it is absent, all are. The bound is one of common knowledge, not measured on masks:
a ring covers a few hundredths of a picture that shows a hand.
"""

from collections.abc import Sequence

import torch
from torch.nn.functional import softplus


def size_prior_loss(
    cam: torch.Tensor,
    labels: torch.Tensor,
    known: torch.Tensor,
    largest_shares: Sequence[float],
    known_count: torch.Tensor | None = None,
) -> torch.Tensor:
    """Mean over known entries of the mean softplus(x) over places that must be background.

    Args:
        cam: (B, C, h, w), unbounded.
        labels: (B, C) float, 1 present, 0 absent.
        known: (B, C) bool; entries whose label is unknown take no part.
        largest_shares: by class, the largest share of places it may cover, in (0, 1]; 0 leaves
            the class out.
        known_count: () int, known entries of the whole batch that this is a part of; the losses
            of its parts add up to its own. None: this is all.
    """
    bounded = known & (cam.new_tensor(largest_shares) > 0)
    weakest = torch.stack(
        [_of_weakest(cam[:, c], share) for c, share in enumerate(largest_shares)], dim=1
    )
    each = labels * weakest + (1 - labels) * softplus(cam).mean(dim=(2, 3))
    count = known.sum() if known_count is None else known_count
    return (each * bounded).sum() / count.clamp(min=1)


def _of_weakest(cam: torch.Tensor, largest_share: float) -> torch.Tensor:
    """(B, h, w) to (B,): mean softplus over all places but the strongest `largest_share`."""
    places = cam.flatten(1)
    count = int(places.shape[1] * (1 - largest_share))
    if not count:
        return places.sum(dim=1) * 0
    return softplus(places.topk(count, dim=1, largest=False).values).mean(dim=1)
