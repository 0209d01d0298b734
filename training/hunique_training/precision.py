"""Mixed precision: networks compute in 16 bits where that is asked for, everything else in 32.

Weights, optimiser, losses and checkpoints stay float32. float16 has a narrow range, so its
losses are scaled up before the backward pass and a step whose gradients overflow is left out
(`GradScaler`); bfloat16 needs neither.
"""

from collections.abc import Callable

import torch

from hunique_training.network.cosa import CosaNetwork, CosaOutput

PRECISIONS = ("float32", "bfloat16", "float16")
"""What `TrainConfig.precision` may be."""


def in_precision(network: CosaNetwork, precision: str) -> Callable[[torch.Tensor], CosaOutput]:
    """The network's forward pass in `precision`, with float32 out; itself for float32."""
    if precision == "float32":
        return network
    dtype = torch.bfloat16 if precision == "bfloat16" else torch.float16

    def forward(images: torch.Tensor) -> CosaOutput:
        with torch.autocast(images.device.type, dtype=dtype):
            output: CosaOutput = network(images)
        whole = {name: part for name, part in output._asdict().items() if part is not None}
        return CosaOutput(**{name: part.float() for name, part in whole.items()})

    return forward


def gradient_scaler(device: torch.device, precision: str) -> torch.amp.GradScaler:
    """What scales losses for float16; without effect for the others."""
    return torch.amp.GradScaler(device.type, enabled=precision == "float16")
