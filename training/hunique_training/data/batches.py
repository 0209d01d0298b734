"""From pictures to the tensors of a step, prepared a step ahead in a thread."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch

from hunique_training.data.backgrounds import fill_from, plain_background, replace_background
from hunique_training.data.batch import Batch
from hunique_training.data.labels import LabelledPicture
from hunique_training.data.mark_views import MarkedPlaces, marks_on_crop, stack_marks
from hunique_training.data.picture_cache import PictureCache
from hunique_training.data.sampling import BalancedSampler
from hunique_training.data.views import Pixels, ViewConfig, ViewPair, make_views


class BatchMaker:
    """Makes the batch of any step; the batch depends on the seed and the step alone.

    Args:
        pictures: training pictures.
        cache: their pixels.
        sampler: which of them make up a step.
        views: how crops are cut.
        seed: everything random follows from it.
        mark_stride_px: side of the cells that points and scribbles label.
    """

    def __init__(
        self,
        pictures: Sequence[LabelledPicture],
        cache: PictureCache,
        sampler: BalancedSampler,
        views: ViewConfig,
        seed: int,
        *,
        mark_stride_px: int = 4,
    ) -> None:
        self._pictures = pictures
        self._cache = cache
        self._sampler = sampler
        self._views = views
        self._seed = seed
        self._mark_stride_px = mark_stride_px
        self._marked = any(picture.marks for picture in pictures)
        self._backgrounds = [picture for picture in pictures if picture.is_background]

    def batch(self, step: int, places: Sequence[int] | None = None) -> Batch:
        """The batch of `step`, counted from 0.

        Args:
            step: the step.
            places: which of the batch's pictures are made, where several processes share it.
                None: all.
        """
        drawn = self._sampler.indices(step)
        places = range(len(drawn)) if places is None else places
        pairs = [self._view_pair(step, place, drawn[place]) for place in places]
        labels = [self._pictures[drawn[place]].labels for place in places]
        return Batch(
            weak=to_tensor([pair.weak for pair in pairs]),
            strong=to_tensor([pair.strong for pair in pairs]),
            labels=torch.tensor([[float(bool(label)) for label in row] for row in labels]),
            known=torch.tensor([[label is not None for label in row] for row in labels]),
            boxes=torch.tensor([pair.box for pair in pairs]),
            marks=self._marks([drawn[place] for place in places], pairs) if self._marked else None,
        )

    def _marks(self, indices: Sequence[int], pairs: Sequence[ViewPair]) -> MarkedPlaces:
        marks = [self._pictures[index].marks for index in indices]
        return stack_marks(
            [
                marks_on_crop(of_picture, pair.crop, self._mark_stride_px)
                for of_picture, pair in zip(marks, pairs, strict=True)
            ]
        )

    def batches(
        self, first_step: int, end_step: int, places: Sequence[int] | None = None
    ) -> Iterator[Batch]:
        """Batches of the steps from `first_step` up to `end_step`, one prepared ahead."""
        with ThreadPoolExecutor(max_workers=1) as executor:
            ahead = executor.submit(self.batch, first_step, places)
            for step in range(first_step, end_step):
                current = ahead.result()
                if step + 1 < end_step:
                    ahead = executor.submit(self.batch, step + 1, places)
                yield current

    def _view_pair(self, step: int, place: int, index: int) -> ViewPair:
        rng = np.random.default_rng((self._seed, step, place))
        return make_views(self._pixels(self._pictures[index], rng), self._views, rng)

    def _pixels(self, picture: LabelledPicture, rng: np.random.Generator) -> Pixels:
        """The picture, often before another background where its hand has been cut out."""
        pixels = self._cache.pixels(picture.path)
        if picture.matte is None or rng.random() >= self._views.background_probability:
            return pixels
        background = self._background(pixels.shape[0], pixels.shape[1], rng)
        return replace_background(pixels, self._cache.matte(picture.matte), background)

    def _background(self, height: int, width: int, rng: np.random.Generator) -> Pixels:
        if self._backgrounds and rng.random() < 0.7:
            chosen = self._backgrounds[int(rng.integers(len(self._backgrounds)))]
            return fill_from(self._cache.pixels(chosen.path), height, width, rng)
        return plain_background(height, width, rng)


def to_tensor(pictures: Sequence[Pixels]) -> torch.Tensor:
    """(H, W, 3) uint8 pictures of one size to (B, 3, H, W) float in [0, 1], channels last."""
    stacked = torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2)
    return stacked.float().div_(255).contiguous(memory_format=torch.channels_last)
