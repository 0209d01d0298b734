"""Flags of `hunique-server` about what is served."""

from pathlib import Path
from typing import Any

import click

from hunique_models.bundle import default_bundle_path
from hunique_server.option_group import option_group

_FOLDER = click.Path(path_type=Path)
model_options = option_group(
    click.option("--bundle", "bundles", multiple=True, type=_FOLDER,
                 envvar="HUNIQUE_SERVER_BUNDLE", show_envvar=True, show_default=False,
                 help="Folder of a model to serve; repeat it for several, in the variable put : "
                 "between them (; on Windows). The first one is what callers get who name none. "
                 "Default: the model that comes with hunique."),
    click.option("--model-repository", type=_FOLDER, show_envvar=True, show_default=False,
                 help="Folder of models as NAME/VERSION/manifest.json, which administrators may "
                 "load and unload while others are served. Without --bundle and --load the one "
                 "name in it is served, in its newest version."),
    click.option("--load", multiple=True, metavar="NAME[:VERSION]", show_envvar=True,
                 help="Model of --model-repository to begin with, in its newest version if none "
                 "is said; repeat it for several. Each takes memory of its own."),
)  # fmt: skip
"""Gives a command the flags about what is served."""


def read_models(values: dict[str, Any]) -> dict[str, Any]:
    """Fields of `ServerConfig`, of the flags' values, which are taken out of `values`."""
    taken = {name: values.pop(name) for name in ("bundles", "model_repository", "load")}
    if not taken["bundles"] and taken["model_repository"] is None:
        taken["bundles"] = (default_bundle_path(),)
    return taken
