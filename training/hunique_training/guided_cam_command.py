"""`hunique-train guided-cam`: the talk's experiment with guidance of CAMs.

Hands truth masks of training pictures to the arm that is guided by them, and to nothing else.
"""

import dataclasses
from pathlib import Path
from typing import Any

import click

from hunique_training.checkpoint import CheckpointError
from hunique_training.data.labels import DataError
from hunique_training.guided_cam.config import GuidedCamConfig, default_training
from hunique_training.guided_cam.experiment import GuidedCamRequest, run_guided_cam
from hunique_training.network.encoder import CheckpointFormatError
from hunique_training.second_stage.truth_labels import TruthLabels
from hunique_training.source_options import SOURCES_HELP, take_source_options, takes_source_options

_DEFAULTS = GuidedCamConfig()


@click.command("guided-cam")
@click.option("--data", multiple=True, required=True, show_envvar=True, metavar="SOURCE",
              help=f"{SOURCES_HELP} Needs a label file with truth masks of train and val.")  # fmt: skip
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), required=True,
              show_envvar=True, help="Folder of the experiment; one that is there goes on.")  # fmt: skip
@click.option("--steps", type=click.IntRange(min=1), default=_DEFAULTS.training.total_steps,
              show_envvar=True, help="Optimiser steps of each arm.")  # fmt: skip
@click.option("--every-steps", type=click.IntRange(min=1), default=_DEFAULTS.every_steps,
              show_envvar=True, help="Steps between two scores of the CAM.")  # fmt: skip
@click.option("--guidance-weight", type=click.FloatRange(min=0, min_open=True), show_envvar=True,
              default=_DEFAULTS.guidance_weight, help="Factor of the guidance.")  # fmt: skip
@click.option("--pictures", type=click.IntRange(min=1), default=_DEFAULTS.pictures,
              show_envvar=True, help="At most so many pictures of val are scored.")  # fmt: skip
@click.option("--batch-size", type=click.IntRange(min=1), show_envvar=True,
              default=_DEFAULTS.training.batch_size, help="Pictures of a step.")  # fmt: skip
@click.option("--crop-size-px", type=click.IntRange(min=32), show_envvar=True,
              default=_DEFAULTS.training.views.size_px,
              help="Side of the crops that are learned from.")  # fmt: skip
@click.option("--input-size-px", type=click.IntRange(min=64), default=_DEFAULTS.input_size_px,
              show_envvar=True, help="Longer side of the pictures that are scored.")  # fmt: skip
@click.option("--seed", type=click.IntRange(min=0), default=0, show_envvar=True,
              help="Everything random follows from it, in all arms alike.")  # fmt: skip
@click.option("--device", default="cpu", show_envvar=True, help="torch device: cpu, cuda, cuda:1.")
@takes_source_options
def guided_cam_command(data: tuple[str, ...], out: Path, device: str, **options: Any) -> None:
    """Train one classifier three times, its CAM guided by masks, by nothing, or by noise.

    Writes guided-cam.csv and guided-cam.png: CAM mIoU on val against steps. About 15 minutes on
    two quiet cores as it stands.
    """
    try:
        reading, split = take_source_options(options)
        config = _config(options)
        names = config.training.network.class_names
        request = GuidedCamRequest(
            config=config,
            data=data,
            open_labels=lambda files: TruthLabels(files, names),
            out=out,
            device=device,
            reading=reading,
            split=split,
        )
        click.echo(run_guided_cam(request))
    except (DataError, CheckpointError, CheckpointFormatError, ValueError) as error:
        raise click.ClickException(str(error)) from error


def _config(options: dict[str, Any]) -> GuidedCamConfig:
    steps = options.pop("steps")
    base = default_training()
    training = dataclasses.replace(
        base,
        total_steps=steps,
        rate_warm_up_steps=round(base.rate_warm_up_steps * steps / base.total_steps),
        batch_size=options.pop("batch_size"),
        views=dataclasses.replace(base.views, size_px=options.pop("crop_size_px")),
        seed=options.pop("seed"),
    )
    return GuidedCamConfig(training=training, **options)
