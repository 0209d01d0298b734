"""Commands of `hunique-train` that run others of it, one after the other.

Each step is printed as it would be typed before it runs.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click


def begin_chain(path: Path, words: Sequence[str]) -> None:
    """Keep what a chain is begun with, or check that it is the same again.

    Args:
        path: the file it is kept in.
        words: what must not change when the chain goes on.

    Raises:
        ClickException: it was begun with other words.
    """
    found = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else list(words)
    if found != list(words):
        raise click.ClickException(
            f"{path.parent} was begun with {' '.join(found)}. Choose another --out folder, or "
            "repeat its options."
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(found), encoding="utf-8")


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
