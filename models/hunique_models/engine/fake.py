"""An engine without a network, for tests of everything around it."""

import numpy as np
from numpy.typing import NDArray

from hunique_models.engine.protocol import EngineInfo, EngineOutput


class FakeEngine:
    """Class c is wherever channel c mod 3 is the strongest colour by far.

    Args:
        class_count: C.
        stride_px: input pixels for one value of the map.
    """

    def __init__(self, class_count: int = 4, stride_px: int = 4) -> None:
        self._class_count = class_count
        self._stride_px = stride_px
        self.closed = False

    def describe(self) -> EngineInfo:
        """Name "fake"."""
        return EngineInfo(name="fake", runtime_versions={}, threads=1)

    def run(self, images: NDArray[np.uint8]) -> EngineOutput:
        """Colour rule on looks (N, S, S, 3)."""
        small = images[:, :: self._stride_px, :: self._stride_px].astype(np.int16)
        planes = []
        for index in range(self._class_count):
            others = np.delete(small, index % 3, axis=-1).max(axis=-1)
            excess = small[..., index % 3] - others if index < 3 else np.zeros_like(others)
            planes.append(np.clip(excess * 2, 0, 255))
        probability = np.stack(planes, axis=1).astype(np.uint8)
        score = probability.max(axis=(2, 3)).astype(np.float32) / 255
        return EngineOutput(probability, score)

    def warm_up(self) -> None:
        """Nothing to warm."""

    def close(self) -> None:
        """Remember that it was closed."""
        self.closed = True
