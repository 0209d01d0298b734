"""`hunique-train fit`: from pictures with image-level labels to a trained model.

One process, or several that `torchrun` starts: then each trains, and the first one speaks.
"""

import dataclasses
import sys
from typing import Any

import click
from click.core import ParameterSource

from hunique_training.checkpoint import CheckpointError
from hunique_training.data.labels import DataError
from hunique_training.fit_options import take_config, takes_fit_options
from hunique_training.fitting import FitRequest, fit
from hunique_training.memory_advice import MemoryAdvice
from hunique_training.network.encoder import CheckpointFormatError
from hunique_training.ranks import is_first, joined_ranks
from hunique_training.repeat import request_to_repeat
from hunique_training.run_record import read_record
from hunique_training.simulated_marks import SimulatedMarks
from hunique_training.source_options import take_source_options, takes_source_options
from hunique_training.tensorboard_log import MissingTensorboardError

_GO_WITH_REPEAT = ("repeat", "out", "device", "tensorboard")
_FAULTS = (
    DataError,
    CheckpointError,
    CheckpointFormatError,
    MemoryAdvice,
    MissingTensorboardError,
    ValueError,
)


@click.command("fit")
@takes_fit_options
@takes_source_options
def fit_command(**options: Any) -> None:
    """Train a model from pictures with image-level labels.

    The run folder holds the resolved configuration, what is needed to repeat the run, metrics,
    panels (auxiliary CAM | CAM | Mixed CAM | input | segmentation), last.pt to resume from and
    model.pt to export; `hunique-train report` makes a page of it.
    """
    try:
        request = _request(click.get_current_context(), options)
        with joined_ranks(request.device) as device:
            model = fit(dataclasses.replace(request, device=device))
            if is_first():
                click.echo(model)
    except _FAULTS as error:
        raise click.ClickException(str(error)) from error


def _request(context: click.Context, options: dict[str, Any]) -> FitRequest:
    if options["repeat"] is not None:
        request = _repetition(context, options)
    elif not options["data"]:
        raise click.UsageError("Missing option '--data': what to learn from (or '--repeat')")
    else:
        reading, split = take_source_options(options)
        config = take_config(options)
        request = FitRequest(
            config=config,
            data=options["data"],
            run_folder=options["out"],
            input_size_px=options["input_size_px"],
            device=options["device"],
            reading=reading,
            split=split,
            simulation=_simulation(options, config.seed),
        )
    return dataclasses.replace(request, command=tuple(sys.argv), tensorboard=options["tensorboard"])


def _simulation(options: dict[str, Any], seed: int) -> SimulatedMarks | None:
    points, boxes = options["simulate_points_from_truth"], options["simulate_boxes_from_truth"]
    if not (points or boxes):
        return None
    return SimulatedMarks(points=points, boxes=boxes, seed=seed)


def _repetition(context: click.Context, options: dict[str, Any]) -> FitRequest:
    given = [
        name
        for name in options
        if context.get_parameter_source(name) not in (ParameterSource.DEFAULT, None)
    ]
    others = [name for name in given if name not in _GO_WITH_REPEAT]
    if others:
        named = ", ".join(f"--{name.replace('_', '-')}" for name in others)
        raise click.UsageError(
            f"--repeat takes everything from the run it repeats; leave out {named}"
        )
    device = options["device"] if "device" in given else None
    request = request_to_repeat(options["repeat"], options["out"], device)
    drawn = read_record(options["repeat"]).get("simulation")
    simulation = None if drawn is None else SimulatedMarks(**drawn)
    return dataclasses.replace(request, simulation=simulation)
