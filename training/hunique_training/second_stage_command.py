"""`hunique-train fit-second-stage` and `ratio`: a segmentation network, and how good it is.

Hands truth masks of training pictures to a training, when asked for by `--labels truth`.
"""

from pathlib import Path
from typing import Any

import click

from hunique_models.geometry import Detail
from hunique_training.checkpoint import CheckpointError, load_model
from hunique_training.data.labels import DataError
from hunique_training.evaluate_command import LABELS
from hunique_training.evaluation.bootstrap import DEFAULT_RESAMPLES
from hunique_training.network.cosa import NetworkConfig
from hunique_training.network.encoder import CheckpointFormatError
from hunique_training.second_stage.fitting import SecondStageRequest, fit_second_stage
from hunique_training.second_stage.label_folder import PseudoLabelFolder
from hunique_training.second_stage.ratio import RatioRequest, compare_models, ratios_as_text
from hunique_training.second_stage.truth_labels import TruthLabels
from hunique_training.second_stage_options import NETWORK, resolve_second_stage
from hunique_training.source_options import SOURCES_HELP, take_source_options, takes_source_options

TRUTH = "truth"


@click.command("fit-second-stage")
@click.option("--labels", required=True, show_envvar=True, metavar="FOLDER|truth",
              help="Folder of pseudo-labels. truth: masks of the training pictures, for the upper "
              "bound that weak supervision is measured against, and nothing else.")  # fmt: skip
@click.option("--data", multiple=True, required=True, show_envvar=True, metavar="SOURCE",
              help=f"{SOURCES_HELP} As for pseudo-labels.")  # fmt: skip
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), required=True,
              show_envvar=True, help="Run folder; a run that is there goes on.")  # fmt: skip
@NETWORK
@click.option("--class", "class_names", multiple=True, show_envvar=True, metavar="NAME",
              help="With --labels truth: classes, as for fit. Pseudo-labels have their own.")  # fmt: skip
@click.option("--steps", type=click.IntRange(min=1), show_envvar=True,
              help="Optimiser steps. The same for weak and full supervision.")  # fmt: skip
@click.option("--batch-size", type=click.IntRange(min=1), show_envvar=True,
              help="Pictures of a step; halve it where memory runs out.")  # fmt: skip
@click.option("--crop-size-px", type=click.IntRange(min=32), show_envvar=True,
              help="Side of the crops that are learned from, as for fit.")  # fmt: skip
@click.option("--pretrained", show_envvar=True, metavar="WEIGHTS",
              help="Encoder weights: package, none, or a file, as for fit.")  # fmt: skip
@click.option("--balanced-pixels", is_flag=True, show_envvar=True,
              help="All classes weigh alike, rather than all pixels.")  # fmt: skip
@click.option("--seed", type=click.IntRange(min=0), show_envvar=True,
              help="Everything random follows from it; give that of fit.")  # fmt: skip
@click.option("--input-size-px", type=click.IntRange(min=64), default=448, show_envvar=True,
              help="Side of the square input the model is served with.")  # fmt: skip
@click.option("--device", default="cpu", show_envvar=True, help="torch device: cpu, cuda, cuda:1.")
@takes_source_options
def second_stage_command(labels: str, out: Path, **options: Any) -> None:
    """Train a segmentation network on labels of pixels; a class head stays for presence.

    The run folder is that of fit: model.pt is evaluated, calibrated and exported the same way.
    """
    try:
        click.echo(fit_second_stage(_request(labels, out, options)))
    except (DataError, CheckpointError, CheckpointFormatError, ValueError) as error:
        raise click.ClickException(str(error)) from error


def _request(labels: str, out: Path, options: dict[str, Any]) -> SecondStageRequest:
    reading, split = take_source_options(options)
    folder = None if labels == TRUTH else PseudoLabelFolder(Path(labels))
    given = options.pop("class_names")
    if folder is not None and given not in ((), folder.class_names):
        raise DataError(
            f"expected the classes of {labels}, {', '.join(folder.class_names)}, found "
            f"{', '.join(given)}. Leave out --class."
        )
    names = (given or NetworkConfig.class_names) if folder is None else folder.class_names
    config = resolve_second_stage(options.pop("network"), names, options)
    return SecondStageRequest(
        config=config,
        open_labels=lambda files: folder or TruthLabels(files, names),
        run_folder=out,
        reading=reading,
        split=split,
        **options,
    )


@click.command("ratio")
@click.argument("weak", type=click.Path(exists=True, dir_okay=False, path_type=Path),
                metavar="WEAK.PT")  # fmt: skip
@click.argument("full", type=click.Path(exists=True, dir_okay=False, path_type=Path),
                metavar="FULL.PT")  # fmt: skip
@LABELS
@click.option("--split", default="val", show_envvar=True, help="Rows of the label file to use.")
@click.option("--resamples", type=click.IntRange(min=0), default=DEFAULT_RESAMPLES,
              show_envvar=True, help="How often groups are drawn for the intervals.")  # fmt: skip
@click.option("--detail", type=click.Choice([d.value for d in Detail]), default="standard",
              show_envvar=True, help="How closely to look.")  # fmt: skip
def ratio_command(weak: Path, full: Path, **options: Any) -> None:
    """Print how much of full supervision weak supervision reaches: label-free IoU by IoU.

    Groups are drawn once for both models, so the interval is that of the ratio itself.
    """
    try:
        request = RatioRequest(**options | {"detail": Detail(options["detail"])})
        rows = compare_models(load_model(weak), load_model(full), request)
    except (DataError, CheckpointError) as error:
        raise click.ClickException(str(error)) from error
    click.echo(ratios_as_text(rows))
