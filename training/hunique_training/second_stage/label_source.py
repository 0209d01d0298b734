"""What a second stage learns from: a label for every pixel of a picture. A leaf.

Who makes them is told by `supervision`, which stays with every model trained on them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from hunique_training.data.labels import LabelledPicture


@dataclass(frozen=True, kw_only=True)
class PixelLabel:
    """The labels of one picture."""

    labels: NDArray[np.uint8]
    """(H, W): 0 background, 1 to C classes, 255 ignored."""
    open_classes: tuple[bool, ...]
    """Per class: it is on the picture, and no pixel says where. Background may be this class."""


class LabelSource(Protocol):
    """Where labels of pixels come from."""

    @property
    def supervision(self) -> str:
        """What they rest on: `image` labels alone, or masks, `pixel`."""

    @property
    def facts(self) -> dict[str, Any]:
        """What another person needs to know of them; plain values."""

    def require(self, pictures: Sequence[LabelledPicture]) -> None:
        """Check that pictures can be learned from.

        Raises:
            DataError: says what is missing.
        """

    def pixel_label(self, picture: LabelledPicture, size: tuple[int, int]) -> PixelLabel:
        """The labels of one picture at `size` = (height, width).

        Raises:
            DataError: they cannot be read.
        """
