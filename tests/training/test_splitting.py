"""Splits that are made, and what must not stand on both sides of one."""

import shutil
from collections import Counter
from pathlib import Path

import pytest

from hunique_training.data.duplicates import content_digests, refuse_duplicates
from hunique_training.data.labels import DataError, LabelledPicture, refuse_leaks
from hunique_training.data.splitting import SplitRule, make_split

GROUPS = [f"person {number}" for number in range(20) for _ in range(number % 4 + 1)]


def _pictures(folder: Path, groups: list[str], split: str = "train") -> list[LabelledPicture]:
    """A file of its own content for each group given."""
    folder.mkdir(exist_ok=True)
    pictures = []
    for number, group in enumerate(groups):
        path = folder / f"{number}.jpg"
        path.write_text(f"{folder.name} {number}")
        pictures.append(LabelledPicture(path=path, labels=(True,), group=group, split=split))
    return pictures


def _split(*sources: list[LabelledPicture], seed: int = 0, **rule: object) -> list[LabelledPicture]:
    digests = content_digests(picture.path for source in sources for picture in source)
    split = make_split(sources, SplitRule(**rule), seed, digests)  # type: ignore[arg-type]
    return [picture for source in split for picture in source]


def test_a_split_never_parts_a_group_and_keeps_its_share(tmp_path: Path) -> None:
    """About the share wanted, whatever the sizes of the groups."""
    pictures = _split(_pictures(tmp_path, GROUPS), val_share=0.3)
    refuse_leaks(pictures)
    share = sum(picture.split == "val" for picture in pictures) / len(pictures)
    assert share == pytest.approx(0.3, abs=0.05)


def test_the_split_follows_the_seed_alone(tmp_path: Path) -> None:
    """The same in another folder and another order; another one for another seed."""
    first = _pictures(tmp_path / "a", GROUPS)
    shutil.copytree(tmp_path / "a", tmp_path / "b")
    moved = [LabelledPicture(path=tmp_path / "b" / p.path.name, labels=p.labels, group=p.group)
             for p in reversed(first)]  # fmt: skip

    def sides(pictures: list[LabelledPicture], seed: int) -> dict[str, str]:
        return {p.path.name: p.split for p in _split(pictures, seed=seed, val_share=0.5)}

    assert sides(first, 0) == sides(moved, 0)
    assert sides(first, 0) != sides(first, 1)


def test_without_a_share_everything_is_trained_on(tmp_path: Path) -> None:
    """The default."""
    assert {picture.split for picture in _split(_pictures(tmp_path, GROUPS))} == {"train"}


def test_a_split_of_the_source_stays_and_draws_its_groups_along(tmp_path: Path) -> None:
    """The same person in a second source goes where the first has them."""
    own = _pictures(tmp_path / "a", ["ann"], "val") + _pictures(tmp_path / "b", ["bea"], "train")
    free = _pictures(tmp_path / "c", ["ann", "bea", *GROUPS])
    pictures = _split(own, free, val_share=0.5)
    assert [picture.split for picture in pictures[:4]] == ["val", "train", "val", "train"]
    refuse_leaks(pictures)


def test_copies_of_a_file_stay_together(tmp_path: Path) -> None:
    """Also where they have no group, and where they tie two groups together."""
    pictures = _pictures(tmp_path, ["ann", "bea"] + [""] * 30)
    for copy, original in ((1, 0), (12, 2), (13, 3), (14, 4)):
        shutil.copy(pictures[original].path, pictures[copy].path)
    split = _split(pictures, val_share=0.5)
    for copy, original in ((1, 0), (12, 2), (13, 3), (14, 4)):
        assert split[copy].split == split[original].split
    assert set(Counter(picture.split for picture in split)) == {"train", "val"}


def test_a_random_split_is_for_pictures_without_groups(tmp_path: Path) -> None:
    """It would put one person on both sides; the message names the way out."""
    with pytest.raises(DataError, match="--split-by group"):
        _split(_pictures(tmp_path, GROUPS), by="random", val_share=0.2)
    pictures = _split(_pictures(tmp_path, [""] * 10), by="random", val_share=0.2)
    assert sum(picture.split == "val" for picture in pictures) == 2


@pytest.mark.parametrize(
    ("groups", "told"), [([""] * 4, "--split-by random"), (["ann"] * 4, "found 1")]
)
def test_what_cannot_be_split_by_group_is_refused(
    tmp_path: Path, groups: list[str], told: str
) -> None:
    """No groups at all, or one alone."""
    with pytest.raises(DataError, match=told):
        _split(_pictures(tmp_path, groups), val_share=0.2)


def test_the_same_content_on_both_sides_is_refused(tmp_path: Path) -> None:
    """Under another name and without a group: only the content tells."""
    first, second = _pictures(tmp_path, ["", ""])
    shutil.copy(first.path, second.path)
    other = LabelledPicture(path=second.path, labels=(True,), split="val")
    digests = content_digests([first.path, second.path])
    with pytest.raises(DataError, match=r"more than one split.*0\.jpg and .*1\.jpg"):
        refuse_duplicates([first, other], digests)
    refuse_duplicates([first, second], digests)


def test_contradicting_copies_are_refused(tmp_path: Path) -> None:
    """Present and absent contradict; present and unknown do not."""
    first, second = _pictures(tmp_path, ["", ""])
    shutil.copy(first.path, second.path)
    digests = content_digests([first.path, second.path])
    with pytest.raises(DataError, match=r"contradict each other.*0\.jpg"):
        refuse_duplicates([first, LabelledPicture(path=second.path, labels=(False,))], digests)
    refuse_duplicates([first, LabelledPicture(path=second.path, labels=(None,))], digests)
