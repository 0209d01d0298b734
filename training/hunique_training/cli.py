"""`hunique-train`: train and evaluate models from image-level labels."""

import dataclasses
import logging
import sys
from pathlib import Path

import click

try:
    import torch
except ImportError:
    print("hunique-train needs torch: pip install 'hunique[train]'", file=sys.stderr)
    sys.exit(1)

from hunique_training.checkpoint import CheckpointError
from hunique_training.config import PRESETS, TrainConfig
from hunique_training.data.labels import DataError
from hunique_training.evaluate_command import LABELS, MODEL, evaluate_command
from hunique_training.fitting import FitRequest, calibrate, fit
from hunique_training.inspect_command import inspect_command
from hunique_training.network.encoder import CheckpointFormatError
from hunique_training.network.registry import ENCODERS, decoder_for
from hunique_training.source_options import (
    SOURCES_HELP,
    take_source_options,
    takes_source_options,
)


@click.group(context_settings={"auto_envvar_prefix": "HUNIQUE_TRAIN", "show_default": True})
@click.version_option(package_name="hunique")
@click.option(
    "--threads",
    type=click.IntRange(min=0),
    default=0,
    show_envvar=True,
    help="Threads of torch; 0 takes all cores. Give fewer when something else must run beside.",
)
def main(threads: int) -> None:
    """Train and evaluate models from image-level labels."""
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    if threads:
        torch.set_num_threads(threads)


def _resolve(
    preset: str, steps: int | None, encoder: str | None, overrides: dict[str, object]
) -> TrainConfig:
    config = PRESETS[preset]()
    given = {name: value for name, value in overrides.items() if value is not None}
    if given.get("pretrained") == "none":
        given["pretrained"] = None
    if encoder is not None:
        given["network"] = dataclasses.replace(
            config.network, encoder=encoder, decoder=decoder_for(encoder)
        )
    if steps is not None:
        share = steps / config.total_steps
        given |= {
            "total_steps": steps,
            "loss_warm_up_steps": round(config.loss_warm_up_steps * share),
            "rate_warm_up_steps": round(config.rate_warm_up_steps * share),
        }
    return dataclasses.replace(config, **given)  # type: ignore[arg-type]


@main.command("fit")
@click.option(
    "--data",
    multiple=True,
    required=True,
    show_envvar=True,
    metavar="SOURCE",
    help=f"{SOURCES_HELP} drawn:N draws N hands. Repeat it to mix sources; look at them with "
    "inspect first.",
)
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    required=True,
    show_envvar=True,
    help="Run folder. Where one is there already, the run goes on from its last checkpoint.",
)
@click.option(
    "--preset",
    type=click.Choice(sorted(PRESETS)),
    default="hunique",
    show_envvar=True,
    help="hunique: small network, for one evening on two cores. release, paper: CoSA as its code and "
    "as its paper have it, for a GPU.",
)
@click.option(
    "--steps",
    type=click.IntRange(min=1),
    show_envvar=True,
    help="Optimiser steps; warm-ups shrink or grow with it. Fewer to try things out.",
)
@click.option("--batch-size", type=click.IntRange(min=1), show_envvar=True,
              help="Pictures of a step; halve it where memory runs out.")  # fmt: skip
@click.option("--encoder", type=click.Choice(list(ENCODERS)), show_envvar=True,
              help="Feature network. efficientnet_lite0 is small and fast on a CPU; the vision "
              "transformers want a GPU and, but for vit_small_14, weights of one's own.")  # fmt: skip
@click.option("--pretrained", show_envvar=True, metavar="WEIGHTS",
              help="Encoder weights: package, none, or a checkpoint file of timm, jx_vit, DINOv2 "
              "or the encoder's package. Default: the preset's.")  # fmt: skip
@click.option("--seed", type=click.IntRange(min=0), show_envvar=True,
              help="Everything random follows from it.")  # fmt: skip
@click.option("--input-size-px", type=click.IntRange(min=64), default=448, show_envvar=True,
              help="Side of the square input the model is served with; divides by 32.")  # fmt: skip
@click.option("--device", default="cpu", show_envvar=True, help="torch device: cpu, cuda, cuda:1.")
@takes_source_options
def fit_command(
    data: tuple[str, ...],
    out: Path,
    preset: str,
    steps: int | None,
    encoder: str | None,
    input_size_px: int,
    device: str,
    **overrides: object,
) -> None:
    """Train a model from pictures with image-level labels.

    The run folder holds the resolved configuration, metrics, panels (input | auxiliary CAM |
    CAM | segmentation), last.pt to resume from and model.pt to export.
    """
    try:
        reading, split = take_source_options(overrides)
        request = FitRequest(
            config=_resolve(preset, steps, encoder, overrides),
            data=data,
            run_folder=out,
            input_size_px=input_size_px,
            device=device,
            reading=reading,
            split=split,
        )
        click.echo(fit(request))
    except (DataError, CheckpointError, CheckpointFormatError, ValueError) as error:
        raise click.ClickException(str(error)) from error


main.add_command(inspect_command)
main.add_command(evaluate_command)


@main.command("calibrate")
@MODEL
@LABELS
def calibrate_command(model: Path, data: Path) -> None:
    """Choose thresholds and calibration again on the val split, and write them into the model."""
    try:
        calibrate(model, data)
    except (DataError, CheckpointError) as error:
        raise click.ClickException(str(error)) from error
