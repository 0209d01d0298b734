"""`hunique-train self-train`: a model of CoSA, and networks that learn from its own labels.

    fit -> (pseudo-labels --from served -> fit-second-stage), a round or more -> fit-hand-map

Each step is the command of that name, printed before it runs; one that is finished is not
done again. The model is that of the last round, which learns where hands are as well.
"""

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from hunique_training.chained_commands import (
    begin_chain,
    class_words,
    run_once,
    takes_training_options,
    training_words,
    words_of,
)
from hunique_training.config import TrainConfig
from hunique_training.data.formats.label_csv import class_columns, fits_label_csv, label_file_of
from hunique_training.data.labels import DataError, read_labels
from hunique_training.data.truth_column import find_masks
from hunique_training.data.vocabulary import ClassVocabulary
from hunique_training.second_stage.labelling_config import SERVED
from hunique_training.source_options import SOURCES_HELP


@click.command("self-train")
@click.option("--data", multiple=True, required=True, show_envvar=True, metavar="SOURCE",
              help=f"{SOURCES_HELP} drawn:N draws N hands, which tell the first model where to "
              "look. One source needs truth masks on val, for thresholds.")  # fmt: skip
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), required=True,
              show_envvar=True, help="Folder with the folders first, labels-1, round-1, "
              "labels-2, ..., and with-hands-N of the last round.")  # fmt: skip
@click.option("--rounds", type=click.IntRange(min=1), default=1, show_default=True,
              show_envvar=True, help="How often a network learns from the labels of the one "
              "before.")  # fmt: skip
@takes_training_options
@click.pass_context
def self_train_command(context: click.Context, /, out: Path, **options: Any) -> None:
    """Train a model of CoSA, have it label its training pictures, train a network on that.

    Labels are what the model would be served as: with looks from near, thresholds chosen on val
    and borders refined along colours. Where enough pictures show no hand, the model learns to find
    hands on large photographs too.
    """
    data, device = words_of(options, "data"), words_of(options, "device")
    training, network = training_words(options), words_of(options, "network")
    _require_masks(options["data"], options["class_names"] or TrainConfig().network.class_names)
    first = [*data, *class_words(options), *training]
    begin_chain(out / "self-train.json", [*first, *network])
    run = out / "first"
    run_once(context, "fit", run, [*first, *device])
    for number in range(1, options["rounds"] + 1):
        labels, following = out / f"labels-{number}", out / f"round-{number}"
        for folder in (labels, following):
            _take_drawn(out / "first", folder)
        label = [str(run / "model.pt"), *data, "--from", SERVED, *device]
        run_once(context, "pseudo-labels", labels, label)
        run = following
        second = ["--labels", str(labels), *data, *training, *network, *device]
        run_once(context, "fit-second-stage", run, second)
    finished = out / f"with-hands-{options['rounds']}"
    _take_drawn(out / "first", finished)
    last = [str(run / "model.pt"), *data, "--if-possible"]
    last += [*words_of(options, "steps", "seed"), *device]
    run_once(context, "fit-hand-map", finished, last)
    click.echo(finished / "model.pt")


def _require_masks(data: Sequence[str], class_names: Sequence[str]) -> None:
    """Refuse sources without truth masks on `val` before an hour is spent on them.

    Raises:
        ClickException: none has any, or a label file cannot be used.
    """
    vocabulary = ClassVocabulary(class_names)
    files = [label_file_of(path) for path in map(Path, data) if fits_label_csv(path)]
    try:
        if any(_has_masks(file, vocabulary) for file in files):
            return
    except DataError as error:
        raise click.ClickException(str(error)) from error
    raise click.ClickException(
        "expected a source with truth masks on val, found none: thresholds chosen on masks decide "
        "what becomes a label. Give --data a label file with rows of the split val and a column "
        "truth, or train with fit, which needs no masks. See docs/training.md."
    )


def _has_masks(file: Path, vocabulary: ClassVocabulary) -> bool:
    pictures = read_labels(file, class_columns(file, vocabulary))
    masks = find_masks(file, vocabulary)
    return any(p.split == "val" and any(m) for p, m in zip(pictures, masks, strict=True))


def _take_drawn(first: Path, folder: Path) -> None:
    """Hands that the first step drew need not be drawn again: it takes minutes."""
    drawn = first / "drawn"
    if drawn.is_dir() and not (folder / "drawn").exists():
        partial = folder / "drawn.partial"
        shutil.copytree(drawn, partial, dirs_exist_ok=True)
        partial.rename(folder / "drawn")
