"""A Gaussian mixture in one dimension, fitted by expectation-maximisation (EM).

Values come with counts, so the same code fits samples (counts of 1) and histograms, whose
cost does not grow with the number of pixels. A leaf: it knows nothing of CAMs.
"""

import math
from typing import NamedTuple

import torch

VARIANCE_FLOOR = 1e-6
"""Added to every variance, so that a component on one value stays finite."""
SHARE_FLOOR = 1e-12
"""Smallest share of a component before logarithms."""


class Mixture(NamedTuple):
    """K components; each field is (K,) float64."""

    shares: torch.Tensor
    """Sum to 1."""
    means: torch.Tensor
    """In the unit of the values."""
    variances: torch.Tensor
    """Above 0."""


def log_densities(mixture: Mixture, values: torch.Tensor) -> torch.Tensor:
    """log(share N(value | mean, variance)): values (N,) to (K, N)."""
    square = (values - mixture.means[:, None]) ** 2 / mixture.variances[:, None]
    constant = mixture.shares.clamp(min=SHARE_FLOOR).log() - 0.5 * mixture.variances.log()
    return constant[:, None] - 0.5 * (square + math.log(2 * math.pi))


def fit_mixture(
    values: torch.Tensor,
    counts: torch.Tensor,
    start: Mixture,
    *,
    tolerance: float = 1e-5,
    max_iterations: int = 100,
) -> Mixture:
    """EM from `start` until the mean log-likelihood gains less than `tolerance`.

    Args:
        values: (N,) float64.
        counts: (N,) float64 >= 0: how often each value occurs; at least one above 0.
        start: the first components; their order is kept.
        tolerance: per value, in nats.
        max_iterations: where to stop at the latest.
    """
    mixture, before = start, -math.inf
    total = counts.sum()
    for _ in range(max_iterations):
        joint = log_densities(mixture, values)
        evidence = joint.logsumexp(0)
        likelihood = float(counts @ evidence / total)
        mixture = _maximise(values, counts * (joint - evidence).exp(), total)
        if abs(likelihood - before) < tolerance:
            break
        before = likelihood
    return mixture


def _maximise(values: torch.Tensor, owned: torch.Tensor, total: torch.Tensor) -> Mixture:
    """Components from how much of each value (K, N) they own."""
    sizes = owned.sum(1) + 10 * torch.finfo(owned.dtype).eps
    means = owned @ values / sizes
    squares = (values - means[:, None]) ** 2
    return Mixture(sizes / total, means, (owned * squares).sum(1) / sizes + VARIANCE_FLOOR)
