"""Truth masks of training pictures: of training, this file reads them, and `simulated_marks`.

They teach the fully supervised upper bound, which says how much of full supervision a
weakly supervised model reaches (`ratio`), and one arm of the guided-CAM experiment, which
leaves no model. Models trained on them carry
supervision "pixel" in checkpoint, manifest and data statement. No module that trains or
labels imports this one (a contract of `pyproject.toml`); the command line hands it over.

A class labelled present without a mask is open: background may be it. A class of unknown
label counts as background, as in weak training.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from hunique_training.data.labels import DataError, LabelledPicture
from hunique_training.evaluation.label_map import true_labels
from hunique_training.evaluation.truth import TruthPicture, read_truth
from hunique_training.second_stage.label_source import PixelLabel

SUPERVISION = "pixel"


class TruthLabels:
    """Masks of the split `train` of label files, as a source of labels.

    Args:
        label_files: label files with masks beside them.
        class_names: classes, in order.

    Raises:
        DataError: a label file cannot be used.
    """

    supervision = SUPERVISION

    def __init__(self, label_files: Sequence[Path], class_names: Sequence[str]) -> None:
        truths = [t for file in label_files for t in read_truth(file, class_names, "train")]
        self._by_path = {truth.picture.path.resolve(): truth for truth in truths}
        self._class_names = tuple(class_names)

    @property
    def facts(self) -> dict[str, Any]:
        """How many masks there are of each class."""
        masks = zip(*(truth.masks for truth in self._by_path.values()), strict=True)
        counts = (sum(mask is not None for mask in column) for column in masks)
        return {
            "source": "truth masks of train",
            "masks": dict(zip(self._class_names, counts, strict=False)),
        }

    def require(self, pictures: Sequence[LabelledPicture]) -> None:
        """Check that there are masks of every class.

        Raises:
            DataError: names the classes without.
        """
        truths = [t for p in pictures if (t := self._by_path.get(p.path.resolve())) is not None]
        without = [
            name for c, name in enumerate(self._class_names) if not any(t.masks[c] for t in truths)
        ]
        if without:
            raise DataError(
                f"expected truth masks of every class on the training pictures, found none of "
                f"{', '.join(without)}. Give --data a label file with a column truth."
            )

    def pixel_label(self, picture: LabelledPicture, size: tuple[int, int]) -> PixelLabel:
        """Truth of a picture at `size` = (height, width); all background without any mask.

        Raises:
            DataError: a mask cannot be read, or has another shape than the picture.
        """
        truth = self._by_path.get(picture.path.resolve())
        masks = truth.masks if truth is not None else (None,) * len(picture.labels)
        labels = np.zeros(size, np.uint8)
        if truth is not None and any(masks):
            whole = true_labels(truth, *_truth_size(truth, size))
            sized = cv2.resize(whole, size[::-1], interpolation=cv2.INTER_NEAREST)
            labels = np.asarray(sized, np.uint8)
        open_classes = zip(picture.labels, masks, strict=True)
        return PixelLabel(
            labels=labels,
            open_classes=tuple(label is True and mask is None for label, mask in open_classes),
        )


def _truth_size(truth: TruthPicture, size: tuple[int, int]) -> tuple[int, int]:
    """(height, width) of the masks, which must be those of the picture before it was shrunk."""
    path = next(mask for mask in truth.masks if mask is not None)
    mask = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
    if mask is None:
        raise DataError(f"{path}: expected a mask as PNG, found nothing readable")
    height, width = mask.shape[:2]
    scale = max(size) / max(height, width)
    if (max(1, round(height * scale)), max(1, round(width * scale))) != size:
        raise DataError(
            f"{path}: expected a mask of the picture's shape, found {height} x {width} for a "
            f"picture seen at {size[0]} x {size[1]}"
        )
    return height, width
