"""The assignment network: the online network's slow copy, which assigns pseudo-labels.

theta_AN <- m theta_AN + (1 - m) theta_ON after every optimiser step, over parameters
(COSA section 1). It starts as a copy of the online network; the release's has heads and
decoder of its own.
"""

import copy
from typing import TypeVar

import torch
from torch import nn

from hunique_training.network.cosa import CosaNetwork

Network = TypeVar("Network", bound=nn.Module)


def assignment_copy(online: Network) -> Network:
    """A copy of the online network that takes no gradient and leaves nothing out at random."""
    assignment = copy.deepcopy(online)
    return assignment.requires_grad_(False).eval()


@torch.no_grad()
def take_heads(assignment: CosaNetwork, other: CosaNetwork) -> None:
    """Give the assignment network the heads and the decoder of another network of its kind."""
    pairs = zip(assignment.head_parameters(), other.head_parameters(), strict=True)
    for mine, theirs in pairs:
        mine.copy_(theirs)


@torch.no_grad()
def follow(assignment: nn.Module, online: nn.Module, momentum: float) -> None:
    """Move the assignment network a step of 1 - `momentum` towards the online network."""
    for slow, fast in zip(assignment.parameters(), online.parameters(), strict=True):
        slow.lerp_(fast.detach(), 1 - momentum)
