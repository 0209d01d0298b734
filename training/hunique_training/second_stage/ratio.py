"""How much of full supervision weak supervision reaches: IoU of one model by that of the other.

Label-free, each at its own thresholds, on the same pictures. Groups are drawn once for
both models, so what makes a picture hard for both cancels out of the interval.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hunique_models.geometry import Detail
from hunique_training.checkpoint import CheckpointError, ModelCheckpoint
from hunique_training.data.labels import DataError
from hunique_training.evaluation.bootstrap import draw_multiplicities, percentile_interval
from hunique_training.evaluation.figures import PixelColumn, Sums, iou
from hunique_training.evaluation.protocol import Protocol
from hunique_training.evaluation.run import SplitRequest, stream_evidence
from hunique_training.evaluation.table import number
from hunique_training.evaluation.tally import GroupSums, sum_groups
from hunique_training.evaluation.torch_engine import TorchEngine
from hunique_training.manifest import manifest_of

MEAN = "mean"
"""Name of the row over all classes: the ratio of the means of IoU."""


@dataclass(frozen=True, kw_only=True)
class RatioRequest:
    """Pictures and resamples of a comparison."""

    data: Path
    """Label file with truth masks beside it."""
    split: str = "val"
    """Rows of the file that count."""
    detail: Detail = Detail.STANDARD
    """How closely to look."""
    resamples: int = 1000
    """How often groups are drawn; 0 leaves intervals out."""


@dataclass(frozen=True, kw_only=True)
class ClassRatio:
    """One class; NaN where undefined."""

    name: str
    """The class, or `MEAN`."""
    weak_iou: float
    """Label-free IoU of the weakly supervised model."""
    full_iou: float
    """That of the fully supervised one."""
    ratio: float
    """The first by the second."""
    low: float
    """2.5th percentile over resampled groups."""
    high: float
    """97.5th percentile."""


def compare_models(
    weak: ModelCheckpoint, full: ModelCheckpoint, request: RatioRequest
) -> tuple[ClassRatio, ...]:
    """Score both models; a ratio for each class and one of the means.

    Raises:
        CheckpointError: the models differ in classes, or are not weak and fully supervised.
        DataError: the label file cannot be used.
    """
    refuse_mistaken(weak, full)
    sums = [_sums(model, request) for model in (weak, full)]
    return ratios(sums[0], sums[1], weak.network.config.class_names, request.resamples)


def refuse_mistaken(weak: ModelCheckpoint, full: ModelCheckpoint) -> None:
    """Check that two models can stand over each other.

    Raises:
        CheckpointError: says what each was expected to be.
    """
    found = (weak.supervision, full.supervision)
    if found[0] == "pixel" or found[1] != "pixel":
        raise CheckpointError(
            "expected a model taught by image labels or marks and then one taught by masks (fit-second-stage "
            f"--labels truth); found supervision {found[0]} and {found[1]}"
        )
    names = (weak.network.config.class_names, full.network.config.class_names)
    if names[0] != names[1]:
        raise CheckpointError(
            f"expected the same classes in both models, found {', '.join(names[0])} and "
            f"{', '.join(names[1])}"
        )


def _sums(model: ModelCheckpoint, request: RatioRequest) -> GroupSums:
    manifest = manifest_of(model)
    split = SplitRequest(csv_path=request.data, split=request.split, detail=request.detail)
    return sum_groups(stream_evidence(manifest, TorchEngine(model.network), split), manifest)


def ratios(
    weak: GroupSums, full: GroupSums, class_names: Sequence[str], resamples: int
) -> tuple[ClassRatio, ...]:
    """Ratios of IoU from the sums of the same groups, the last one that of the means.

    The mean is over classes that both models have an IoU of; a resample in which one of
    these has none is left out of its interval.

    Raises:
        DataError: the sums are not of the same pictures.
    """
    if not np.array_equal(weak.group_of_picture, full.group_of_picture):
        raise DataError("expected both models to have read the same pictures; look at warnings")
    pixels = np.stack([sums.pixels[Protocol.LABEL_FREE] for sums in (weak, full)])
    totals = pixels.sum(axis=1)
    values = iou(totals).value()
    # without a mask of a class nothing of it could be hit
    values[totals[..., [PixelColumn.HIT_PX, PixelColumn.MISSED_PX]].sum(axis=-1) == 0] = np.nan
    drawn = _drawn_values(pixels, len(weak.labels), resamples)
    groups = (iou(pixels[1]).whole > 0).sum(axis=0)
    rows = [
        _ratio(name, values[:, c], drawn[:, :, c], int(groups[c]))
        for c, name in enumerate(class_names)
    ]
    both = ~np.isnan(values).any(axis=0)
    if both.any():
        means = (values[:, both].mean(axis=1), drawn[:, :, both].mean(axis=2))
        rows.append(_ratio(MEAN, *means, int(groups[both].max())))
    return tuple(rows)


def _drawn_values(pixels: Sums, picture_count: int, resamples: int) -> Sums:
    """IoU (2, R, C) of both models on resampled groups, from their sums (2, G, C, 7)."""
    drawn = [np.zeros((2, 0, pixels.shape[2]))]
    if resamples and pixels.shape[1]:
        blocks = draw_multiplicities(pixels.shape[1], picture_count, resamples)
        drawn += [iou(np.einsum("rg,mgck->mrck", weights, pixels)).value() for weights in blocks]
    return np.concatenate(drawn, axis=1)


def _ratio(name: str, values: Sums, drawn: Sums, groups: int) -> ClassRatio:
    """A row from IoU (2,) and resampled IoU (2, R), weak and full."""
    low, high = percentile_interval(_divide(drawn[0], drawn[1]), groups)
    return ClassRatio(
        name=name,
        weak_iou=float(values[0]),
        full_iou=float(values[1]),
        ratio=float(_divide(values[:1], values[1:])[0]),
        low=low,
        high=high,
    )


def _divide(part: Sums, whole: Sums) -> Sums:
    """Part by whole, NaN where the whole is 0 or either is NaN."""
    return np.divide(part, whole, out=np.full_like(whole, np.nan), where=whole > 0)


def ratios_as_text(rows: Sequence[ClassRatio]) -> str:
    """A table for people; "-" where undefined."""
    lines = [f"{'class':16}{'weak IoU':>10}{'full IoU':>10}{'ratio':>8}  95 % interval"]
    for row in rows:
        interval = f"[{number(row.low)} {number(row.high)}]"
        figures = f"{number(row.weak_iou):>10}{number(row.full_iou):>10}{number(row.ratio):>8}"
        lines.append(f"{row.name:16}{figures}  {interval}")
    return "\n".join(lines)
