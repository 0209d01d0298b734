"""The dynamic threshold: where recent CAMs part into background and foreground by themselves.

    max-CAM of a step -> histogram -> ring of the last steps -> two Gaussians (EM)
                      -> xi* = boundary of the most likely hard split -> moving average xi

xi* = argmax over xi of  sum_{v >= xi} log(pi_1 N_1(v)) + sum_{v < xi} log(pi_0 N_0(v)),
the talk's objective in the form that does not underflow (COSA section 3). The released
fit starts so wide that it stops where it began; here components start narrow and are
ordered by mean. A ring of histograms is the release's queue of values up to the width
of a bin, and makes the fit cheap enough for every step.
"""

from dataclasses import dataclass

import torch
from torch import nn

from hunique_training.pseudo_labels.mixture import Mixture, fit_mixture, log_densities
from hunique_training.ranks import sum_over_ranks

START_VARIANCE = 0.01
"""A precision of 100 (COSA section 3): the release's 1 stops EM after three iterations."""
SMALLEST_SHARE = 0.01
"""Share of the values that each side of a split must have; less is noise, not a mode."""
SEPARATION = 2.0
"""Distance of two means, in deviations, up to which they are one mode."""
FIT_ITERATIONS = 30
"""EM steps at most: values in one mode converge slowly, and do not part anyway."""
SAMPLES_PER_SIDE = 64
"""A map is read at no more places than so many squared, evenly spaced."""


@dataclass(frozen=True, kw_only=True)
class DynamicThresholdConfig:
    """How the threshold follows the CAMs."""

    start: float = 0.5
    """xi before anything has been seen."""
    decay: float = 0.99
    """What a step keeps of xi; its memory is about 1 / (1 - decay) steps."""
    queue_steps: int = 100
    """Steps whose CAMs are looked at together."""
    bins: int = 256
    """Bins of [0, 1); the boundary is as exact as one of them."""
    floor: float = 0.05
    """Values up to here are left out: they are where no class is at all."""

    def __post_init__(self) -> None:
        """Check limits."""
        if not 0 < self.start < 1 or not 0 <= self.decay < 1 or not 0 <= self.floor < 1:
            raise ValueError(
                "expected 0 < start < 1, 0 <= decay < 1 and 0 <= floor < 1, found "
                f"{self.start}, {self.decay} and {self.floor}"
            )
        if self.queue_steps < 1 or self.bins < 8:
            raise ValueError(
                f"expected queue_steps >= 1 and bins >= 8, found {self.queue_steps}, {self.bins}"
            )


class DynamicThreshold(nn.Module):
    """xi and the ring of histograms it follows; all state is in buffers, on the CPU.

    Args:
        config: length of the ring, bins, smoothing.
    """

    histograms: torch.Tensor
    """(queue_steps, bins) float64 counts."""
    seen_steps: torch.Tensor
    """() int64: steps observed so far; its remainder is the row written next."""
    smoothed: torch.Tensor
    """() float64: xi."""

    def __init__(self, config: DynamicThresholdConfig) -> None:
        super().__init__()
        self.config = config
        rows = torch.zeros(config.queue_steps, config.bins, dtype=torch.float64)
        self.register_buffer("histograms", rows)
        self.register_buffer("seen_steps", torch.zeros((), dtype=torch.int64))
        self.register_buffer("smoothed", torch.tensor(config.start, dtype=torch.float64))

    @property
    def value(self) -> float:
        """xi, within (0, 1)."""
        return float(self.smoothed)

    @torch.no_grad()
    def observe(self, strength: torch.Tensor, inside: torch.Tensor) -> None:
        """Take in one step's CAMs, of all ranks, and move xi towards their boundary, if they have one.

        Args:
            strength: (B, H, W) float in [0, 1]: the strongest present class.
            inside: (B, H, W) bool: pixels that show the picture.
        """
        row = int(self.seen_steps) % self.config.queue_steps
        self.histograms[row] = sum_over_ranks(_histogram(strength, inside, self.config))
        self.seen_steps += 1
        boundary = split_of_histogram(self.histograms.sum(0))
        if boundary is not None:
            self.smoothed.lerp_(self.smoothed.new_tensor(boundary), 1 - self.config.decay)


def split_of_histogram(counts: torch.Tensor) -> float | None:
    """xi* of a histogram over [0, 1).

    Args:
        counts: (bins,) float64.

    Returns:
        A boundary between two bins; None where the values do not part in two: none at
        all, one value only, or one mode.
    """
    bins = len(counts)
    filled = counts.nonzero().flatten()
    if len(filled) < 2:
        return None
    values = (filled.double() + 0.5) / bins
    counts = counts[filled]
    fitted = fit_mixture(values, counts, _start(values), max_iterations=FIT_ITERATIONS)
    mixture = _ordered(fitted)
    edge = best_split(values, counts, mixture)
    share = counts[:edge].sum() / counts.sum()
    if not SMALLEST_SHARE <= float(share) <= 1 - SMALLEST_SHARE or _one_mode(mixture):
        return None
    return float((values[edge - 1] + values[edge]) / 2)


def best_split(values: torch.Tensor, counts: torch.Tensor, mixture: Mixture) -> int:
    """How many of the sorted values (N,) belong to the first of two components.

    The most likely hard split: from 0 (all to the second) to N (all to the first).
    """
    lower, upper = log_densities(mixture, values) * counts
    none = lower.new_zeros(1)
    gain = torch.cat([none, (lower - upper).cumsum(0)])
    return int(gain.argmax())


def _start(values: torch.Tensor) -> Mixture:
    means = torch.stack([values[0], values[-1]])
    return Mixture(torch.full_like(means, 0.5), means, torch.full_like(means, START_VARIANCE))


def _ordered(mixture: Mixture) -> Mixture:
    order = mixture.means.argsort()
    return Mixture(*(part[order] for part in mixture))


def _one_mode(mixture: Mixture) -> bool:
    """Whether the components are halves of one mode: D of Ashman et al. 1994 at most 2."""
    distance = float(mixture.means[1] - mixture.means[0])
    return distance <= SEPARATION * float(mixture.variances.mean().sqrt())


def _histogram(
    strength: torch.Tensor, inside: torch.Tensor, config: DynamicThresholdConfig
) -> torch.Tensor:
    """Counts (bins,) float64 on the CPU of the values above the floor."""
    step = max(1, -(-max(strength.shape[-2:]) // SAMPLES_PER_SIDE))
    strength, inside = strength[:, ::step, ::step], inside[:, ::step, ::step]
    values = strength[inside & (strength > config.floor)]
    bins = (values * config.bins).long().clamp(0, config.bins - 1)
    return torch.bincount(bins, minlength=config.bins).double().cpu()
