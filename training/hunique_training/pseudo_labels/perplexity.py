"""Perplexity of CAM pseudo-labels, and the reliability-based adaptive weights (RAW) from it.

With v the strength of the strongest present class and xi the threshold (COSA section 3):

    t = (v - xi) / (1 - xi)  where v >= xi,  (xi - v) / xi  below
    P = (-log(scale t)) ^ exponent
    W = |R| / (sum of 1/P over R) / P

A pixel at the threshold has P = infinity and W = 0; one at 0 or 1 the smallest P. The
released code has neither; this follows the printed formulas.
"""

from dataclasses import dataclass

import torch

from hunique_training.ranks import sum_over_ranks


@dataclass(frozen=True, kw_only=True)
class PerplexityConfig:
    """Shape of P over the strength of a CAM."""

    scale: float = 0.8
    """lambda_alpha, within (0, 1): how far P stays above 0 where the CAM is sure. At 1 a sure
    pixel would weigh infinitely much."""
    exponent: float = 1.0
    """lambda_beta, above 0: how fast P falls with the distance from the threshold."""

    def __post_init__(self) -> None:
        """Check limits."""
        if not 0 < self.scale < 1 or self.exponent <= 0:
            raise ValueError(
                "expected 0 < perplexity scale < 1 and exponent > 0, found "
                f"{self.scale} and {self.exponent}"
            )


@torch.no_grad()
def perplexity(
    strength: torch.Tensor, threshold: float, config: PerplexityConfig | None = None
) -> torch.Tensor:
    """P of every pixel.

    Args:
        strength: v, any shape, float; what lies outside [0, 1] is clamped.
        threshold: xi, within (0, 1).
        config: scale and exponent; None takes the defaults.

    Returns:
        The shape of `strength`, from (-log scale) ^ exponent to infinity (at the threshold).

    Raises:
        ValueError: the threshold lies outside (0, 1).
    """
    if not 0 < threshold < 1:
        raise ValueError(f"expected a threshold within (0, 1), found {threshold}")
    config = config or PerplexityConfig()
    v = strength.clamp(0, 1)
    distance = torch.where(
        v >= threshold, (v - threshold) / (1 - threshold), (threshold - v) / threshold
    )
    return (-torch.log(config.scale * distance)) ** config.exponent


@torch.no_grad()
def adaptive_weights(perplexities: torch.Tensor, valid: torch.Tensor) -> torch.Tensor:
    """W: the reciprocal of P, scaled to a mean of 1 over the valid pixels of all ranks.

    Args:
        perplexities: (B, H, W), above 0, infinity allowed.
        valid: (B, H, W) bool: R, the pixels that a loss will use.

    Returns:
        (B, H, W), 0 where not valid; 0 everywhere if no valid pixel is off the threshold.
    """
    reliability = torch.where(valid, 1 / perplexities, 0)
    mean = sum_over_ranks(reliability.sum()) / sum_over_ranks(valid.sum()).clamp(min=1)
    return torch.where(mean > 0, reliability / mean, 0)
