"""`hunique-train evaluate`: a model against pictures with truth masks.

model.pt, label file -> evidence picture by picture -> sums of groups -> tables
                     -> activation maps, where asked for -> table, maps.json, maps.png
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from hunique_models.geometry import Detail
from hunique_training.checkpoint import CheckpointError, ModelCheckpoint, load_model
from hunique_training.data.labels import DataError
from hunique_training.evaluation.bootstrap import DEFAULT_RESAMPLES
from hunique_training.evaluation.borders import DEFAULT_TOLERANCE_SHARE, BorderRule
from hunique_training.evaluation.class_scores import ClassScores
from hunique_training.evaluation.map_report import maps_as_text, write_map_report
from hunique_training.evaluation.map_run import stream_maps
from hunique_training.evaluation.map_scores import score_maps
from hunique_training.evaluation.run import SplitRequest, stream_evidence
from hunique_training.evaluation.table import as_json, as_text, score_classes
from hunique_training.evaluation.tally import pixel_level
from hunique_training.evaluation.torch_engine import TorchEngine
from hunique_training.manifest import manifest_of

Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]

MODEL: Decorator = click.argument(
    "model", type=click.Path(exists=True, dir_okay=False, path_type=Path), metavar="MODEL.PT"
)
"""The argument of commands that take a trained model."""
LABELS: Decorator = click.option(
    "--data",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    required=True,
    show_envvar=True,
    help="Label file with truth masks beside it (see docs/training.md).",
)
"""The option of commands that look at truth."""


@dataclass(frozen=True, kw_only=True)
class EvaluateRequest:
    """What `evaluate` is asked to do."""

    model: Path
    """A `model.pt`."""
    data: Path
    """Label file with truth masks beside it."""
    split: str
    """Rows of the label file to use."""
    detail: str
    """How closely to look."""
    resamples: int
    """How often groups are drawn for the intervals."""
    border_tolerance: float
    """Share of the diagonal within which borders match."""
    maps: Path | None
    """Where scores of activation maps are written, if they are wanted."""
    json_wanted: bool
    """JSON instead of tables."""


@click.command("evaluate")
@MODEL
@LABELS
@click.option("--split", default="val", show_envvar=True, help="Rows of the label file to use.")
@click.option(
    "--detail", type=click.Choice([d.value for d in Detail]), default="standard", show_envvar=True,
    help="How closely to look; thresholds were chosen at standard.",
)  # fmt: skip
@click.option("--resamples", type=click.IntRange(min=0), default=DEFAULT_RESAMPLES,
              show_envvar=True, help="How often groups are drawn for the 95 % intervals; 0 leaves "
              "them out.")  # fmt: skip
@click.option("--border-tolerance", type=click.FloatRange(0, 0.1), show_envvar=True,
              default=DEFAULT_TOLERANCE_SHARE, help="Share of the diagonal within which borders "
              "match. Smaller where features are a few pixels wide.")  # fmt: skip
@click.option("--maps", type=click.Path(file_okay=False, path_type=Path), show_envvar=True,
              help="Also score the activation maps that taught the segmentation, and write "
              "maps.json and maps.png into this folder. Takes about 11 more looks a picture with "
              "a mask.")  # fmt: skip
@click.option("--json", "json_wanted", is_flag=True, help="Print JSON instead of tables.")
def evaluate_command(**options: Any) -> None:
    """Score a trained model on pictures with truth masks, as it would be served (label-free).

    Beside it, named label-filtered, stand the figures that may be compared with published
    ones: there the pictures' own labels forbid classes.
    """
    request = EvaluateRequest(**options)
    try:
        model = load_model(request.model)
        scores = _score(model, request)
        click.echo(as_json(scores) if request.json_wanted else as_text(scores))
        if request.maps is not None:
            _report_maps(model, request, request.maps)
    except (DataError, CheckpointError) as error:
        raise click.ClickException(str(error)) from error


def _score(model: ModelCheckpoint, request: EvaluateRequest) -> tuple[ClassScores, ...]:
    manifest = manifest_of(model)
    levels = tuple(pixel_level(spec) for spec in manifest.classes)
    split = SplitRequest(
        csv_path=request.data,
        split=request.split,
        detail=Detail(request.detail),
        border_rule=BorderRule(levels=levels, tolerance_share=request.border_tolerance),
    )
    evidence = stream_evidence(manifest, TorchEngine(model.network), split)
    return score_classes(evidence, manifest, resamples=request.resamples)


def _report_maps(model: ModelCheckpoint, request: EvaluateRequest, folder: Path) -> None:
    names = model.network.config.class_names
    scores = score_maps(stream_maps(model, request.data, request.split), len(names))
    write_map_report(folder, scores, names)
    if not request.json_wanted:
        click.echo("\n" + maps_as_text(scores, names))
    click.echo(f"wrote {folder / 'maps.json'} and {folder / 'maps.png'}", err=True)
