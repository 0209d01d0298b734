"""The pictures of a report: rows of a label file, with what the strata need to know of them."""

import csv
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from hunique_training.data.labels import DataError, opened_csv
from hunique_training.evaluation.truth import TruthPicture, read_every_truth

ALL_SPLITS = "all"
"""As a split: every row."""


@dataclass(frozen=True, kw_only=True)
class Case:
    """One row of the label file."""

    row: int
    """Line of the file; the header is line 1."""
    truth: TruthPicture
    """Labels, masks, group, source, kind."""
    view: str = ""
    """What is seen, where the file tells."""
    skin_tone: str = ""
    """Where the file tells."""
    pooled: bool = False
    """A picture without people of another split: counts among false alarms alone."""

    @property
    def without_hands(self) -> bool:
        """Whether it shows no people, by its `kind`."""
        return self.truth.picture.is_background

    @property
    def group(self) -> str:
        """Whom or what it shows; a picture without a group is its own."""
        return self.truth.picture.group or str(self.truth.picture.path)


def read_cases(
    csv_path: Path, class_names: Sequence[str], split: str, pool_from: Collection[str] = ()
) -> list[Case]:
    """The rows of a split, and pictures without people of others, in the order of the file.

    A file without the column `split` is taken whole.

    Args:
        csv_path: the label file, see docs/training.md.
        class_names: the model's.
        split: a value of the column `split`, or `all`.
        pool_from: further splits, of which pictures without people count as false alarms.

    Raises:
        DataError: the file cannot be used, no row is of the split, or a mask is missing.
    """
    truths = read_every_truth(csv_path, class_names)
    with opened_csv(csv_path) as stream:
        rows = list(csv.DictReader(stream))
    whole = split == ALL_SPLITS or "split" not in rows[0]
    cases = []
    for (number, row), truth in zip(enumerate(rows, 2), truths, strict=True):
        chosen = whole or truth.picture.split == split
        pooled = truth.picture.split in pool_from and truth.picture.is_background
        if chosen or pooled:
            cases.append(
                Case(row=number, truth=truth, view=row.get("view") or "",
                     skin_tone=row.get("skin_tone") or "", pooled=not chosen)
            )  # fmt: skip
    if all(case.pooled for case in cases):
        splits = sorted({row.get("split") or "train" for row in rows})
        raise DataError(
            f"{csv_path}: expected rows of the split {split}; found {', '.join(splits)}. "
            f"Name one of these, or take every row: --split {ALL_SPLITS}"
        )
    _refuse_missing_masks(cases, csv_path)
    return cases


def _refuse_missing_masks(cases: Sequence[Case], csv_path: Path) -> None:
    missing = [
        f"line {case.row}: {mask.name}"
        for case in cases
        for mask in case.truth.masks
        if mask is not None and not mask.is_file()
    ]
    if missing:
        raise DataError(
            f"{csv_path}: {len(missing)} masks that the column truth names are not in "
            f"{csv_path.parent / 'truth'}, e.g. {'; '.join(missing[:3])}. Add them, or leave the "
            "class out of the column."
        )
