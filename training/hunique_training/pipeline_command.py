"""`hunique-train pipeline`: the talk's four steps as one command.

    fit --method M -> pseudo-labels --from MAP --refine R -> fit-second-stage

Each step is the command of that name, printed before it runs; one that is finished is
not done again.
"""

from pathlib import Path
from typing import Any

import click

from hunique_training.chained_commands import begin_chain, run_sibling, words_of
from hunique_training.config import METHODS
from hunique_training.second_stage.labelling_config import REFINEMENTS
from hunique_training.second_stage.strength import SOURCES
from hunique_training.second_stage_options import NETWORK


@click.command("pipeline")
@click.option("--data", multiple=True, required=True, show_envvar=True, metavar="SOURCE",
              help="As for fit.")  # fmt: skip
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), required=True,
              show_envvar=True, help="Folder with the folders classifier, labels and model.")  # fmt: skip
@click.option("--method", type=click.Choice(METHODS), default="cam", show_envvar=True,
              help="How the classifier is trained.")  # fmt: skip
@click.option("--from", "source", type=click.Choice(list(SOURCES)), default="cam",
              show_envvar=True, help="The map that pseudo-labels are made of.")  # fmt: skip
@click.option("--refine", type=click.Choice(REFINEMENTS), default="par", show_envvar=True,
              help="How they are refined.")  # fmt: skip
@NETWORK
@click.option("--class", "class_names", multiple=True, show_envvar=True, metavar="NAME",
              help="Classes, as for fit.")  # fmt: skip
@click.option("--steps", type=click.IntRange(min=1), show_envvar=True,
              help="Optimiser steps of each of the two trainings.")  # fmt: skip
@click.option("--batch-size", type=click.IntRange(min=1), show_envvar=True,
              help="Pictures of a step.")  # fmt: skip
@click.option("--crop-size-px", type=click.IntRange(min=32), show_envvar=True,
              help="Side of the crops that are learned from.")  # fmt: skip
@click.option("--pretrained", show_envvar=True, metavar="WEIGHTS",
              help="Encoder weights of both trainings, as for fit.")  # fmt: skip
@click.option("--seed", type=click.IntRange(min=0), default=0, show_envvar=True,
              help="Everything random follows from it.")  # fmt: skip
@click.option("--input-size-px", type=click.IntRange(min=64), default=448, show_envvar=True,
              help="Side of the square input the models look with.")  # fmt: skip
@click.option("--device", default="cpu", show_envvar=True, help="torch device: cpu, cuda, cuda:1.")
@click.pass_context
def pipeline_command(context: click.Context, /, out: Path, **options: Any) -> None:
    """Train a classifier, label its training pictures, and train a segmentation network on that."""
    model, labels = out / "classifier" / "model.pt", out / "labels"
    data, device = words_of(options, "data"), words_of(options, "device")
    training = words_of(
        options, "steps", "batch_size", "crop_size_px", "pretrained", "seed", "input_size_px"
    )
    classes = [word for name in options["class_names"] for word in ("--class", name)]
    fit = ["--method", options["method"], "--out", str(model.parent), *classes, *training]
    second = ["--labels", str(labels), "--out", str(out / "model"), *training]
    begin_chain(out / "pipeline.json", [*data, *fit])
    if not model.exists():
        run_sibling(context, "fit", [*data, *fit, *device])
    label = ["--from", options["source"], "--refine", options["refine"], "--out", str(labels)]
    run_sibling(context, "pseudo-labels", [str(model), *data, *label, *device])
    network = words_of(options, "network")
    run_sibling(context, "fit-second-stage", [*data, *second, *network, *device])
