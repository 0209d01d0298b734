"""Options of commands that read sources: shared by `fit` and `inspect`."""

from collections.abc import Callable
from typing import Any

import click

from hunique_training.data.marks import MARK_KINDS
from hunique_training.data.reading import ACCESSORIES, FOLDER_LABELS, ReadingOptions
from hunique_training.data.splitting import SPLIT_BY, SplitRule

SOURCES_HELP = (
    "A label file; a folder with labels.csv, with a folder for each class, or of COCO, Pascal VOC, "
    "CVAT, Label Studio or 11K Hands; an annotation file of these."
)


def _part_aliases(
    _context: click.Context, _parameter: click.Parameter, values: tuple[str, ...]
) -> tuple[tuple[str, str], ...]:
    """FOUND=CLASS as pairs, parted at the last `=`."""
    parted = [text.rpartition("=") for text in values]
    for text, (found, _, meant) in zip(values, parted, strict=True):
        if not (found and meant):
            raise click.BadParameter(f"expected FOUND=CLASS, found {text!r}")
    return tuple((found, meant) for found, _, meant in parted)


_OPTIONS = (
    click.option("--alias", "aliases", callback=_part_aliases, multiple=True, show_envvar=True,
                 metavar="FOUND=CLASS",
                 help="A name in the source, and the class it means or none. Repeatable. Case, "
                 "spaces and hyphens do not count anyway."),
    click.option("--folder-labels", type=click.Choice(FOLDER_LABELS), default="open",
                 show_envvar=True,
                 help="exclusive: a picture in a class folder shows no other class. open: "
                 "of other classes nothing is known."),
    click.option("--accessories", type=click.Choice(ACCESSORIES), default="unknown",
                 show_envvar=True,
                 help="11K Hands: what accessories say of rings. They may be watches: unknown is "
                 "right, ring gives more pictures with some wrong labels."),
    click.option("--marks", type=click.Choice(MARK_KINDS), multiple=True, show_envvar=True,
                 help="Points, scribbles or boxes to take of sources that have them. Repeatable. "
                 "A picture with one box of a class must have all. fit learns from them."),
    click.option("--split-by", type=click.Choice(SPLIT_BY), default="group", show_envvar=True,
                 help="For sources without a split. group never parts a person's pictures; "
                 "random is for sources where nobody is on two pictures."),
    click.option("--val-share", type=click.FloatRange(0, 1, max_open=True), default=0.0,
                 show_envvar=True,
                 help="Share of pictures to choose thresholds on, of sources without a split. 0 "
                 "trains on everything; 0.2 is usual."),
)  # fmt: skip


def takes_source_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options; the command gets them as keywords for `take_source_options`."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def take_source_options(values: dict[str, Any]) -> tuple[ReadingOptions, SplitRule]:
    """Take the shared options out of a command's keywords."""
    reading = ReadingOptions(
        aliases=tuple(values.pop("aliases")),
        folder_labels=values.pop("folder_labels"),
        accessories=values.pop("accessories"),
        marks=tuple(values.pop("marks")),
    )
    return reading, SplitRule(by=values.pop("split_by"), val_share=values.pop("val_share"))
