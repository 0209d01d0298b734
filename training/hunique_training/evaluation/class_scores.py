"""Every figure of a class, with its interval, under both protocols, from sums of groups."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hunique_models.manifest import Manifest
from hunique_training.evaluation.average_precision import RankedLabels
from hunique_training.evaluation.bootstrap import (
    DEFAULT_RESAMPLES,
    draw_multiplicities,
    percentile_interval,
)
from hunique_training.evaluation.evidence import PictureEvidence
from hunique_training.evaluation.figures import (
    IMAGE_FIGURES,
    PIXEL_FIGURES,
    ImageColumn,
    Ratio,
    Sums,
    iou,
)
from hunique_training.evaluation.protocol import Protocol
from hunique_training.evaluation.tally import GroupSums, sum_groups


@dataclass(frozen=True, kw_only=True)
class Figure:
    """A figure and its 95 % interval; NaN where undefined."""

    value: float
    """On all pictures, 0 to 1."""
    low: float = float("nan")
    """2.5th percentile over resampled groups."""
    high: float = float("nan")
    """97.5th percentile."""


@dataclass(frozen=True, kw_only=True)
class ClassScores:
    """How one class does on a set of pictures."""

    name: str
    """The class."""
    masks: int
    """Pictures with a truth mask."""
    present: int
    """Pictures with the class."""
    absent: int
    """Pictures without it."""
    groups: int
    """Groups of the whole set; what is drawn for the intervals."""
    pixels: dict[Protocol, dict[str, Figure]]
    """Figures of masks by protocol and name, see `figures.PIXEL_FIGURES`; NaN without masks,
    as nothing could be hit."""
    presence: dict[str, Figure]
    """Label-free figures of the presence decision, see `figures.IMAGE_FIGURES`, and
    `average_precision`, which asks for no decision."""
    iou_by_source: dict[str, float]
    """Label-free IoU on each source that has truth masks of the class."""

    @property
    def iou(self) -> float:
        """Label-free IoU of all scored pixels together."""
        return self.pixels[Protocol.LABEL_FREE]["iou"].value

    @property
    def image_f1(self) -> float:
        """F1 of presence against image-level labels."""
        return self.presence["image_f1"].value

    @property
    def sensitivity(self) -> float:
        """Share of pictures with the class that are called present."""
        return self.presence["sensitivity"].value

    @property
    def specificity(self) -> float:
        """Share of pictures without the class that are called absent."""
        return self.presence["specificity"].value


def score_classes(
    evidence: Iterable[PictureEvidence], manifest: Manifest, *, resamples: int = DEFAULT_RESAMPLES
) -> tuple[ClassScores, ...]:
    """Score every class at the manifest's thresholds.

    Args:
        evidence: the pictures; each is looked at once and dropped.
        manifest: classes and thresholds.
        resamples: how often groups are drawn for the intervals; 0 leaves intervals out.
    """
    sums = sum_groups(evidence, manifest)
    drawn = _resample(sums, resamples)
    return tuple(_score(sums, drawn, c, name) for c, name in enumerate(manifest.class_names))


@dataclass(frozen=True, kw_only=True)
class _Resampled:
    """Sums of R resamples: images (R, C, 4), pixels (R, C, 7), average precision (R, C)."""

    images: Sums
    pixels: dict[Protocol, Sums]
    average_precision: Sums


def _resample(sums: GroupSums, resamples: int) -> _Resampled:
    group_count, class_count = sums.images.shape[:2]
    ranked = [_ranked(sums, c) for c in range(class_count)]
    images, precisions = [np.zeros((0, *sums.images.shape[1:]))], [np.zeros((0, class_count))]
    pixels = {p: [np.zeros((0, *s.shape[1:]))] for p, s in sums.pixels.items()}
    drawn = draw_multiplicities(group_count, len(sums.labels), resamples) if group_count else ()
    for weights in drawn:
        images.append(np.tensordot(weights, sums.images, 1))
        for protocol, blocks in pixels.items():
            blocks.append(np.tensordot(weights, sums.pixels[protocol], 1))
        columns = [labels.average_precision(weights[:, groups]) for labels, groups in ranked]
        precisions.append(np.stack(columns, axis=1))
    return _Resampled(
        images=np.concatenate(images),
        pixels={p: np.concatenate(blocks) for p, blocks in pixels.items()},
        average_precision=np.concatenate(precisions),
    )


def _ranked(sums: GroupSums, c: int) -> tuple[RankedLabels, NDArray[np.int64]]:
    """Pictures of known label by score, and the group of each."""
    known = sums.labels[:, c] >= 0
    ranked = RankedLabels(sums.raw_scores[known, c], sums.labels[known, c] == 1)
    return ranked, sums.group_of_picture[known]


def _score(sums: GroupSums, drawn: _Resampled, c: int, name: str) -> ClassScores:
    totals = sums.images[:, c].sum(axis=0)
    masks = {source: int(counts[c]) for source, counts in sums.masks_by_source.items()}
    return ClassScores(
        name=name,
        masks=sum(masks.values()),
        present=int(totals[ImageColumn.PRESENT]),
        absent=int(totals[ImageColumn.ABSENT]),
        groups=len(sums.images),
        pixels={
            p: _pixel_figures(sums.pixels[p][:, c], drawn.pixels[p][:, c], any(masks.values()))
            for p in Protocol
        },
        presence={
            figure: figure_with_interval(
                ratio(totals), ratio(sums.images[:, c]), ratio(drawn.images[:, c])
            )
            for figure, ratio in IMAGE_FIGURES.items()
        } | {"average_precision": _average_precision(sums, drawn, c)},
        iou_by_source={
            source: float(iou(pixels[c]).value())
            for source, pixels in sums.pixels_by_source.items()
            if masks[source]
        },
    )  # fmt: skip


def _pixel_figures(groups: Sums, resampled: Sums, masks: bool) -> dict[str, Figure]:
    """From sums (G, 7) of each group and (R, 7) of each resample."""
    if not masks:
        return dict.fromkeys(PIXEL_FIGURES, Figure(value=float("nan")))
    return {
        figure: figure_with_interval(ratio(groups.sum(axis=0)), ratio(groups), ratio(resampled))
        for figure, ratio in PIXEL_FIGURES.items()
    }


def figure_with_interval(total: Ratio, by_group: Ratio, resampled: Ratio) -> Figure:
    """A figure of all pictures, with the interval of its resamples.

    Args:
        total: of all pictures together.
        by_group: (G,) of each group, which says how many groups contribute.
        resampled: (R,) of each resample.
    """
    contributing = int((by_group.whole > 0).sum())
    low, high = percentile_interval(resampled.value(), contributing)
    return Figure(value=float(total.value()), low=low, high=high)


def _average_precision(sums: GroupSums, drawn: _Resampled, c: int) -> Figure:
    ranked, groups = _ranked(sums, c)
    value = ranked.average_precision(np.ones((1, len(groups))))[0]
    contributing = int((sums.images[:, c, ImageColumn.PRESENT] > 0).sum())
    low, high = percentile_interval(drawn.average_precision[:, c], contributing)
    return Figure(value=float(value), low=low, high=high)
