"""`hunique-train compare`: methods and ablations side by side, as one table that resumes."""

import dataclasses
from pathlib import Path
from typing import Any

import click

from hunique_training.checkpoint import CheckpointError
from hunique_training.comparison.rows import BASE, ROWS, at_length
from hunique_training.comparison.run import CompareRequest, compare
from hunique_training.config import TrainConfig
from hunique_training.data.labels import DataError
from hunique_training.fit_options import with_classes, with_encoder
from hunique_training.network.encoder import CheckpointFormatError
from hunique_training.network.registry import ENCODERS
from hunique_training.presets import PRESETS
from hunique_training.source_options import SOURCES_HELP, take_source_options, takes_source_options


@click.command("compare")
@click.option("--data", multiple=True, required=True, show_envvar=True, metavar="SOURCE",
              help=f"{SOURCES_HELP} Needs truth masks of val.")  # fmt: skip
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
@click.option("--class", "class_names", multiple=True, show_envvar=True, metavar="NAME",
              help="Classes, as for fit.")  # fmt: skip
@click.option("--steps", type=click.IntRange(min=1), show_envvar=True,
              help="Optimiser steps of each run. Warm-ups and the start of guidance follow.")  # fmt: skip
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
@click.option("--device", default="cpu", show_envvar=True, help="torch device: cpu, cuda, cuda:1.")
@takes_source_options
def compare_command(**options: Any) -> None:
    """Train methods and ablations with the same schedule and write table.md and table.csv.

    The same command goes on where it stopped; rows and seeds may be added later.
    """
    try:
        reading, split = take_source_options(options)
        base = _base(options)
        rows = options.pop("rows") or tuple(ROWS)
        request = CompareRequest(base=base, rows=rows, reading=reading, split=split, **options)
        path = compare(request)
    except (DataError, CheckpointError, CheckpointFormatError, ValueError) as error:
        raise click.ClickException(str(error)) from error
    click.echo(path.read_text(encoding="utf-8"))


def _base(options: dict[str, Any]) -> TrainConfig:
    """Take the options that all rows share out of a command's keywords."""
    config = PRESETS[options.pop("preset")]()
    config = with_encoder(config, options.pop("encoder"))
    config = with_classes(config, options.pop("class_names"))
    steps, crop_px = options.pop("steps"), options.pop("crop_size_px")
    if steps is not None:
        config = at_length(config, steps)
    if crop_px is not None:
        config = dataclasses.replace(
            config, views=dataclasses.replace(config.views, size_px=crop_px)
        )
    given = {name: options.pop(name) for name in ("batch_size", "pretrained")}
    given = {name: value for name, value in given.items() if value is not None}
    if given.get("pretrained") == "none":
        given["pretrained"] = None
    return dataclasses.replace(config, **given)
