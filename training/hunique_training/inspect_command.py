"""`hunique-train inspect`: what sources hold, before anything is trained on them."""

import logging
from collections.abc import Iterable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import click
from tqdm import tqdm

from hunique_models.errors import InputError
from hunique_models.feature_classes import FEATURE_CLASSES
from hunique_models.image import DecodeLimits, decode
from hunique_training.data.duplicates import content_digests
from hunique_training.data.labels import DataError, LabelledPicture, refuse_leaks
from hunique_training.data.marks import describe_marks
from hunique_training.data.source_summary import (
    copy_warnings,
    count_labels,
    label_warnings,
    split_warnings,
    splits_of,
)
from hunique_training.data.sources import Source, describe_unmatched, split_sources, take_source
from hunique_training.source_options import (
    SOURCES_HELP,
    take_source_options,
    takes_source_options,
)

logger = logging.getLogger(__name__)

SHOWN_UNREADABLE = 5


@click.command("inspect", help=f"Print what sources hold and what in them will spoil training.\n\n"
               f"SOURCE: {SOURCES_HELP} drawn:N draws N hands.")  # fmt: skip
@click.argument("data", metavar="SOURCE...", nargs=-1, required=True)
@click.option("--class", "class_names", multiple=True, show_envvar=True, metavar="NAME",
              default=[known.name for known in FEATURE_CLASSES],
              help="Classes of the model. Repeatable.")  # fmt: skip
@click.option(
    "--quick", is_flag=True, help="Look whether pictures are there without decoding them."
)
@click.option("--seed", type=click.IntRange(min=0), default=0, show_envvar=True,
              help="The seed of the run, which --val-share follows.")  # fmt: skip
@takes_source_options
def inspect_command(
    data: tuple[str, ...],
    class_names: tuple[str, ...],
    quick: bool,
    seed: int,
    **options: object,
) -> None:
    """Print what sources hold."""
    with TemporaryDirectory() as folder:
        try:
            reading, rule = take_source_options(options)
            drawn = Path(folder)
            sources = [
                take_source(text, class_names, reading, drawn=drawn, seed=seed) for text in data
            ]
            digests = content_digests(p.path for source in sources for p in source.pictures)
            sources = split_sources(sources, rule, seed, digests)
        except (DataError, OSError) as error:
            raise click.ClickException(str(error)) from error
        parts = [_describe(*each, class_names, quick) for each in zip(data, sources, strict=True)]
    pictures = [picture for source in sources for picture in source.pictures]
    for part in parts:
        click.echo("\n".join(part) + "\n")
    if len(sources) > 1:
        click.echo("\n".join(["all together", *_counts(pictures, class_names)]) + "\n")
    warnings = _warnings(pictures, class_names) + copy_warnings(pictures, digests)
    click.echo("\n".join(["warnings" if warnings else "no warnings", *_bullets(warnings)]))


def _describe(text: str, source: Source, class_names: Sequence[str], quick: bool) -> list[str]:
    pictures = source.pictures
    lines = [text, f"  format      {source.format.name}"]
    lines += _counts(pictures, class_names)
    unreadable = _unreadable([p.path for p in pictures], quick)
    lines += ["", f"  unreadable  {len(unreadable)}"]
    lines += [f"    {line}" for line in unreadable[:SHOWN_UNREADABLE]]
    if len(unreadable) > SHOWN_UNREADABLE:
        lines.append(f"    and {len(unreadable) - SHOWN_UNREADABLE} more")
    if source.unmatched:
        lines.append(f"  {describe_unmatched(source.unmatched, class_names)}")
    return lines


def _counts(pictures: Sequence[LabelledPicture], class_names: Sequence[str]) -> list[str]:
    splits = splits_of(pictures)
    sizes = ", ".join(f"{s} {sum(p.split == s for p in pictures)}" for s in splits)
    groups = {p.group for p in pictures if p.group}
    without = sum(not p.group for p in pictures)
    nothing = sum(not any(p.labels) and False in p.labels for p in pictures)
    lines = [
        f"  pictures    {len(pictures)} ({sizes})",
        f"  groups      {len(groups)}, {without} pictures without",
        f"  sources     {len({p.source for p in pictures})}",
        f"  no class    on {nothing} pictures",
        *_marks(pictures),
        "",
        f"  {'class':20}{'split':8}{'present':>9}{'absent':>9}{'unknown':>9}",
    ]
    for index, name in enumerate(class_names):
        for split in splits:
            n = count_labels(pictures, index, split)
            lines.append(f"  {name:20}{split:8}{n.present:9}{n.absent:9}{n.unknown:9}")
    return lines


def _marks(pictures: Sequence[LabelledPicture]) -> list[str]:
    told = describe_marks(mark for picture in pictures for mark in picture.marks)
    return [f"  marks       {told}"] if told else []


def _unreadable(paths: Sequence[Path], quick: bool) -> list[str]:
    """Files that `fit` would leave out, each with the reason."""
    if quick:
        return [f"{path}: not there" for path in paths if not path.is_file()]
    found = []
    for path in tqdm(paths, unit="picture", desc="decoding", leave=False):
        try:
            decode(path.read_bytes(), DecodeLimits())
        except (InputError, OSError) as error:
            found.append(f"{path}: {error}")
    return found


def _warnings(pictures: Sequence[LabelledPicture], class_names: Sequence[str]) -> list[str]:
    warnings = label_warnings(pictures, class_names) + split_warnings(pictures, class_names)
    try:
        refuse_leaks(pictures)
    except DataError as error:
        warnings.append(str(error))
    return warnings


def _bullets(lines: Iterable[str]) -> list[str]:
    return [f"  - {line}" for line in lines]
