"""`hunique-train compare`: methods and ablations side by side, as one table that resumes.

Hands truth masks of training pictures to the rows of full supervision, and to nothing else.
"""

import dataclasses
from pathlib import Path
from typing import Any

import click

from hunique_training.checkpoint import CheckpointError
from hunique_training.comparison.request import CompareRequest, Scoring
from hunique_training.comparison.rows import BASE, ROWS, with_all_parts
from hunique_training.comparison.run import compare, compare_sets
from hunique_training.config import TrainConfig
from hunique_training.data.labels import DataError
from hunique_training.fit_options import with_classes, with_encoder
from hunique_training.network.encoder import CheckpointFormatError
from hunique_training.network.registry import ENCODERS
from hunique_training.presets import PRESETS
from hunique_training.run_length import take_length, takes_length_options
from hunique_training.second_stage.truth_labels import TruthLabels
from hunique_training.source_options import SOURCES_HELP, take_source_options, takes_source_options


def _part_pairs(
    _context: click.Context, _parameter: click.Parameter, values: tuple[str, ...]
) -> tuple[tuple[str, str], ...]:
    """NAME=VALUE as pairs, parted at the first `=`."""
    parted = [text.partition("=") for text in values]
    for text, (name, _, value) in zip(values, parted, strict=True):
        if not (name and value):
            raise click.BadParameter(f"expected a name, = and a value, found {text!r}")
    return tuple((name, value) for name, _, value in parted)


@click.command("compare")
@click.option("--data", multiple=True, show_envvar=True, metavar="SOURCE",
              help=f"{SOURCES_HELP} Needs truth masks of val.")  # fmt: skip
@click.option("--set", "sets", multiple=True, callback=_part_pairs, show_envvar=True,
              metavar="NAME=SOURCE", help="A data set of a table over several, in place of --data. "
              "Its runs stand in the folder NAME of --out. Repeatable, also for one name.")  # fmt: skip
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), required=True,
              show_envvar=True, help="Folder of all runs and of the table; what is finished there "
              "is not run again.")  # fmt: skip
@click.option("--row", "rows", type=click.Choice(list(ROWS)), multiple=True, show_envvar=True,
              help=f"Rows of the table. Repeatable; all of them if left out. {BASE} is the preset "
              "as it stands.")  # fmt: skip
@click.option("--seed", "seeds", type=click.IntRange(min=0), multiple=True, default=(0,),
              show_envvar=True, help="Every row is run with each seed. Repeatable: a difference "
              "under 2 points wants three.")  # fmt: skip
@click.option("--preset", type=click.Choice(sorted(PRESETS)), default="hunique", show_envvar=True,
              help="What all rows start from.")  # fmt: skip
@click.option("--all-parts", is_flag=True, show_envvar=True,
              help="Start from the preset with the parts of CoSA that it leaves out (RAW, dynamic "
              "threshold, contrastive separation, labels of the auxiliary CAM, regulariser), so "
              "that each can be taken out.")  # fmt: skip
@click.option("--class", "class_names", multiple=True, show_envvar=True, metavar="NAME",
              help="Classes, as for fit.")  # fmt: skip
@click.option("--classes", "set_classes", multiple=True, callback=_part_pairs, show_envvar=True,
              metavar="NAME=CLASS,CLASS", help="Classes of a data set of --set.")  # fmt: skip
@takes_length_options
@click.option("--row-steps", multiple=True, callback=_part_pairs, show_envvar=True,
              metavar="ROW=STEPS", help="Another number of steps for a row, which the table then "
              "says. Repeatable.")  # fmt: skip
@click.option("--batch-size", type=click.IntRange(min=1), show_envvar=True,
              help="Pictures of a step.")  # fmt: skip
@click.option("--crop-size-px", type=click.IntRange(min=32), show_envvar=True,
              help="Side of the crops that are learned from.")  # fmt: skip
@click.option("--encoder", type=click.Choice(list(ENCODERS)), show_envvar=True,
              help="Feature network, as for fit.")  # fmt: skip
@click.option("--pretrained", show_envvar=True, metavar="WEIGHTS",
              help="Encoder weights, as for fit.")  # fmt: skip
@click.option("--input-size-px", type=click.IntRange(min=64), default=448, show_envvar=True,
              help="Side of the square input the models look with.")  # fmt: skip
@click.option("--scoring", type=click.Choice([each.value for each in Scoring]),
              default=Scoring.PUBLISHED.value, show_default=True, show_envvar=True,
              callback=lambda _context, _parameter, value: Scoring(value),
              help="published: maps over five scales, and masks as served, which takes longer "
              "than training a short row. one-scale: maps at the input size alone.")  # fmt: skip
@click.option("--device", default="cpu", show_envvar=True, help="torch device: cpu, cuda, cuda:1.")
@takes_source_options
def compare_command(**options: Any) -> None:
    """Train methods, ablations and upper bounds by one schedule and write table.md and table.csv.

    The same command goes on where it stopped; rows and seeds may be added later. The rows of full
    supervision read the masks of train, no other does.
    """
    try:
        path = _compare(options)
    except (DataError, CheckpointError, CheckpointFormatError, ValueError) as error:
        raise click.ClickException(str(error)) from error
    click.echo(path.read_text(encoding="utf-8"))


def _compare(options: dict[str, Any]) -> Path:
    reading, split = take_source_options(options)
    sets, classes = _by_name(options.pop("sets")), _classes(options.pop("set_classes"))
    data, out, names = (options.pop(name) for name in ("data", "out", "class_names"))
    if bool(data) == bool(sets):
        raise click.UsageError("give --data, or --set for each of several data sets")
    strange = [name for name in classes if name not in sets]
    if strange or (sets and names):
        raise click.UsageError("--classes NAME=... goes with --set NAME=..., --class with --data")
    base = _base(options)
    request = CompareRequest(
        base=with_classes(base, names),
        rows=options.pop("rows") or tuple(ROWS),
        data=data,
        out=out,
        open_truth=TruthLabels,
        row_steps=_steps(options.pop("row_steps")),
        reading=reading,
        split=split,
        **options,
    )
    if not sets:
        return compare(request)
    requests = {
        name: dataclasses.replace(
            request, base=with_classes(base, classes.get(name, ())), data=sources, out=out / name
        )
        for name, sources in sets.items()
    }
    return compare_sets(requests, out)


def _by_name(pairs: tuple[tuple[str, str], ...]) -> dict[str, tuple[str, ...]]:
    found: dict[str, tuple[str, ...]] = {}
    for name, value in pairs:
        found[name] = (*found.get(name, ()), value)
    return found


def _classes(pairs: tuple[tuple[str, str], ...]) -> dict[str, tuple[str, ...]]:
    return {name: tuple(value.split(",")) for name, value in pairs}


def _steps(pairs: tuple[tuple[str, str], ...]) -> dict[str, int]:
    wrong = [value for _, value in pairs if not value.isdigit() or int(value) < 1]
    if wrong:
        raise click.UsageError(f"--row-steps takes steps above 0, found {wrong[0]}")
    return {row: int(value) for row, value in pairs}


def _base(options: dict[str, Any]) -> TrainConfig:
    """Take the options that all rows share out of a command's keywords."""
    config = PRESETS[options.pop("preset")]()
    config = with_encoder(config, options.pop("encoder"))
    config = take_length(options, config)
    if options.pop("all_parts"):
        config = with_all_parts(config)
    crop_px = options.pop("crop_size_px")
    if crop_px is not None:
        config = dataclasses.replace(
            config, views=dataclasses.replace(config.views, size_px=crop_px)
        )
    given = {name: options.pop(name) for name in ("batch_size", "pretrained")}
    given = {name: value for name, value in given.items() if value is not None}
    if given.get("pretrained") == "none":
        given["pretrained"] = None
    return dataclasses.replace(config, **given)
