"""What is kept of a picture: counts, from which every figure of the report follows.

About 1 kB a picture. Nothing of what it shows is kept, and no name of its file: the row of
the label file stands for it.
"""

import dataclasses
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from hunique_models.findings import ClassFinding
from hunique_models.pipeline import PictureFindings
from hunique_training.evaluation.borders import DEFAULT_TOLERANCE_SHARE, BorderRule, count_border
from hunique_training.evaluation.truth import FEATURE, NOT_SCORED, TruthPicture
from hunique_training.validation_report.instances import count_instances
from hunique_training.validation_report.picture_traits import PictureTraits


@dataclass(frozen=True, kw_only=True)
class ClassTally:
    """One class on one picture."""

    status: str
    """As served: `present`, `absent` or `not_assessable`."""
    score: float
    """Calibrated score, 0 to 1."""
    pixels: tuple[int, ...] | None
    """See `PixelColumn`; None where the class is not scored on this picture."""
    instances: tuple[int, ...] | None
    """See `InstanceColumn`; None where the class is not scored on this picture."""


@dataclass(frozen=True, kw_only=True)
class PictureTally:
    """One picture, as it is or worsened, after it was examined."""

    row: int
    """Line of the label file."""
    variant: str
    """How it was sent, see `variants`."""
    stamp: str
    """Sizes and times of the picture's and the masks' files: whether they are still the same."""
    classes: tuple[ClassTally, ...]
    """In channel order."""
    traits: PictureTraits
    """Of the picture as it was sent."""
    duration_ms: float
    """Decoding, network and findings together."""
    look_count: int
    """Looks that were run."""
    hardware: str
    """Where it was run."""

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """Back from JSON.

        Raises:
            KeyError, TypeError: the values are of another format.
        """
        classes = tuple(
            ClassTally(status=one["status"], score=one["score"], pixels=_tuple(one["pixels"]),
                       instances=_tuple(one["instances"]))
            for one in values["classes"]
        )  # fmt: skip
        return cls(**(values | {"classes": classes, "traits": PictureTraits(**values["traits"])}))


def _tuple(values: list[int] | None) -> tuple[int, ...] | None:
    return None if values is None else tuple(values)


def stamp_of(truth: TruthPicture) -> str:
    """Size and time of every file that a tally rests on.

    Raises:
        OSError: the picture is not there.
    """
    files = [truth.picture.path, *(mask for mask in truth.masks if mask is not None)]
    states = [file.stat() for file in files]
    return " ".join(f"{state.st_size}:{state.st_mtime_ns}" for state in states)


def count_classes(
    truth: TruthPicture,
    found: PictureFindings,
    tolerance_share: float = DEFAULT_TOLERANCE_SHARE,
) -> tuple[ClassTally, ...]:
    """Compare findings with labels and masks.

    Args:
        truth: of the picture.
        found: what the model says of it, all classes asked for.
        tolerance_share: share of the diagonal within which borders match.

    Raises:
        DataError: a mask cannot be used.
    """
    height, width = found.picture.height_px, found.picture.width_px
    tolerance_px = BorderRule(levels=(), tolerance_share=tolerance_share).tolerance_px(
        height, width
    )
    return tuple(
        _count_class(finding, truth.mask(c, height, width) if truth.scored(c) else None,
                     tolerance_px)
        for c, finding in enumerate(found.findings)
    )  # fmt: skip


def _count_class(
    finding: ClassFinding, mask: NDArray[np.uint8] | None, tolerance_px: int
) -> ClassTally:
    pixels = instances = None
    if mask is not None:
        claim = drawn_mask(finding, mask.shape[0], mask.shape[1])
        feature = mask == FEATURE
        hit_px = np.count_nonzero(claim & feature)
        false_px = np.count_nonzero(claim & (mask != NOT_SCORED)) - hit_px
        missed_px = np.count_nonzero(feature) - hit_px
        borders = count_border(claim, mask, tolerance_px)
        pixels = (int(hit_px), int(false_px), int(missed_px), *(int(n) for n in borders))
        counts = count_instances([one.mask for one in finding.instances], mask)
        instances = tuple(int(n) for n in counts)
    return ClassTally(
        status=str(finding.status),
        score=round(finding.score, 6),
        pixels=pixels,
        instances=instances,
    )


def drawn_mask(finding: ClassFinding, height_px: int, width_px: int) -> NDArray[np.bool_]:
    """All instances of a finding together, (H, W) bool."""
    drawn = np.zeros((height_px, width_px), np.bool_)
    for instance in finding.instances:
        x, y, width, height = instance.mask.box
        drawn[y : y + height, x : x + width] |= instance.mask.crop.astype(np.bool_)
    return drawn
