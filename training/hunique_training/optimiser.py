"""The optimiser of both stages: AdamW, in which heads and decoder learn faster than the encoder."""

from typing import Any

import torch

from hunique_training.network.cosa import CosaNetwork


def adamw(
    network: CosaNetwork, *, learning_rate: float, head_rate_factor: float, weight_decay: float
) -> torch.optim.AdamW:
    """Two groups of parameters, each with its `base_lr` for the schedule to multiply.

    Args:
        network: frozen parameters of its encoder take no part.
        learning_rate: of the encoder.
        head_rate_factor: how many times faster heads and decoder learn (COSA section 4: 10).
        weight_decay: AdamW's.
    """
    heads = network.head_parameters()
    in_heads = {id(parameter) for parameter in heads}
    encoder = [p for p in network.parameters() if p.requires_grad and id(p) not in in_heads]
    groups: list[dict[str, Any]] = [
        {"params": encoder, "base_lr": learning_rate},
        {"params": heads, "base_lr": learning_rate * head_rate_factor},
    ]
    return torch.optim.AdamW(groups, lr=learning_rate, weight_decay=weight_decay)
