"""`hunique-train pipeline`: the talk's four steps as one command.

    fit --method M -> pseudo-labels --from MAP --refine R -> fit-second-stage

Each step is the command of that name, printed before it runs; one that is finished is
not done again.
"""

from pathlib import Path
from typing import Any

import click

from hunique_training.chained_commands import (
    begin_chain,
    class_words,
    run_sibling,
    takes_training_options,
    training_words,
    words_of,
)
from hunique_training.config import METHODS
from hunique_training.second_stage.labelling_config import REFINEMENTS
from hunique_training.second_stage.strength import SOURCES


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
@takes_training_options
@click.pass_context
def pipeline_command(context: click.Context, /, out: Path, **options: Any) -> None:
    """Train a classifier, label its training pictures, and train a segmentation network on that."""
    model, labels = out / "classifier" / "model.pt", out / "labels"
    data, device = words_of(options, "data"), words_of(options, "device")
    training = training_words(options)
    fit = ["--method", options["method"], "--out", str(model.parent)]
    fit += [*class_words(options), *training]
    second = ["--labels", str(labels), "--out", str(out / "model"), *training]
    begin_chain(out / "pipeline.json", [*data, *fit])
    if not model.exists():
        run_sibling(context, "fit", [*data, *fit, *device])
    label = ["--from", options["source"], "--refine", options["refine"], "--out", str(labels)]
    run_sibling(context, "pseudo-labels", [str(model), *data, *label, *device])
    network = words_of(options, "network")
    run_sibling(context, "fit-second-stage", [*data, *second, *network, *device])
