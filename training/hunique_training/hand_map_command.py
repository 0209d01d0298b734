"""`hunique-train fit-hand-map`: a finished model learns to find hands on large photographs."""

from pathlib import Path
from typing import Any

import click

from hunique_training.checkpoint import CheckpointError
from hunique_training.data.labels import DataError
from hunique_training.evaluate_command import MODEL
from hunique_training.hand_map.fitting import HandMapRequest, fit_hand_map
from hunique_training.source_options import SOURCES_HELP, take_source_options, takes_source_options


@click.command("fit-hand-map")
@MODEL
@click.option("--data", multiple=True, required=True, show_envvar=True, metavar="SOURCE",
              help=f"{SOURCES_HELP} drawn:N draws N hands. As for fit; some must show no hand "
              "(kind background).")  # fmt: skip
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), required=True,
              show_envvar=True, help="Folder of the model that finds hands. The given one stays "
              "as it is.")  # fmt: skip
@click.option("--steps", type=click.IntRange(min=1), default=HandMapRequest.steps,
              show_envvar=True, help="Optimiser steps of the hand map.")  # fmt: skip
@click.option("--seed", type=click.IntRange(min=0), default=0, show_envvar=True,
              help="Everything random follows from it; give that of fit.")  # fmt: skip
@click.option("--if-possible", is_flag=True, show_envvar=True,
              help="Where too few pictures show no hand, keep the model without a hand map.")  # fmt: skip
@click.option("--device", default="cpu", show_envvar=True, help="torch device: cpu, cuda, cuda:1.")
@takes_source_options
def hand_map_command(model: Path, out: Path, **options: Any) -> None:
    """Teach a model where hands are, so that small ones are looked at closely.

    It learns from pictures with hands and pictures without. What it says of features does not
    change, and its thresholds stay.
    """
    try:
        reading, split = take_source_options(options)
        request = HandMapRequest(
            model=model, run_folder=out, reading=reading, split=split, **options
        )
        click.echo(fit_hand_map(request))
    except (DataError, CheckpointError) as error:
        raise click.ClickException(str(error)) from error
