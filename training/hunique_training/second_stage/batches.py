"""From pictures and labels of their pixels to the tensors of a step."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
import torch

from hunique_training.data.batch import Batch
from hunique_training.data.batches import BatchMaker, to_tensor
from hunique_training.data.labels import LabelledPicture
from hunique_training.data.picture_cache import PictureCache
from hunique_training.data.sampling import BalancedSampler
from hunique_training.second_stage.config import SecondStageConfig
from hunique_training.second_stage.label_source import LabelSource, PixelLabel
from hunique_training.second_stage.views import LabelledCrop, labelled_crop


@dataclass(frozen=True, kw_only=True)
class LabelledBatch(Batch):
    """B pictures of H x W pixels with labels of the pictures and of their pixels."""

    pixel_labels: torch.Tensor
    """(B, H, W) int64: 0 background, 1 to C, 255 ignored."""
    open_classes: torch.Tensor
    """(B, C) bool: classes that background may be, see `PixelLabel`."""


class LabelledBatchMaker(BatchMaker):
    """Makes the batch of any step; the batch depends on the seed and the step alone.

    Args:
        pictures: training pictures that `labels` has been asked for.
        cache: their pixels.
        labels: the labels of their pixels.
        config: batch size, crops, seed.
    """

    def __init__(
        self,
        pictures: Sequence[LabelledPicture],
        cache: PictureCache,
        labels: LabelSource,
        config: SecondStageConfig,
    ) -> None:
        sampler = BalancedSampler(
            pictures, config.batch_size, config.seed, background_slot=config.background_slot
        )
        super().__init__(pictures, cache, sampler, config.views, config.seed)
        self._label_source = labels

    def batch(self, step: int, places: Sequence[int] | None = None) -> LabelledBatch:
        """The batch of `step`, counted from 0; of all places or of some, as in `BatchMaker`."""
        drawn = self._sampler.indices(step)
        places = range(len(drawn)) if places is None else places
        pictures = [self._pictures[drawn[place]] for place in places]
        seen = [self._crop(step, *each) for each in zip(places, pictures, strict=True)]
        batch = LabelledBatch(
            weak=to_tensor([crop.weak for crop, _ in seen]),
            strong=to_tensor([crop.strong for crop, _ in seen]),
            labels=torch.tensor([[float(bool(label)) for label in p.labels] for p in pictures]),
            known=torch.tensor([[label is not None for label in p.labels] for p in pictures]),
            boxes=torch.tensor([crop.box for crop, _ in seen]),
            pixel_labels=torch.from_numpy(np.stack([crop.labels for crop, _ in seen])).long(),
            open_classes=torch.tensor([label.open_classes for _, label in seen]),
        )
        return batch.without(cropped_away(batch))

    def batches(
        self, first_step: int, end_step: int, places: Sequence[int] | None = None
    ) -> Iterator[LabelledBatch]:
        """Batches of the steps from `first_step` up to `end_step`, one prepared ahead."""
        return cast(Iterator[LabelledBatch], super().batches(first_step, end_step, places))

    def _crop(
        self, step: int, place: int, picture: LabelledPicture
    ) -> tuple[LabelledCrop, PixelLabel]:
        rng = np.random.default_rng((self._seed, step, place))
        pixels = self._pixels(picture, rng)
        label = self._label_source.pixel_label(picture, (pixels.shape[0], pixels.shape[1]))
        return labelled_crop(pixels, label.labels, self._views, rng), label


def cropped_away(batch: LabelledBatch) -> torch.Tensor:
    """(B, C) bool: classes that the picture shows, at a known place that the crop leaves out."""
    classes = torch.arange(1, batch.labels.shape[1] + 1)
    pixels = batch.pixel_labels.flatten(1)[:, :, None]
    shown = torch.stack([(pixels[..., 0] == c).any(dim=1) for c in classes], dim=1)
    return (batch.labels > 0) & ~batch.open_classes & ~shown
