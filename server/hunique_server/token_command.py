"""`hunique-server token`: make a bearer token, print it once, keep its hash alone."""

from pathlib import Path

import click

from hunique_server.identity import Role


@click.command("token")
@click.option("--identity", required=True, help="Whose it is: a name for logs, shares and quotas.")
@click.option("--role", "roles", multiple=True, type=click.Choice([role.value for role in Role]),
              default=(Role.SEGMENT.value,), show_default=True,
              help="What its owner may do; repeat it for several.")  # fmt: skip
@click.option("--file", type=click.Path(dir_okay=False, path_type=Path),
              help="File of --tokens, to which the hash is added; a running server notices. "
              "Without it the line goes to standard error.")  # fmt: skip
def token(identity: str, roles: tuple[str, ...], file: Path | None) -> None:
    """Make a bearer token. It is printed now and never again: only its hash is kept."""
    from hunique_server.config_error import ConfigError
    from hunique_server.token_file import append_line, new_token

    try:
        secret, line = new_token(identity, roles)
        if file is not None:
            append_line(file, line)
    except ConfigError as error:
        raise click.ClickException(str(error)) from error
    except OSError as error:
        raise click.ClickException(f"cannot write {file}: {error.strerror}") from error
    if file is None:
        click.echo(line, nl=False, err=True)
    click.echo(secret)
