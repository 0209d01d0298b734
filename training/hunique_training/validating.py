"""Validation while training: a fixed part of `val`, scored as it would be served.

label file -> pictures with masks -> a part balanced by class and group, chosen once
assignment network -> scores of these -> presence -> masks as served -> thresholds
                   -> label-free IoU by class, mean IoU
"""

import dataclasses
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hunique_models.errors import InputError
from hunique_models.image import DecodeLimits, decode
from hunique_models.pipeline import Pipeline
from hunique_models.seeing import Seen
from hunique_training.checkpoint import ModelCheckpoint
from hunique_training.data.labels import DataError
from hunique_training.evaluation.evidence import PictureEvidence
from hunique_training.evaluation.operating_point import choose_operating_point, choose_presence
from hunique_training.evaluation.run import PictureScores, count_pixels
from hunique_training.evaluation.table import score_classes
from hunique_training.evaluation.torch_engine import TorchEngine
from hunique_training.evaluation.truth import TruthPicture, first_with_masks, read_truth
from hunique_training.manifest import manifest_of
from hunique_training.network.cosa import CosaNetwork

MEAN_IOU = "mean_iou"


def balanced_part(pictures: Sequence[TruthPicture], count: int) -> list[TruthPicture]:
    """At most `count` pictures, always the same: class by class, with it and without in turn.

    Each is of the group that has been taken from least; pictures of no use to any class, as
    nothing of them can be scored, are left out.
    """
    class_count = len(pictures[0].masks) if pictures else 0
    slots = [
        [p for p in pictures if p.picture.labels[c] is wanted and p.scored(c)]
        for c in range(class_count)
        for wanted in (True, False)
    ]
    chosen: list[TruthPicture] = []
    used: Counter[str] = Counter()
    while any(slots) and len(chosen) < count:
        for slot in slots:
            slot[:] = [picture for picture in slot if picture not in chosen]
            if slot and len(chosen) < count:
                best = min(slot, key=lambda picture: used[_group(picture)])
                used[_group(best)] += 1
                chosen.append(best)
    return chosen


def _group(truth: TruthPicture) -> str:
    return truth.picture.group or str(truth.picture.path)


class RunValidator:
    """Scores networks of a run on the same part of `val` each time.

    Args:
        label_files: the run's; the first with masks on `val` counts, as for calibration.
        class_names: in channel order.
        count: at most so many pictures.
        input_size_px: side of the square input that the model will be served with.

    Raises:
        DataError: no label file has a picture of `val` with a mask.
    """

    def __init__(
        self,
        label_files: Sequence[Path],
        class_names: Sequence[str],
        count: int,
        input_size_px: int,
    ) -> None:
        self._input_size_px = input_size_px
        file = first_with_masks(label_files, class_names)
        if file is None:
            raise DataError(
                "validation during training needs pictures of the split val with truth masks; "
                "found none. Leave out --validate-every-steps, or see docs/training.md."
            )
        self.pictures = balanced_part(read_truth(file, class_names, "val"), count)
        """What is looked at."""

    def __call__(self, network: CosaNetwork) -> dict[str, float]:
        """Figures of a network: `mean_iou` over classes with masks, `iou_<class>`, NaN without.

        The network's mode is left as it was.
        """
        training = network.training
        model = ModelCheckpoint(network=network, input_size_px=self._input_size_px)
        evidence = self._evidence(model)
        names = network.config.class_names
        points = {name: choose_operating_point(evidence, c) for c, name in enumerate(names)}
        chosen = dataclasses.replace(model, operating_point=points)
        scores = score_classes(evidence, manifest_of(chosen), resamples=0)
        network.train(training)
        ious = {f"iou_{one.name}": one.iou for one in scores}
        return {
            name: round(float(value), 5)
            for name, value in ({MEAN_IOU: np.nanmean(list(ious.values()))} | ious).items()
        }

    def _evidence(self, model: ModelCheckpoint) -> list[PictureEvidence]:
        """Counts of masks as they would be served, which rests on when a class is present."""
        seen = list(self._see(model))
        scores = [
            PictureScores(labels=truth.picture.labels, raw_scores=each.scores())
            for truth, each in seen
        ]
        names = model.network.config.class_names
        presence = {name: choose_presence(scores, c) for c, name in enumerate(names)}
        pipeline = Pipeline(manifest_of(dataclasses.replace(model, operating_point=presence)))
        return [
            count_pixels(pipeline, truth, _pixels_of(truth, pipeline.limits), each)
            for truth, each in seen
        ]

    def _see(self, model: ModelCheckpoint) -> Iterator[tuple[TruthPicture, Seen]]:
        """Answers of the network, which rest on no threshold; pixels would be too much to keep."""
        pipeline, engine = Pipeline(manifest_of(model)), TorchEngine(model.network)
        for truth in self.pictures:
            try:
                prepared = pipeline.prepare(truth.picture.path.read_bytes())
            except (InputError, OSError):
                continue  # named when the run began
            yield truth, pipeline.see(prepared.picture.pixels, prepared.looks, engine)


def _pixels_of(truth: TruthPicture, limits: DecodeLimits) -> NDArray[np.uint8]:
    return decode(truth.picture.path.read_bytes(), limits).pixels
