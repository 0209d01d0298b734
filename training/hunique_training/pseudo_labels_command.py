"""`hunique-train pseudo-labels`: a trained model labels the pixels of its training pictures."""

from pathlib import Path
from typing import Any

import click

from hunique_training.checkpoint import CheckpointError
from hunique_training.data.labels import DataError
from hunique_training.evaluate_command import MODEL
from hunique_training.second_stage.generation import LabellingRequest, write_pseudo_labels
from hunique_training.second_stage.labelling_config import REFINEMENTS, SERVED, LabellingConfig
from hunique_training.second_stage.strength import SOURCES
from hunique_training.source_options import SOURCES_HELP, take_source_options, takes_source_options


@click.command("pseudo-labels")
@MODEL
@click.option("--data", multiple=True, required=True, show_envvar=True, metavar="SOURCE",
              help=f"{SOURCES_HELP} drawn:N draws N hands. As for fit.")  # fmt: skip
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), required=True,
              show_envvar=True, help="Folder of the labels; what is there already is kept.")  # fmt: skip
@click.option("--from", "source", type=click.Choice([*SOURCES, SERVED]),
              default="segmentation", show_envvar=True, help="segmentation is right for a model of "
              "CoSA; served is that model as it answers pictures, with looks from near, its "
              "thresholds and refinement: better and slower, and only after calibrate; cam is for "
              "a classifier alone (fit --method).")  # fmt: skip
@click.option("--refine", type=click.Choice(REFINEMENTS), default="none", show_envvar=True,
              help="par moves borders to colours, for maps of a classifier; crf does the same "
              "over longer ways, some seconds a picture.")  # fmt: skip
@click.option("--scale", "scales", type=click.FloatRange(0.1, 4), multiple=True, show_envvar=True,
              default=LabellingConfig.scales, help="Each costs two looks. Repeatable.")  # fmt: skip
@click.option("--band", type=click.FloatRange(0, 1, max_open=True), show_envvar=True,
              default=LabellingConfig.band, help="Of the segmentation: how far around the "
              "threshold pixels are ignored, as a share of the way to 0 and to 1.")  # fmt: skip
@click.option("--high", type=click.FloatRange(0, 1, min_open=True, max_open=True), show_envvar=True,
              help="Strength from which a pixel is a class. Default: as the model was taught, or "
              "its threshold and band.")  # fmt: skip
@click.option("--low", type=click.FloatRange(0, 1, min_open=True, max_open=True), show_envvar=True,
              help="Strength below which it is background; between the two it is ignored.")  # fmt: skip
@click.option("--device", default="cpu", show_envvar=True, help="torch device: cpu, cuda, cuda:1.")
@takes_source_options
def pseudo_labels_command(model: Path, out: Path, **options: Any) -> None:
    """Write an index PNG for every training picture: 0 background, 1 to C, 255 ignored.

    Image labels forbid classes that are absent. The folder's manifest tells the model, the
    settings and how much of each class was labelled. The same command again goes on.
    """
    try:
        reading, split = take_source_options(options)
        data, device = options.pop("data"), options.pop("device")
        request = LabellingRequest(
            model=model,
            data=data,
            folder=out,
            labelling=LabellingConfig(**options),
            device=device,
            reading=reading,
            split=split,
        )
        click.echo(write_pseudo_labels(request))
    except (DataError, CheckpointError, ValueError) as error:
        raise click.ClickException(str(error)) from error
