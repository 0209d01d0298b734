"""The table of a model on a split: IoU by class and source, image-level F1, false alarms.

Label-free: no image-level label of the evaluated pictures is used to forbid classes. The
published CoSA protocol does use them; figures here are therefore not comparable with it.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field

import numpy as np

from hunique_models.findings import calibrated_score
from hunique_models.manifest import ClassSpec, Manifest
from hunique_training.evaluation.evidence import PictureEvidence, iou_by_threshold


@dataclass(frozen=True, kw_only=True)
class ClassScores:
    """How one class does on a set of pictures."""

    name: str
    """The class."""
    iou: float
    """Intersection over union of all scored pixels together, at the operating point."""
    masks: int
    """Pictures with a truth mask."""
    image_f1: float
    """F1 of presence against image-level labels."""
    sensitivity: float
    """Share of pictures with the class that are called present."""
    specificity: float
    """Share of pictures without the class that are called absent."""
    present: int
    """Pictures with the class."""
    absent: int
    """Pictures without it."""
    iou_by_source: dict[str, float] = field(default_factory=dict)
    """IoU on each source that has truth masks of the class."""


def score_classes(
    evidence: Sequence[PictureEvidence], manifest: Manifest
) -> tuple[ClassScores, ...]:
    """Score every class at the manifest's thresholds."""
    return tuple(_score(evidence, index, spec) for index, spec in enumerate(manifest.classes))


def _score(evidence: Sequence[PictureEvidence], index: int, spec: ClassSpec) -> ClassScores:
    called = [
        calibrated_score(float(one.raw_scores[index]), spec.calibration) >= spec.presence_threshold
        for one in evidence
    ]
    known = [(c, one.labels[index]) for c, one in zip(called, evidence, strict=True)]
    hits = sum(c and label is True for c, label in known)
    alarms = sum(c and label is False for c, label in known)
    present = sum(label is True for _, label in known)
    absent = sum(label is False for _, label in known)
    with_mask = [one for one in evidence if _has_mask(one, index)]
    return ClassScores(
        name=spec.name,
        iou=_iou(evidence, called, index, spec),
        masks=len(with_mask),
        image_f1=_ratio(2 * hits, present + hits + alarms),
        sensitivity=_ratio(hits, present),
        specificity=_ratio(absent - alarms, absent),
        present=present,
        absent=absent,
        iou_by_source={
            source: _iou_of_source(evidence, called, index, spec, source)
            for source in sorted({one.source for one in with_mask})
        },
    )


def _has_mask(one: PictureEvidence, index: int) -> bool:
    return bool(one.scored[index]) and one.labels[index] is True


def _iou(
    evidence: Sequence[PictureEvidence], called: Sequence[bool], index: int, spec: ClassSpec
) -> float:
    by_threshold = iou_by_threshold(evidence, index, called)
    return float(by_threshold[max(1, round(spec.pixel_threshold * 255))])


def _iou_of_source(
    evidence: Sequence[PictureEvidence],
    called: Sequence[bool],
    index: int,
    spec: ClassSpec,
    source: str,
) -> float:
    mine = [(one, c) for one, c in zip(evidence, called, strict=True) if one.source == source]
    return _iou([one for one, _ in mine], [c for _, c in mine], index, spec)


def _ratio(part: int, whole: int) -> float:
    return part / whole if whole else float("nan")


def as_text(scores: Sequence[ClassScores]) -> str:
    """A table for people."""
    lines = ["class            IoU  masks  image F1  sensitivity  specificity  present/absent"]
    for one in scores:
        lines.append(
            f"{one.name:14} {one.iou:5.3f}  {one.masks:5d}  {one.image_f1:8.3f}  "
            f"{one.sensitivity:11.3f}  {one.specificity:11.3f}  {one.present}/{one.absent}"
        )
        lines += [f"    {source}: IoU {iou:.3f}" for source, iou in one.iou_by_source.items()]
    return "\n".join(lines)


def as_json(scores: Sequence[ClassScores]) -> str:
    """The same for programs; what is undefined is null."""
    values = [
        {k: None if isinstance(v, float) and np.isnan(v) else v for k, v in asdict(one).items()}
        for one in scores
    ]
    return json.dumps(values, indent=2) + "\n"
