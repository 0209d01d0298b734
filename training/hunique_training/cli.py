"""`hunique-train`: train and evaluate models from image-level labels."""

import logging
import sys
from pathlib import Path

import click

try:
    import torch
except ImportError:
    print("hunique-train needs torch: pip install 'hunique[train]'", file=sys.stderr)
    sys.exit(1)

from hunique_training.allocator import keep_freed_memory
from hunique_training.calibrating import calibrate
from hunique_training.checkpoint import CheckpointError
from hunique_training.compare_command import compare_command
from hunique_training.data.labels import DataError
from hunique_training.evaluate_command import LABELS, MODEL, evaluate_command
from hunique_training.fit_command import fit_command
from hunique_training.guided_cam_command import guided_cam_command
from hunique_training.hand_map_command import hand_map_command
from hunique_training.inspect_command import inspect_command
from hunique_training.pipeline_command import pipeline_command
from hunique_training.pseudo_labels_command import pseudo_labels_command
from hunique_training.report_command import report_command
from hunique_training.scenes_command import scenes_command
from hunique_training.second_stage_command import ratio_command, second_stage_command
from hunique_training.self_train_command import self_train_command
from hunique_training.validate_command import validate_command


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
    keep_freed_memory()
    if threads:
        torch.set_num_threads(threads)


main.add_command(fit_command)
main.add_command(inspect_command)
main.add_command(evaluate_command)
main.add_command(report_command)
main.add_command(pseudo_labels_command)
main.add_command(second_stage_command)
main.add_command(hand_map_command)
main.add_command(ratio_command)
main.add_command(pipeline_command)
main.add_command(self_train_command)
main.add_command(guided_cam_command)
main.add_command(compare_command)
main.add_command(validate_command)
main.add_command(scenes_command)


@main.command("calibrate")
@MODEL
@LABELS
def calibrate_command(model: Path, data: Path) -> None:
    """Choose thresholds and calibration again on the val split, and write them into the model."""
    try:
        calibrate(model, data)
    except (DataError, CheckpointError) as error:
        raise click.ClickException(str(error)) from error
