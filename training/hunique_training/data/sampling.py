"""Which pictures make up the batch of a step: balanced by class and by source.

A batch is a function of (seed, step) alone, so that a resumed run sees what the
uninterrupted one would have seen. Its slots go round the classes: one picture that shows
the class, one that is known not to show it. Within a slot, the square root of a source's
size decides how often it is drawn: the look of a source goes with its labels, and the
largest source must not speak alone.
"""

from collections import Counter
from collections.abc import Sequence

import numpy as np

from hunique_training.data.labels import DataError, LabelledPicture


class BalancedSampler:
    """Draws the pictures of each step."""

    def __init__(self, pictures: Sequence[LabelledPicture], batch_size: int, seed: int) -> None:
        if not pictures:
            raise DataError("Expected at least one training picture, found none")
        self._batch_size = batch_size
        self._seed = seed
        sources = Counter(picture.source for picture in pictures)
        weights = np.array([1 / np.sqrt(sources[picture.source]) for picture in pictures])
        self._slots = [
            _Slot(indices, weights)
            for class_index in range(len(pictures[0].labels))
            for wanted in (True, False)
            if (indices := _labelled(pictures, class_index, wanted)).size
        ] or [_Slot(np.arange(len(pictures)), weights)]

    def indices(self, step: int) -> list[int]:
        """Indices into the pictures of the batch of `step`, `batch_size` of them."""
        rng = np.random.default_rng((self._seed, step))
        first = step * self._batch_size
        return [
            self._slots[(first + place) % len(self._slots)].draw(rng)
            for place in range(self._batch_size)
        ]


def _labelled(
    pictures: Sequence[LabelledPicture], class_index: int, wanted: bool
) -> np.ndarray[tuple[int], np.dtype[np.intp]]:
    return np.array([i for i, p in enumerate(pictures) if p.labels[class_index] is wanted], np.intp)


class _Slot:
    """The pictures that may fill one place of a batch."""

    def __init__(
        self,
        indices: np.ndarray[tuple[int], np.dtype[np.intp]],
        weights: np.ndarray[tuple[int], np.dtype[np.float64]],
    ) -> None:
        self._indices = indices
        self._probability = weights[indices] / weights[indices].sum()

    def draw(self, rng: np.random.Generator) -> int:
        """One picture's index."""
        return int(rng.choice(self._indices, p=self._probability))
