"""`hunique-train report`: a run folder as one page that opens in any browser."""

from pathlib import Path

import click

from hunique_training.checkpoint import CheckpointError
from hunique_training.report import write_report


@click.command("report")
@click.argument(
    "run", type=click.Path(exists=True, file_okay=False, path_type=Path), metavar="RUN"
)  # fmt: skip
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), show_envvar=True,
              help="The page. Default: report.html in the run folder.")  # fmt: skip
@click.option("--panels", type=click.IntRange(min=1), default=3, show_envvar=True,
              help="At most so many panels, from the first to the last; each adds a few "
              "megabytes.")  # fmt: skip
def report_command(run: Path, out: Path | None, panels: int) -> None:
    """Make one HTML page of a run: configuration, data, curves, panels and figures on val.

    The page needs no network and no other file. Panels show pictures of the run: give it to
    nobody who may not see them.
    """
    path = out or run / "report.html"
    try:
        write_report(run, path, panels)
    except (CheckpointError, ValueError) as error:
        raise click.ClickException(str(error)) from error
    click.echo(path)
