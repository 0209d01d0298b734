"""The trained network as an engine of the serving pipeline, for evaluation and parity."""

import numpy as np
import torch
from numpy.typing import NDArray

from hunique_models.engine import EngineInfo, EngineOutput
from hunique_training.network.cosa import CosaNetwork
from hunique_training.network.served import ServedNetwork


class TorchEngine:
    """Runs looks through a torch network, one at a time.

    Args:
        network: a trained network; set to eval mode.
    """

    def __init__(self, network: CosaNetwork) -> None:
        self._served = ServedNetwork(network)

    def describe(self) -> EngineInfo:
        """Name "torch:cpu" or the network's device."""
        device = next(self._served.parameters()).device
        return EngineInfo(
            name=f"torch:{device}",
            runtime_versions={"torch": str(torch.__version__)},
            threads=torch.get_num_threads(),
        )

    @torch.no_grad()
    def run(self, images: NDArray[np.uint8]) -> EngineOutput:
        """Run looks (N, S, S, 3) uint8."""
        device = next(self._served.parameters()).device
        answers = [self._served(torch.from_numpy(image[None]).to(device)) for image in images]
        probability, score = (torch.cat(part).cpu().numpy() for part in zip(*answers, strict=True))
        return EngineOutput(probability, score)

    def warm_up(self) -> None:
        """Nothing to warm."""

    def close(self) -> None:
        """Nothing to give back."""
