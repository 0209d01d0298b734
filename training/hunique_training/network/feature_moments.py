"""Mean and deviation of each channel of features that are never in memory together.

Parts are merged exactly (Chan, Golub and LeVeque, 1979): what comes out is that of all parts
at once but for rounding, which float64 keeps below that of float32 features. A sum of squares
would lose the deviation of channels whose mean is large.
"""

from collections.abc import Iterable
from typing import NamedTuple

import torch


class FeatureMoments(NamedTuple):
    """Of D channels, over all pictures and places."""

    mean: torch.Tensor
    """(1, D, 1, 1) of the features' dtype."""
    deviation: torch.Tensor
    """(1, D, 1, 1), unbiased; NaN of a single place."""


def moments_of_parts(parts: Iterable[torch.Tensor]) -> FeatureMoments:
    """Moments of features (B, D, h, w), part by part; sizes may differ.

    Raises:
        ValueError: there are no parts.
    """
    count, mean, squares, dtype = 0, torch.zeros(()), torch.zeros(()), None
    for part in parts:
        dtype, values = part.dtype, part.double().transpose(0, 1).flatten(1)
        own = values.mean(dim=1)
        own_squares = (values - own[:, None]).square().sum(dim=1)
        added = values.shape[1]
        apart, total = own - mean.to(own), count + added
        mean = mean.to(own) + apart * added / total
        squares = squares.to(own) + own_squares + apart.square() * count * added / total
        count = total
    if dtype is None:
        raise ValueError("expected features to measure, found none")
    deviation = (squares / (count - 1)).sqrt() if count > 1 else squares * float("nan")
    shaped = (values.to(dtype)[None, :, None, None] for values in (mean, deviation))
    return FeatureMoments(*shaped)
