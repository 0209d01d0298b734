"""Flags of `hunique-client` about a connection that proves who is at its ends."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from hunique_client.credentials import Credentials

Command = TypeVar("Command", bound=Callable[..., Any])
_FILE = click.Path(dir_okay=False, path_type=Path)
_OPTIONS = (
    click.option("--tls", is_flag=True, envvar="HUNIQUE_TLS", show_envvar=True,
                 help="Encrypt the connection, and make sure that the server is who it says."),
    click.option("--ca", type=_FILE, envvar="HUNIQUE_CA", show_envvar=True, metavar="FILE",
                 help="With --tls: certificates, PEM, that are trusted to sign the server's. "
                 "Default: those that are known everywhere."),
    click.option("--client-cert", type=_FILE, envvar="HUNIQUE_CLIENT_CERT", show_envvar=True,
                 metavar="FILE", help="With --tls: certificate, PEM, for a server that asks for one."),
    click.option("--client-key", type=_FILE, envvar="HUNIQUE_CLIENT_KEY", show_envvar=True,
                 metavar="FILE", help="Private key of that certificate, PEM."),
    click.option("--token-file", type=_FILE, envvar="HUNIQUE_TOKEN_FILE", show_envvar=True,
                 metavar="FILE", help="File that holds a bearer token, for a server that asks for "
                 "one. It is never sent in the clear to another machine."),
)  # fmt: skip


def connection_options(command: Command) -> Command:
    """Give a command these flags."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def read_credentials(values: dict[str, Any]) -> Credentials:
    """Credentials of the flags' values, which are taken out of `values`.

    Raises:
        CredentialsError: they do not fit together.
    """
    names = ("tls", "ca", "client_cert", "client_key", "token_file")
    return Credentials(**{name: values.pop(name) for name in names})
