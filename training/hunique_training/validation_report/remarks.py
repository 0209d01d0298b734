"""What a reader must know before any figure, said only where it is so."""

from collections.abc import Sequence

from hunique_training.validation_report.cases import ALL_SPLITS
from hunique_training.validation_report.contents import Contents

FEW_GROUPS = 30
"""Below so many groups intervals of a bootstrap are too narrow to be relied on."""


def remarks_on(contents: Contents) -> list[str]:
    """Sentences, the gravest first."""
    return [*_on_choice(contents), *_on_groups(contents), *_on_labels(contents)]


def _on_choice(contents: Contents) -> list[str]:
    setting, found = contents.setting, []
    if setting.chosen_on_these:
        rows = {"val": "thresholds may have been chosen on these pictures",
                "train": "it was trained on these pictures"}.get(
            setting.split, "it may have been trained on some of these pictures")  # fmt: skip
        found.append(
            "The model was made with this very label file: " + rows + ". Expect less elsewhere."
        )
    if contents.pooled:
        splits = ", ".join(setting.pool_from)
        found.append(
            f"{contents.pooled} pictures without hands of {splits} were added to the false alarms "
            "alone. Where the model was trained on them, that figure flatters."
        )
    return found


def _on_groups(contents: Contents) -> list[str]:
    found = []
    if contents.ungrouped:
        found.append(
            f"{contents.ungrouped} of {contents.pictures} pictures have no group and count as one "
            "each. If several show the same person, intervals are too narrow."
        )
    if contents.groups < FEW_GROUPS:
        found.append(
            f"There are {contents.groups} groups. Intervals of fewer than {FEW_GROUPS} groups are "
            "too narrow."
        )
    return found


def _on_labels(contents: Contents) -> list[str]:
    found = []
    if contents.unreadable:
        found.append(f"{len(contents.unreadable)} pictures could not be read and were left out.")
    unmasked = [one.name for one in contents.classes if one.present and not one.masks]
    if unmasked:
        found.append(f"No truth masks of {_listed(unmasked)}: outlines were not measured.")
    unlabelled = [one.name for one in contents.classes if not one.present + one.absent]
    if unlabelled:
        found.append(f"No labels of {_listed(unlabelled)}: nothing was measured of it.")
    found += [
        f"On {one.not_assessable} pictures the model did not say whether there is a "
        f"{_spoken(one.name)} (not assessable). That counts as not found, also for specificity."
        for one in contents.classes
        if one.not_assessable
    ]
    for one in contents.classes:
        if 0 < one.masks < one.present:
            found.append(
                f"Of {one.present} pictures with {_spoken(one.name)}, {one.masks} have a truth "
                "mask; outlines were measured on these alone."
            )
    return found


def how_figures_are_counted(contents: Contents) -> list[str]:
    """The rules behind the figures, for a reader who knows the field."""
    setting = contents.setting
    rows = "every row" if setting.split == ALL_SPLITS else f"rows of the split {setting.split}"
    return [
        (
            f"Pictures: {rows} of the label file, sent as they are to the pipeline that serves, at "
            f"{setting.detail} detail, told nothing of their labels."
        ),
        (
            "A feature is found where a caller would see it: called present, with at least one "
            "instance. Not assessable counts as not found."
        ),
        (
            "Masks: pixels are added up over all pictures before they "
            "are divided, so missed pictures and false alarms count. A class labelled absent has an "
            "empty mask; an unknown label, or a present class without a mask, is left out. Don't-care "
            "pixels count nowhere."
        ),
        f"A border matches within {100 * setting.tolerance_share:g} % of the diagonal.",
        (
            "Instances are connected areas (8 neighbours), in truth as in findings: touching features "
            "are one. Pairs are matched greedily from the highest IoU, each instance once."
        ),
        (
            f"Intervals hold 95 %: whole groups are drawn again {setting.resamples} times. They say "
            "how figures would vary with other people, not with another training. Where a share is 0 "
            "or 1 in every group, the exact interval of as many trials as groups stands instead."
        ),
        (
            "False alarms: Clopper and Pearson's exact interval, which takes pictures for "
            "independent; where a group has several, the truth is wider."
        ),
    ]


def _listed(names: Sequence[str]) -> str:
    return ", ".join(_spoken(name) for name in names)


def _spoken(name: str) -> str:
    return name.replace("_", " ")
