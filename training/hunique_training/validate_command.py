"""`hunique-train validate`: a report of a served bundle on labelled pictures, anyone's."""

import math
import sys
from pathlib import Path
from typing import Any

import click

from hunique_models.errors import BundleError, EngineError, InputError
from hunique_models.geometry import Detail
from hunique_training.data.formats.label_csv import label_file_of
from hunique_training.data.labels import DataError
from hunique_training.evaluation.bootstrap import DEFAULT_RESAMPLES
from hunique_training.evaluation.borders import DEFAULT_TOLERANCE_SHARE
from hunique_training.validation_report.class_figures import Measured
from hunique_training.validation_report.contents import Contents
from hunique_training.validation_report.making import Made, ReportRequest, make_report
from hunique_training.validation_report.variants import STRESSES

EXIT_LEFT_OUT = 5
"""The report is there, and some pictures could not be read."""
EXIT_INTERRUPTED = 130
_FAULTS = (DataError, BundleError, EngineError, InputError, OSError)


@click.command("validate")
@click.argument(
    "bundle", type=click.Path(exists=True, file_okay=False, path_type=Path), metavar="BUNDLE"
)
@click.option("--data", type=click.Path(exists=True, path_type=Path), required=True,
              show_envvar=True, help="Label file, or a folder with labels.csv. Masks in truth/ "
              "beside it are used where there are any.")  # fmt: skip
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), show_envvar=True,
              help="Folder of the report. The same command goes on there after an interruption. "
              "Default: validation-NAME of the bundle's folder.")  # fmt: skip
@click.option("--split", default="val", show_envvar=True, help="Rows of the label file to use; "
              "all takes every row. A file without the column split is taken whole.")  # fmt: skip
@click.option("--detail", type=click.Choice([d.value for d in Detail]), default="standard",
              show_envvar=True, help="How closely to look; thresholds were chosen at "
              "standard.")  # fmt: skip
@click.option("--stress", type=click.Choice([*STRESSES]), multiple=True, show_envvar=True,
              help="Send every picture again, compressed (jpeg: 4 times) or blurred (blur: 3 "
              "times). Repeat for both.")  # fmt: skip
@click.option("--pool-backgrounds", "pool_from", multiple=True, metavar="SPLIT", show_envvar=True,
              help="Count false alarms on the pictures without hands (kind background) of this "
              "split too, where there are few.")  # fmt: skip
@click.option("--with-pictures", is_flag=True, help="Show the worst cases. Then give the report "
              "to nobody who may not see the pictures.")  # fmt: skip
@click.option("--resamples", type=click.IntRange(min=0), default=DEFAULT_RESAMPLES,
              show_envvar=True, help="How often groups are drawn for the 95 % intervals; 0 leaves "
              "them out.")  # fmt: skip
@click.option("--border-tolerance", "tolerance_share", type=click.FloatRange(0, 0.1),
              default=DEFAULT_TOLERANCE_SHARE, show_envvar=True, help="Share of the diagonal "
              "within which borders match. Smaller where features are a few pixels "
              "wide.")  # fmt: skip
@click.option("--device", default="cpu", show_envvar=True, help="What runs the network, as for "
              "hunique-server.")  # fmt: skip
@click.option("--threads", type=click.IntRange(min=1), default=1, show_envvar=True,
              help="Threads of one run on the CPU. Run times depend on it.")  # fmt: skip
@click.option("--restart", is_flag=True, help="Begin anew where the folder holds another run.")
def validate_command(**options: Any) -> None:
    """Make a validation report of BUNDLE, as served, on pictures with image-level labels.

    Writes report.html and report.json. Exit codes: 0 done; 5 done, but pictures that could not
    be read were left out; 1 not done; 2 not understood; 130 interrupted.
    """
    try:
        made = make_report(_request(options))
    except KeyboardInterrupt:
        click.echo("interrupted; the same command goes on from here", err=True)
        sys.exit(EXIT_INTERRUPTED)
    except _FAULTS as error:
        raise click.ClickException(str(error)) from error
    _tell(made)
    if made.contents.unreadable:
        sys.exit(EXIT_LEFT_OUT)


def _request(options: dict[str, Any]) -> ReportRequest:
    out = options.pop("out") or Path(f"validation-{options['bundle'].resolve().name}")
    return ReportRequest(
        label_file=label_file_of(options.pop("data")),
        out=out,
        detail=Detail(options.pop("detail")),
        **options,
    )


def _tell(made: Made) -> None:
    """A few figures for people to standard error, the two files to standard output."""
    for line in _lines(made.contents):
        click.echo(line, err=True)
    click.echo(made.page)
    click.echo(made.document)


def _lines(contents: Contents) -> list[str]:
    lines = [f"{contents.pictures} pictures, {contents.groups} groups"]
    if contents.unreadable:
        rows = ", ".join(str(one.row) for one in contents.unreadable[:10])
        lines.append(f"left out as unreadable: {len(contents.unreadable)} (lines {rows})")
    for one in contents.classes:
        iou, f1 = (_short(one.figures[name]) for name in ("iou", "image_f1"))
        lines.append(f"{one.name:16}IoU {iou:24}image-level F1 {f1}")
    return lines


def _short(measured: Measured) -> str:
    if measured.missing:
        return measured.missing
    figure = measured.figure
    interval = "" if math.isnan(figure.low) else f" [{figure.low:.2f} {figure.high:.2f}]"
    return f"{figure.value:.3f}{interval}"
