"""A split for sources that bring none: by group, or picture by picture.

What belongs together stays together: pictures of one group, and copies of one file. What
is tied to a source with a split of its own goes where that stands.
"""

import dataclasses
import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from hunique_training.data.labels import DataError, LabelledPicture

SPLIT_BY = ("group", "random")


@dataclass(frozen=True, kw_only=True)
class SplitRule:
    """How sources without a split are split."""

    by: str = "group"
    """`group`: no group on both sides. `random`: picture by picture, where there are no groups."""
    val_share: float = 0.0
    """Share of the pictures that go to `val`; 0 trains on everything."""

    def __post_init__(self) -> None:
        """Check limits."""
        if self.by not in SPLIT_BY or not 0 <= self.val_share < 1:
            raise DataError(
                f"expected a split by {' or '.join(SPLIT_BY)} with 0 <= share < 1, "
                f"found {self.by} and {self.val_share}"
            )


def has_split(pictures: Sequence[LabelledPicture]) -> bool:
    """Whether a source brings a split of its own."""
    return any(picture.split != "train" for picture in pictures)


def make_split(
    sources: Sequence[Sequence[LabelledPicture]],
    rule: SplitRule,
    seed: int,
    digests: Mapping[Path, str],
) -> list[list[LabelledPicture]]:
    """Give `val_share` of the pictures of sources without a split to `val`.

    Raises:
        DataError: there are no groups to split by, groups that a random split would tear,
            or too few to have two sides.
    """
    free = [p for pictures in sources if not has_split(pictures) for p in pictures]
    if not rule.val_share or not free:
        return [list(pictures) for pictures in sources]
    _check_groups(free, rule)
    ties = _Ties(digests)
    for picture in (p for pictures in sources for p in pictures):
        ties.add(picture)
    sides = {ties.unit(p): p.split for pictures in sources if has_split(pictures) for p in pictures}
    sizes = Counter(ties.unit(p) for p in free if ties.unit(p) not in sides)
    sides |= dict.fromkeys(_choose_val(sizes, rule.val_share, seed), "val")
    return [
        list(pictures)
        if has_split(pictures)
        else [dataclasses.replace(p, split=sides.get(ties.unit(p), "train")) for p in pictures]
        for pictures in sources
    ]


class _Ties:
    """What must stay on one side: groups and contents, joined where a picture has both."""

    def __init__(self, digests: Mapping[Path, str]) -> None:
        self._digests = digests
        self._parents: dict[str, str] = {}

    def add(self, picture: LabelledPicture) -> None:
        """Join a picture's content and its group."""
        content = self._root(f"content {self._digests[picture.path]}")
        group = self._root(f"group {picture.group}") if picture.group else content
        low, high = sorted((content, group))
        self._parents[high] = low

    def unit(self, picture: LabelledPicture) -> str:
        """The name of all that is tied to a picture."""
        return self._root(f"content {self._digests[picture.path]}")

    def _root(self, key: str) -> str:
        while (parent := self._parents.setdefault(key, key)) != key:
            key = parent
        return key


def _choose_val(sizes: Mapping[str, int], share: float, seed: int) -> list[str]:
    """Units whose pictures make up about the share, at least one and not all of them."""
    if len(sizes) < 2:
        raise DataError(
            f"expected at least two groups or pictures to split, found {len(sizes)}. "
            "Leave --val-share away."
        )
    wanted = share * sum(sizes.values())
    order = sorted(sizes, key=lambda unit: hashlib.sha256(f"{seed} {unit}".encode()).digest())
    chosen: list[str] = []
    count = 0
    for unit in order:
        if count + sizes[unit] / 2 <= wanted and len(chosen) < len(sizes) - 1:
            chosen.append(unit)
            count += sizes[unit]
    return chosen or [min(order, key=lambda unit: sizes[unit])]


def _check_groups(free: Sequence[LabelledPicture], rule: SplitRule) -> None:
    grouped = sum(bool(picture.group) for picture in free)
    if rule.by == "group" and not grouped:
        raise DataError(
            f"expected groups (same person or session) to split {len(free)} pictures by, found "
            "none. Where no person is on two pictures, --split-by random is right; otherwise "
            "give groups: a column group, or folders within class folders."
        )
    if rule.by == "random" and grouped:
        raise DataError(
            f"expected no groups for a random split, found them on {grouped} pictures: the same "
            "person would stand on both sides. Take --split-by group."
        )
