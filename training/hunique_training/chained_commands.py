"""Commands of `hunique-train` that run others of it, one after the other.

Each step is printed as it would be typed before it runs.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click

from hunique_training.checkpoint import CheckpointError
from hunique_training.request_file import keep_request
from hunique_training.second_stage_options import NETWORK

_TRAINING = (
    NETWORK,
    click.option("--class", "class_names", multiple=True, show_envvar=True, metavar="NAME",
                 help="Classes, as for fit."),
    click.option("--steps", type=click.IntRange(min=1), show_envvar=True,
                 help="Optimiser steps of each training, in place of the presets'."),
    click.option("--batch-size", type=click.IntRange(min=1), show_envvar=True,
                 help="Pictures of a step."),
    click.option("--crop-size-px", type=click.IntRange(min=32), show_envvar=True,
                 help="Side of the crops that are learned from."),
    click.option("--pretrained", show_envvar=True, metavar="WEIGHTS",
                 help="Encoder weights of all trainings, as for fit."),
    click.option("--seed", type=click.IntRange(min=0), default=0, show_envvar=True,
                 help="Everything random follows from it."),
    click.option("--input-size-px", type=click.IntRange(min=64), default=448, show_envvar=True,
                 help="Side of the square input the models look with."),
    click.option("--device", default="cpu", show_envvar=True,
                 help="torch device: cpu, cuda, cuda:1."),
)  # fmt: skip


def takes_training_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options of the trainings of a chain."""
    for option in reversed(_TRAINING):
        command = option(command)
    return command


def training_words(options: dict[str, Any]) -> list[str]:
    """Those that are the same for every training of a chain, as they are typed."""
    return words_of(
        options, "steps", "batch_size", "crop_size_px", "pretrained", "seed", "input_size_px"
    )


def class_words(options: dict[str, Any]) -> list[str]:
    """The classes, as the first training is told them; later ones have them from its labels."""
    return [word for name in options["class_names"] for word in ("--class", name)]


def begin_chain(path: Path, words: Sequence[str]) -> None:
    """Keep what a chain is begun with, or check that it is the same again.

    Args:
        path: the file it is kept in.
        words: what must not change when the chain goes on.

    Raises:
        ClickException: it was begun with other words.
    """
    try:
        keep_request(path, words, what="other options", way_out="repeat those")
    except CheckpointError as error:
        raise click.ClickException(str(error)) from error


def words_of(options: dict[str, Any], *names: str) -> list[str]:
    """Options that were given, as they are typed; of several values each."""
    words = []
    for name in names:
        value = options[name]
        values = value if isinstance(value, tuple) else () if value is None else (value,)
        words += [word for one in values for word in (_flag(name), str(one))]
    return words


def _flag(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def run_once(context: click.Context, name: str, folder: Path, words: Sequence[str]) -> None:
    """`run_sibling` with `--out folder`, unless it ended well in that folder before.

    A run that did not end is gone on with.
    """
    finished = folder / "finished"
    if not finished.exists():
        run_sibling(context, name, [*words, "--out", str(folder)])
        finished.touch()


def run_sibling(context: click.Context, name: str, words: Sequence[str]) -> None:
    """Run another command of the same group, in the environment of this one."""
    group = context.parent
    if group is None or not isinstance(group.command, click.Group):
        raise click.UsageError("this runs as a command of hunique-train")
    command = group.command.get_command(group, name)
    if command is None:
        raise click.UsageError(f"hunique-train has no command {name}")
    click.echo(f"hunique-train {name} {' '.join(words)}", err=True)
    with command.make_context(name, list(words), parent=group) as own:
        command.invoke(own)
