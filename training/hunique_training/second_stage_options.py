"""Options that choose the network and the schedule of a second stage."""

import dataclasses
from typing import Any

import click

from hunique_training.network.registry import ENCODERS
from hunique_training.second_stage.config import SecondStageConfig, second_stage

NETWORK = click.option(
    "--network", type=click.Choice(list(ENCODERS)), default="efficientnet_lite0", show_envvar=True,
    help="efficientnet_lite0 with a fine decoder, for a CPU; a transformer with CoSA's decoder "
    "for a GPU.",
)  # fmt: skip
"""The option that chooses the network of a second stage."""


def resolve_second_stage(
    network: str, class_names: tuple[str, ...], options: dict[str, Any]
) -> SecondStageConfig:
    """The network's configuration, with what was typed in place of its values.

    Args:
        network: an encoder.
        class_names: the classes.
        options: takes out `steps`, `batch_size`, `crop_size_px`, `pretrained`, `seed` and
            `balanced_pixels`.
    """
    config = second_stage(network, class_names)
    steps = options.pop("steps")
    if steps is not None:
        warm_up = round(config.rate_warm_up_steps * steps / config.total_steps)
        config = dataclasses.replace(config, total_steps=steps, rate_warm_up_steps=warm_up)
    given = {name: options.pop(name) for name in ("batch_size", "pretrained", "seed")}
    given = {name: value for name, value in given.items() if value is not None}
    if given.get("pretrained") == "none":
        given["pretrained"] = None
    crop_px = options.pop("crop_size_px")
    if crop_px is not None:
        given["views"] = dataclasses.replace(config.views, size_px=crop_px)
    balanced = options.pop("balanced_pixels")
    return dataclasses.replace(config, class_balanced=balanced, **given)
