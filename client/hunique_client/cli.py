"""`hunique-client`: find hand features on photographs from the command line.

Exit codes: 0 done; 3 no class could be assessed; 4 the input was unreadable; 5 some inputs
failed; 64 usage; 69 no server; 77 not let in; 130 ended by Ctrl-C.
"""

import contextlib
import io
import json
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

import click

# gRPC's own lines, of handshakes and the like, are no messages of this program
os.environ["GRPC_VERBOSITY"] = os.environ.get("GRPC_VERBOSITY", "NONE")
try:
    from rich.console import Console

    from hunique_client.client import HuniqueClient
    from hunique_client.connection_options import connection_options, read_credentials
    from hunique_client.errors import HuniqueClientError
    from hunique_client.results import Detail
    from hunique_client.segment_command import Job, describe_model, run_job
    from hunique_client.table import print_model
except ImportError as missing:
    print(f"hunique-client needs {missing.name}: pip install 'hunique[client]'", file=sys.stderr)
    sys.exit(1)

EXIT_NOT_WRITTEN = 5
EXIT_USAGE = 64
EXIT_INTERRUPTED = 130

SERVER_HELP = (
    "HOST:PORT or unix:PATH of a server. Without it a private one is started for the time of the "
    "command, which takes about a second."
)


model_option = click.option(
    "--model", default="", metavar="NAME[:VERSION]", show_envvar=True, show_default=False,
    help="Model to ask, or an alias of it. Default: the one that the server gives to whoever "
    "names none.",
)  # fmt: skip


class _Cancelled(BaseException):
    """A signal came: end in good order, private server included."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = number


@click.group(context_settings={"auto_envvar_prefix": "HUNIQUE", "show_default": True})
@click.version_option(package_name="hunique")
@click.option("--server", envvar="HUNIQUE_SERVER", show_envvar=True, metavar="ADDRESS",
              help=SERVER_HELP)  # fmt: skip
@click.pass_context
def commands(context: click.Context, server: str | None) -> None:
    """Find tattoos, rings, lunules and polished nails on photographs of hands."""
    context.obj = server


@commands.command("segment")
@click.argument("inputs", nargs=-1, required=True, metavar="IMAGE...")
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), show_envvar=True,
              help="Folder for NAME.hunique.json, masks and an overlay of each picture.")  # fmt: skip
@click.option("--overwrite", is_flag=True, show_envvar=True,
              help="Replace results that are in --out already, but none that a person has reviewed.")  # fmt: skip
@click.option("--resume", is_flag=True, show_envvar=True,
              help="Go on where an earlier run stopped: leave out pictures whose results, by the "
              "same model, are in --out already.")  # fmt: skip
@click.option("--json", "json_lines", is_flag=True, show_envvar=True, envvar="HUNIQUE_SEGMENT_JSON",
              help="Print one JSON document a picture instead of tables.")  # fmt: skip
@click.option("--detail", type=click.Choice([d.value for d in Detail]), show_envvar=True,
              help="fast: one look. standard: also tiles, for rings on whole hands, up to eleven looks at "
              "the picture, and at each small hand of a large one. "
              "fine: also closer tiles, up to full size, for small hands on large photographs. Default: the server's.")  # fmt: skip
@click.option("--classes", show_envvar=True, metavar="NAME,...",
              help="Classes to assess; default all. `hunique-client describe` lists them.")  # fmt: skip
@model_option
@click.option("--recursive", "-r", is_flag=True, show_envvar=True,
              help="Take pictures of sub-folders too.")  # fmt: skip
@click.option("--server", metavar="ADDRESS", help=f"{SERVER_HELP}  [env var: HUNIQUE_SERVER]")
@connection_options
@click.pass_obj
def segment(
    server_of_group: str | None, /, server: str | None, classes: str | None, **rest: Any
) -> NoReturn:
    """Find features on images, on every image of folders, or on standard input (-)."""
    names = (name.strip() for name in (classes or "").split(","))
    credentials = read_credentials(rest)
    job = Job(classes=tuple(filter(None, names)), **rest)
    sys.exit(run_job(job, lambda: HuniqueClient(server or server_of_group, credentials)))


@commands.command("describe")
@click.option("--json", "json_wanted", is_flag=True, show_envvar=True,
              envvar="HUNIQUE_DESCRIBE_JSON", help="Print JSON.")  # fmt: skip
@model_option
@click.option("--server", metavar="ADDRESS", help=f"{SERVER_HELP}  [env var: HUNIQUE_SERVER]")
@connection_options
@click.pass_obj
def describe(
    server_of_group: str | None, /, server: str | None, json_wanted: bool, model: str, **rest: Any
) -> None:
    """Say what a served model is: identity, classes, thresholds, training data."""
    with HuniqueClient(server or server_of_group, read_credentials(rest)) as client:
        found = describe_model(client, model)
    if json_wanted:
        values = {"name": found.name, "version": found.version, "sha256": found.sha256}
        values |= {"engine": found.engine}
        click.echo(json.dumps({**values, "classes": found.classes, **found.facts}, indent=2))
    else:
        print_model(Console(), found)


@contextlib.contextmanager
def _ending_in_good_order() -> Iterator[None]:
    """Let SIGTERM, or a terminal that is closed, unwind the stack: a private server is ended."""

    def cancel(number: int, _frame: FrameType | None) -> None:
        raise _Cancelled(number)

    numbers = [signal.SIGTERM, *([signal.SIGHUP] if hasattr(signal, "SIGHUP") else [])]
    # nohup has a client ignore SIGHUP, and so it shall
    taken = [n for n in numbers if signal.getsignal(n) is not signal.SIG_IGN]
    before = {number: signal.signal(number, cancel) for number in taken}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def main() -> NoReturn:
    """Run the command and end with its exit code."""
    try:
        _run()
    except SystemExit as ended:
        _leave(ended.code)
    _leave(0)


def _leave(code: int | str | None) -> NoReturn:
    """End at once, with everything written.

    Everything is closed by now. But threads of gRPC sometimes keep an interpreter from ending: one
    of a few hundred runs stood still for ever behind its last line.
    """
    status = code if isinstance(code, int) else int(code is not None)
    try:
        if sys.stdout is not None:  # closed by whoever started this
            sys.stdout.flush()
    except OSError as error:
        _say_not_written(error)
        status = status or EXIT_NOT_WRITTEN
    with contextlib.suppress(OSError, AttributeError):
        sys.stderr.flush()
    os._exit(status)


def _run() -> None:
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # names that its encoding lacks
    try:
        with _ending_in_good_order():
            commands.main(standalone_mode=False)
    except click.exceptions.NoArgsIsHelpError as error:
        print(error.format_message(), file=sys.stderr)
        sys.exit(EXIT_USAGE)
    except click.UsageError as error:
        error.show(sys.stderr)
        sys.exit(EXIT_USAGE)
    except click.ClickException as error:
        error.show(sys.stderr)
        sys.exit(error.exit_code)
    except HuniqueClientError as error:
        print(f"hunique-client: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
    except (KeyboardInterrupt, click.Abort):
        sys.exit(EXIT_INTERRUPTED)
    except _Cancelled as cancelled:
        sys.exit(128 + cancelled.number)
    except OSError as error:
        _say_not_written(error)
        sys.exit(EXIT_NOT_WRITTEN)


def _say_not_written(error: OSError) -> None:
    print(f"hunique-client: cannot write: {error.strerror or error}", file=sys.stderr)
