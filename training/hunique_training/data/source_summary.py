"""What sources hold, counted, and what in them will spoil training.

How far a class's label follows the source: somebody who knows only where a picture comes
from, and guesses by it, gets so much of a balanced test right. 0.5 is chance, 1 means that
a classifier need not look at the feature at all.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from hunique_training.data.duplicates import contradicting_copies, copies_across_splits
from hunique_training.data.labels import LabelledPicture

FEW_PICTURES = 20
MOST_UNEVEN = 20
FOLLOWS_SOURCE = 0.85
_SMALL_SOURCE = 5


@dataclass(frozen=True, kw_only=True)
class LabelCount:
    """Labels of one class in one split."""

    present: int
    """Pictures that show it."""
    absent: int
    """Pictures known not to."""
    unknown: int
    """All others."""


def count_labels(pictures: Sequence[LabelledPicture], class_index: int, split: str) -> LabelCount:
    """Count one class's labels in one split."""
    counts = Counter(p.labels[class_index] for p in pictures if p.split == split)
    return LabelCount(present=counts[True], absent=counts[False], unknown=counts[None])


def splits_of(pictures: Sequence[LabelledPicture]) -> list[str]:
    """The splits there are: train, val, then others."""
    found = {picture.split for picture in pictures}
    return sorted(found, key=lambda split: ({"train": 0, "val": 1}.get(split, 2), split))


def guess_by_source(pictures: Sequence[LabelledPicture], class_index: int) -> float:
    """Balanced accuracy of guessing a class from the source alone, 0.5 to 1.

    Sources of fewer than five labelled pictures count as one. 0.5 where a class has only
    presences or only absences.
    """
    labelled = [p for p in pictures if p.labels[class_index] is not None]
    sizes = Counter(p.source for p in labelled)
    where: dict[bool, Counter[str]] = {True: Counter(), False: Counter()}
    for picture in labelled:
        source = picture.source if sizes[picture.source] >= _SMALL_SOURCE else "(small)"
        where[bool(picture.labels[class_index])][source] += 1
    present, absent = where[True], where[False]
    if not present or not absent:
        return 0.5
    sources = present.keys() | absent.keys()
    shares = [(present[s] / present.total(), absent[s] / absent.total()) for s in sources]
    return 0.5 + sum(abs(shown - not_shown) for shown, not_shown in shares) / 4


def label_warnings(pictures: Sequence[LabelledPicture], class_names: Sequence[str]) -> list[str]:
    """What the labels of training pictures lack, a sentence each."""
    training = [picture for picture in pictures if picture.split == "train"]
    warnings = []
    for index, name in enumerate(class_names):
        count = count_labels(training, index, "train")
        warnings += _count_warnings(name, count)
        guessed = guess_by_source(training, index)
        if guessed >= FOLLOWS_SOURCE:
            source, shown = Counter(p.source for p in training if p.labels[index]).most_common(1)[0]
            warnings.append(
                f"{name}: the label follows the source: who knows only the source guesses "
                f"{guessed:.0%} right ({shown} of {count.present} present are of "
                f"{source or 'no named source'}). Have pictures with and without it from each."
            )
    return warnings


def _count_warnings(name: str, count: LabelCount) -> list[str]:
    if not count.present and not count.absent:
        return [f"{name}: no training picture has a label of it."]
    if not count.present:
        return [f"{name}: no training picture shows it."]
    if not count.absent:
        return [f"{name}: no training picture is known not to show it; it cannot be learned."]
    few = min(count.present, count.absent)
    if few < FEW_PICTURES:
        return [f"{name}: only {few} training pictures of one kind (expected {FEW_PICTURES})."]
    if max(count.present, count.absent) > MOST_UNEVEN * few:
        return [f"{name}: {count.present} present to {count.absent} absent is uneven."]
    return []


def split_warnings(pictures: Sequence[LabelledPicture], class_names: Sequence[str]) -> list[str]:
    """What the split lacks, a sentence each."""
    validation = [picture for picture in pictures if picture.split == "val"]
    if not validation:
        return ["no val pictures: thresholds are not chosen. See --val-share."]
    counts = [count_labels(validation, index, "val") for index in range(len(class_names))]
    missing = [
        name
        for name, count in zip(class_names, counts, strict=True)
        if not (count.present and count.absent)
    ]
    told = [f"val has not both present and absent of {', '.join(missing)}."] if missing else []
    without = sum(not picture.group for picture in pictures)
    if without:
        told.append(
            f"{without} pictures have no group: nobody checks that train and val "
            "show different people."
        )
    return told


def copy_warnings(pictures: Sequence[LabelledPicture], digests: Mapping[Path, str]) -> list[str]:
    """Pictures that stand there twice, as far as `fit` refuses them."""
    across = len(copies_across_splits(pictures, digests))
    contradicting = len(contradicting_copies(pictures, digests))
    told = []
    if across:
        told.append(f"{across} pictures stand in more than one split: fit refuses them.")
    if contradicting:
        told.append(f"{contradicting} pictures have contradicting copies: fit refuses them.")
    return told
