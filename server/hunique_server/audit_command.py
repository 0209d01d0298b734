"""`hunique-server audit-verify`: whether an audit log is as it was written.

Exit codes: 0 it is; 1 it is not, or cannot be read; 3 it is, but entries were behind its
head when the server was started again or still are, which a crash does, or a forger.
"""

import base64
import sys
from hashlib import sha256
from pathlib import Path

import click

EXIT_UNCOVERED = 3


@click.command("audit-verify")
@click.argument("log", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--key", type=click.Path(exists=True, dir_okay=False, path_type=Path),
              help="Public key, PEM, from where nobody could exchange it. Default: LOG.pub, which "
              "whoever can write to the log could have exchanged.")  # fmt: skip
@click.option("--at-least", type=click.IntRange(min=0), default=0,
              help="Entries that there were once, as the metric hunique_audit_entries said: finds "
              "a log that was put back to an older one, head and all.")  # fmt: skip
def audit_verify(log: Path, key: Path | None, at_least: int) -> None:
    """Follow the chain of LOG and check its signed head, LOG.head; a server may be writing it."""
    from hunique_server.audit_chain import BrokenChainError, read_public_key
    from hunique_server.audit_file import examine_in_use, public_key_of
    from hunique_server.config_error import ConfigError

    key = key or public_key_of(log)
    try:
        public = read_public_key(key.read_bytes())
        found = examine_in_use(log, public)
    except OSError as error:
        raise click.ClickException(f"cannot read {error.filename}: {error.strerror}") from error
    except ConfigError as error:
        raise click.ClickException(f"{key}: {error}") from error
    except BrokenChainError as error:
        raise click.ClickException(f"{log}: {error}") from error
    if found.link.entries < at_least:
        raise click.ClickException(
            f"{log}: expected at least {at_least} entries, found {found.link.entries}"
        )
    count = found.link.entries
    noun = "entry" if count == 1 else "entries"
    click.echo(f"{log}: {count} {noun}, none changed, moved or missing")
    click.echo(f"signed with the key {fingerprint(public.public_bytes_raw())}")
    uncovered = found.uncovered + found.uncovered_before
    if uncovered:
        click.echo(f"{uncovered} entries were written and not signed for", err=True)
        sys.exit(EXIT_UNCOVERED)


def fingerprint(public_key: bytes) -> str:
    """A short form of a public key, to compare by eye."""
    return f"SHA256:{base64.b64encode(sha256(public_key).digest()).decode().rstrip('=')}"
