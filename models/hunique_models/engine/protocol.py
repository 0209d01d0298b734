"""What an engine is, and what it may never answer."""

from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from hunique_models.errors import EngineRunError


@dataclass(frozen=True, kw_only=True)
class EngineInfo:
    """Who runs the network, for provenance."""

    name: str
    """Engine and device, such as "onnxruntime:cpu"."""
    runtime_versions: dict[str, str]
    """Versions of the software that computes."""
    threads: int
    """Threads of one run; 0 where the device decides."""
    overlapping: bool = False
    """Whether one run may begin before another has ended; each then takes its own threads."""


class EngineOutput(NamedTuple):
    """Answers of N looks."""

    probability: NDArray[np.uint8]
    """(N, P, h, w): 255 times the pixel probability of each class, and last that of a hand, where
    the model has such a plane."""
    score: NDArray[np.float32]
    """(N, C): image-level probability as the classifier gives it, not calibrated."""


def require_numbers(output: EngineOutput) -> EngineOutput:
    """The same output, if every score is a number: any other would read as "absent".

    Raises:
        EngineRunError: with how many are not.
    """
    strange = int(np.count_nonzero(~np.isfinite(output.score)))
    if strange:
        raise EngineRunError(
            f"Expected finite scores of the network, found {strange} of {output.score.size} that "
            "are not. Half precision can overflow, and a GPU can fail: start the server anew, and "
            "if that does not help, with --device cpu."
        )
    return output


class Engine(Protocol):
    """Runs looks through a network. Runs may come from any thread.

    They come one at a time, unless the engine says that they may overlap.
    """

    def describe(self) -> EngineInfo:
        """Engine, device and versions."""
        ...

    def run(self, images: NDArray[np.uint8]) -> EngineOutput:
        """Run looks (N, S, S, 3) uint8 sRGB, N >= 1.

        An answer depends on its own look alone, whatever else is in the batch.

        Raises:
            EngineRunError: the run failed, or gave scores that are no numbers.
        """
        ...

    def warm_up(self) -> None:
        """Run once, so that the first caller does not pay for start-up costs."""
        ...

    def close(self) -> None:
        """Give memory and device back."""
        ...
