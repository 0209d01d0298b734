"""Which pictures make up the batch of a step: balanced by class and by source.

A batch is a function of (seed, step) alone, so that a resumed run sees what the
uninterrupted one would have seen. Its slots go round the classes: one picture that shows
the class, one that is known not to show it. Among those that show it, the square root of a
source's size decides how often it is drawn, so that the largest source does not speak
alone. Those that do not are drawn from the same sources as often as those that do, wherever
a source has both: otherwise the look of the source would tell, and be learned. Backgrounds
are then hardly ever drawn, since none of them shows a class, so they can have a slot of their own.
"""

from collections import Counter
from collections.abc import Sequence

import numpy as np

from hunique_training.data.labels import DataError, LabelledPicture


class BalancedSampler:
    """Draws the pictures of each step.

    Args:
        pictures: what is drawn from.
        batch_size: pictures of a step.
        seed: all draws follow from it.
        background_slot: whether one slot in (2C + 1) is for pictures without people,
            where there are any.
    """

    def __init__(
        self,
        pictures: Sequence[LabelledPicture],
        batch_size: int,
        seed: int,
        *,
        background_slot: bool = False,
    ) -> None:
        if not pictures:
            raise DataError("Expected at least one training picture, found none")
        self._batch_size = batch_size
        self._seed = seed
        sizes = Counter(picture.source for picture in pictures)
        weights = np.array([1 / np.sqrt(sizes[picture.source]) for picture in pictures])
        sources = np.array([picture.source for picture in pictures])
        self._slots = []
        for class_index in range(len(pictures[0].labels)):
            shown = _labelled(pictures, class_index, True)
            not_shown = _labelled(pictures, class_index, False)
            matched = _weights_like(sources, weights, shown, not_shown)
            self._slots += [_Slot(shown, weights)] if shown.size else []
            self._slots += [_Slot(not_shown, matched)] if not_shown.size else []
        backgrounds = np.array([i for i, p in enumerate(pictures) if p.is_background], np.intp)
        if background_slot and backgrounds.size:
            self._slots.append(_Slot(backgrounds, weights))
        self._slots = self._slots or [_Slot(np.arange(len(pictures)), weights)]

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


def _weights_like(
    sources: np.ndarray[tuple[int], np.dtype[np.str_]],
    weights: np.ndarray[tuple[int], np.dtype[np.float64]],
    shown: np.ndarray[tuple[int], np.dtype[np.intp]],
    not_shown: np.ndarray[tuple[int], np.dtype[np.intp]],
) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Weights by which `not_shown` come from the sources of `shown`, as often as these do.

    What `shown` draw from sources without any of `not_shown` is spread over all of these.
    """
    if not shown.size or not not_shown.size:
        return weights
    share = weights[shown] / weights[shown].sum()
    matched = np.zeros(len(sources))
    for source in np.unique(sources[shown]):
        partners = not_shown[sources[not_shown] == source]
        mass = share[sources[shown] == source].sum()
        if partners.size:
            matched[partners] += mass / partners.size
        else:
            matched[not_shown] += mass * weights[not_shown] / weights[not_shown].sum()
    return matched


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
