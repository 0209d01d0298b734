"""How long a run is: its steps, and what within it waits for a step.

--steps N --loss-warm-up-steps W --guidance-start-step G
"""

import dataclasses
from collections.abc import Callable
from typing import Any

import click

from hunique_training.config import TrainConfig

IN_PROPORTION = ("loss_warm_up_steps", "rate_warm_up_steps", "guidance_start_step")
"""What follows the number of steps, so that a short run ends no earlier than its parts begin."""

_OPTIONS = (
    click.option("--steps", type=click.IntRange(min=1), show_envvar=True,
                 help="Optimiser steps of a run. Both warm-ups and the start of guidance shrink or "
                 "grow in proportion, unless given. Fewer to try things out."),
    click.option("--loss-warm-up-steps", type=click.IntRange(min=0), show_envvar=True,
                 help="Steps of classification alone, before pseudo-labels are used."),
    click.option("--guidance-start-step", type=click.IntRange(min=0), show_envvar=True,
                 help="First step, from 0, in which segmentation guides the CAM."),
)  # fmt: skip


def takes_length_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options; `take_length` takes them out of a command's keywords."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def take_length(options: dict[str, Any], config: TrainConfig) -> TrainConfig:
    """Take the options out of a command's keywords; the configuration as long as they say."""
    steps = options.pop("steps")
    names = ("loss_warm_up_steps", "guidance_start_step")
    given = {name: options.pop(name) for name in names}
    given = {name: value for name, value in given.items() if value is not None}
    if steps is not None:
        config = at_length(config, steps)
    return dataclasses.replace(config, **given)


def at_length(config: TrainConfig, steps: int) -> TrainConfig:
    """The configuration with so many steps, and all of `IN_PROPORTION` as many times more."""
    share = steps / config.total_steps
    lengths: dict[str, Any] = {name: round(getattr(config, name) * share) for name in IN_PROPORTION}
    return dataclasses.replace(config, total_steps=steps, **lengths)
