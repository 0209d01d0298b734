"""Truth masks: the one place of the package that reads them.

Evaluation asks for them, and of training `second_stage.truth_labels` alone, for the fully
supervised upper bound.

`data.truth_column` says where they are: 255 feature, 128 not scored, 0 not the feature. A class labelled present without a mask, or not labelled, is left out of pixel scores;
a class labelled absent has an empty mask.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from hunique_training.data.labels import DataError, LabelledPicture, read_labels
from hunique_training.data.truth_column import Masks, find_masks
from hunique_training.data.vocabulary import ClassVocabulary

FEATURE = 255
NOT_SCORED = 128


@dataclass(frozen=True, kw_only=True)
class TruthPicture:
    """A labelled picture and where its masks are."""

    picture: LabelledPicture
    """Path, labels, group, source."""
    masks: Masks
    """Per class: the mask's file, if there is one."""

    def scored(self, class_index: int) -> bool:
        """Whether pixels of this class can be scored on this picture."""
        label = self.picture.labels[class_index]
        return label is False or (label is True and self.masks[class_index] is not None)

    def mask(self, class_index: int, height: int, width: int) -> NDArray[np.uint8]:
        """Truth (height, width) uint8 of 0, 128, 255; all 0 where the class is absent.

        Raises:
            DataError: the mask cannot be read or has another size than the picture.
        """
        path = self.masks[class_index]
        if path is None:
            return np.zeros((height, width), np.uint8)
        mask = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
        if mask is None or mask.shape != (height, width):
            found = "nothing readable" if mask is None else f"{mask.shape[0]} x {mask.shape[1]}"
            raise DataError(f"{path}: expected a mask of {height} x {width}, found {found}")
        return mask.astype(np.uint8, copy=False)


def read_truth(csv_path: Path, class_names: Sequence[str], split: str) -> list[TruthPicture]:
    """All pictures of one split with their masks, in the order of the file."""
    return [one for one in read_every_truth(csv_path, class_names) if one.picture.split == split]


def read_every_truth(csv_path: Path, class_names: Sequence[str]) -> list[TruthPicture]:
    """A picture for each row, whatever its split.

    Raises:
        DataError: see `hunique_training.data.labels.read_labels`; two pictures of one name in
            different folders claim the same mask.
    """
    pictures = read_labels(csv_path, class_names)
    masks = find_masks(csv_path, ClassVocabulary(class_names))
    return [
        TruthPicture(picture=picture, masks=of_picture)
        for picture, of_picture in zip(pictures, masks, strict=True)
    ]


def first_with_masks(label_files: Sequence[Path], class_names: Sequence[str]) -> Path | None:
    """The label file of a run whose `val` is scored: the first that has masks there.

    Raises:
        DataError: see `read_every_truth`.
    """
    for file in label_files:
        if any(any(one.masks) for one in read_truth(file, class_names, "val")):
            return file
    return None
