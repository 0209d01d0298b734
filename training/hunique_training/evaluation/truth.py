"""Truth masks: the one place of the package that reads them.

Evaluation asks for them, and of training `second_stage.truth_labels` alone, for the fully
supervised upper bound.

The label file's column `truth` names the classes that have a mask, parted by `;`, in
`truth/<stem>__<class>.png` beside it: 255 feature, 128 not scored, 0 not the feature.
A class labelled present without a mask, or not labelled, is left out of pixel scores;
a class labelled absent has an empty mask.
"""

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from hunique_training.data.labels import DataError, LabelledPicture, read_labels

FEATURE = 255
NOT_SCORED = 128


@dataclass(frozen=True, kw_only=True)
class TruthPicture:
    """A labelled picture and where its masks are."""

    picture: LabelledPicture
    """Path, labels, group, source."""
    masks: tuple[Path | None, ...]
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
    with csv_path.open(newline="", encoding="utf-8-sig") as stream:
        named = [
            set(filter(None, (row.get("truth") or "").split(";"))) for row in csv.DictReader(stream)
        ]
    _refuse_shared_masks(csv_path, pictures, named)
    return [
        TruthPicture(picture=picture, masks=_masks(csv_path.parent, picture, names, class_names))
        for picture, names in zip(pictures, named, strict=True)
    ]


def _refuse_shared_masks(
    csv_path: Path, pictures: Sequence[LabelledPicture], named: Sequence[set[str]]
) -> None:
    """A mask goes by its picture's name without folder: no two may have the same."""
    first: dict[tuple[str, str], int] = {}
    for line, (picture, names) in enumerate(zip(pictures, named, strict=True), 2):
        for name in names:
            before = first.setdefault((picture.path.stem, name), line)
            if before != line and pictures[before - 2].path != picture.path:
                raise DataError(
                    f"{csv_path}: lines {before} and {line} both claim the mask "
                    f"truth/{picture.path.stem}__{name}.png; expected pictures with masks to have "
                    "names of their own, whatever folder they are in. Rename one of them."
                )


def _masks(
    folder: Path, picture: LabelledPicture, named: set[str], class_names: Sequence[str]
) -> tuple[Path | None, ...]:
    stem = picture.path.stem
    return tuple(
        folder / "truth" / f"{stem}__{name}.png" if name in named else None for name in class_names
    )
