"""The same figures for parts of the pictures: by source, skin tone, view, size and quality.

A part with fewer than `LEAST_PICTURES` pictures for a figure gets none: a share of four
pictures would be read as one of four hundred.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from hunique_training.validation_report.cases import Case
from hunique_training.validation_report.class_figures import ClassFigures, score_classes_of
from hunique_training.validation_report.examined import Examined
from hunique_training.validation_report.picture_tally import PictureTally

LEAST_PICTURES = 10
"""For a figure of a part: so many pictures that it rests on."""
NOT_STATED = "not stated"
_MEGAPIXELS = (0.25, 0.5, 1.0, 4.0)
_QUALITIES = (50, 75, 85, 95)
_OF_QUALITY = (
    "estimated from the quantisation table of the file; what was lost to an earlier compression "
    "does not show"
)
_OF_SHARPNESS = (
    "thirds by the variance of the Laplacian at 512 px, which is low of plain pictures too"
)

Pair = tuple[Case, PictureTally]


@dataclass(frozen=True, kw_only=True)
class Stratum:
    """One part of the pictures."""

    name: str
    """What they share."""
    pictures: int
    """How many there are."""
    groups: int
    """Of how many groups."""
    classes: tuple[ClassFigures, ...]
    """Their figures; empty where fewer than `LEAST_PICTURES` pictures are there."""


@dataclass(frozen=True, kw_only=True)
class Dimension:
    """One way to part the pictures."""

    name: str
    """As in the JSON: `source`, `skin_tone`, `kind`, `view`, `resolution`, `jpeg_quality`,
    `sharpness`."""
    explained: str
    """How parts are told apart."""
    strata: tuple[Stratum, ...]
    """From the largest or in their order."""


def part_by_all(
    pairs: Sequence[Pair], examined: Examined, class_names: Sequence[str], resamples: int
) -> tuple[Dimension, ...]:
    """Figures by every dimension.

    Args:
        pairs: cases with their tallies.
        examined: the same as arrays.
        class_names: in channel order.
        resamples: how often groups are drawn for the intervals.
    """
    return tuple(
        Dimension(
            name=name,
            explained=explained,
            strata=_strata([label(*pair) for pair in pairs], examined, class_names, resamples),
        )
        for name, explained, label in _dimensions(pairs)
    )


def _strata(
    labels: Sequence[tuple[int, str]],
    examined: Examined,
    class_names: Sequence[str],
    resamples: int,
) -> tuple[Stratum, ...]:
    counts = {label: labels.count(label) for label in set(labels)}
    strata = []
    for label in sorted(counts, key=lambda one: (one[0], -counts[one], one[1])):
        part = examined.part(np.array([one == label for one in labels]))
        enough = counts[label] >= LEAST_PICTURES
        figures = score_classes_of(part, class_names, resamples) if enough else ()
        strata.append(
            Stratum(
                name=label[1],
                pictures=counts[label],
                groups=len(np.unique(part.groups)),
                classes=tuple(_withheld(one) for one in figures),
            )
        )
    return tuple(strata)


def _withheld(one: ClassFigures) -> ClassFigures:
    kept = {name: measured.at_least(LEAST_PICTURES) for name, measured in one.figures.items()}
    return replace(one, figures=kept)


Label = Callable[[Case, PictureTally], tuple[int, str]]
"""Place in the order, and name."""


def _dimensions(pairs: Sequence[Pair]) -> list[tuple[str, str, Label]]:
    edges = np.quantile([tally.traits.sharpness for _, tally in pairs], (1 / 3, 2 / 3))
    low, high = float(edges[0]), float(edges[1])
    return [
        ("source", "column source", lambda c, _: (0, c.truth.picture.source or NOT_STATED)),
        ("skin_tone", "column skin_tone", lambda c, _: (0, c.skin_tone or NOT_STATED)),
        ("kind", "column kind", lambda c, _: (0, c.truth.picture.kind or NOT_STATED)),
        ("view", "column view", lambda c, _: (0, c.view or NOT_STATED)),
        ("resolution", "millions of pixels", lambda _, t: _megapixels(t.traits.megapixels)),
        ("jpeg_quality", _OF_QUALITY, lambda _, t: _quality(t.traits.jpeg_quality)),
        ("sharpness", f"{_OF_SHARPNESS}: up to {low:.0f}, up to {high:.0f}, above",
         lambda _, t: _third(t.traits.sharpness, low, high)),
    ]  # fmt: skip


def _megapixels(value: float) -> tuple[int, str]:
    place = int(np.searchsorted(_MEGAPIXELS, value, side="right"))
    if place == 0:
        return place, f"below {_MEGAPIXELS[0]:g} Mpx"
    if place == len(_MEGAPIXELS):
        return place, f"{_MEGAPIXELS[-1]:g} Mpx and more"
    return place, f"{_MEGAPIXELS[place - 1]:g} to {_MEGAPIXELS[place]:g} Mpx"


def _quality(value: int | None) -> tuple[int, str]:
    if value is None:
        return len(_QUALITIES) + 1, "no JPEG"
    place = int(np.searchsorted(_QUALITIES, value, side="right"))
    if place == 0:
        return place, f"below {_QUALITIES[0]}"
    if place == len(_QUALITIES):
        return place, f"{_QUALITIES[-1]} to 100"
    return place, f"{_QUALITIES[place - 1]} to {_QUALITIES[place] - 1}"


def _third(value: float, low: float, high: float) -> tuple[int, str]:
    place = int(value > low) + int(value > high)
    return place, ("least sharp third", "middle third", "sharpest third")[place]
