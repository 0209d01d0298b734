"""Contrastive separation (CSC): CAM vectors of one label attract, those of others repel.

Over the places I that the auxiliary CAM is sure of (perplexity at most a limit), within
each picture (COSA section 3):

    L = -1/|I| sum_i 1/|R+_i| sum_{p in R+_i} log( e^{s_ip/tau}
                                                   / (e^{s_ip/tau} + sum_{n in R-_i} e^{s_in/tau}) )

R+_i are the other places of i's label, R-_i those of another; the background is a label.
s is the similarity of CAM vectors over classes. It is not in the released code. The slide
also leaves out i's whole row and column; that is taken for a slip.
"""

from dataclasses import dataclass

import torch
from torch.nn.functional import normalize, softplus

SHORTEST_VECTOR = 1e-2
"""Shorter CAM vectors have no direction to speak of; they are not blown up to length 1."""


@dataclass(frozen=True, kw_only=True)
class ContrastConfig:
    """How places are chosen and compared."""

    perplexity_limit: float = 1.0
    """epsilon: places above it take no part. 1 keeps the outer half on both sides of xi."""
    temperature: float = 0.5
    """tau. What the paper took could not be verified."""
    similarity: str = "cosine"
    """`cosine`, or `dot` for the plain product, which rewards length too."""

    def __post_init__(self) -> None:
        """Check limits."""
        if self.perplexity_limit <= 0 or self.temperature <= 0:
            raise ValueError(
                "expected perplexity_limit and temperature above 0, found "
                f"{self.perplexity_limit} and {self.temperature}"
            )
        if self.similarity not in ("cosine", "dot"):
            raise ValueError(f"similarity is 'cosine' or 'dot', found {self.similarity!r}")


def contrastive_separation_loss(
    cam: torch.Tensor,
    labels: torch.Tensor,
    kept: torch.Tensor,
    config: ContrastConfig | None = None,
) -> torch.Tensor:
    """Mean over pictures of L.

    Args:
        cam: (B, C, h, w), unbounded.
        labels: (B, h, w) int64: 0 background, 1 to C.
        kept: (B, h, w) bool: I.
        config: temperature and similarity; None takes the defaults.

    Returns:
        A scalar >= 0; 0 with zero gradient where nothing is kept or all is of one label.
    """
    config = config or ContrastConfig()
    each = [
        _of_picture(vectors.flatten(1).T[keep.flatten()], label[keep], config)
        for vectors, label, keep in zip(cam, labels, kept, strict=True)
    ]
    return torch.stack(each).mean()


def _of_picture(
    vectors: torch.Tensor, labels: torch.Tensor, config: ContrastConfig
) -> torch.Tensor:
    """L of the kept places: vectors (n, C), labels (n,)."""
    if config.similarity == "cosine":
        vectors = normalize(vectors, dim=1, eps=SHORTEST_VECTOR)
    scores = vectors @ vectors.T / config.temperature
    same = labels[:, None] == labels[None]
    positive = same & ~torch.eye(len(labels), dtype=torch.bool, device=labels.device)
    # finite, because -inf over a whole row would make its gradient NaN
    lowest = torch.finfo(scores.dtype).min / 4
    repelling = scores.masked_fill(same, lowest).logsumexp(1, keepdim=True)
    each = softplus(repelling - scores) * positive
    of_place = each.sum(1) / positive.sum(1).clamp(min=1)
    return of_place.sum() / max(1, len(labels))
