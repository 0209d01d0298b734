"""`hunique-export`: write and prove bundles, build TensorRT engines."""

import sys
from pathlib import Path

import click

try:
    import onnx  # noqa: F401
    import torch  # noqa: F401
except ImportError as error:
    print(f"hunique-export needs {error.name}: pip install 'hunique[export]'", file=sys.stderr)
    sys.exit(1)

from hunique_export.bundling import Release, export_bundle
from hunique_export.errors import ExportError
from hunique_export.parity import load_pictures
from hunique_models.errors import HuniqueError
from hunique_training.checkpoint import CheckpointError

INTENDED_USE = (
    "Pointing an examiner to tattoos, rings, lunules and polished nails on photographs of hands. "
    "Every finding is to be reviewed by a person. Not for identifying people, and not for "
    "deciding anything about a person without review."
)


@click.group(context_settings={"auto_envvar_prefix": "HUNIQUE_EXPORT", "show_default": True})
@click.version_option(package_name="hunique")
def main() -> None:
    """Turn trained models into bundles that the server opens."""


@main.command("onnx")
@click.argument("checkpoint", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--out", type=click.Path(path_type=Path), required=True, show_envvar=True,
              help="Folder of the bundle to write.")  # fmt: skip
@click.option("--name", required=True, show_envvar=True, help="Name of the model: a-z 0-9 . _ -")
@click.option("--model-version", required=True, show_envvar=True, metavar="X.Y.Z",
              help="Version of the model; give every model that people use its own.")  # fmt: skip
@click.option("--licence", required=True, show_envvar=True, help="Terms of the model, in words.")
@click.option("--data-statement", required=True, show_envvar=True,
              help="What the model learned from, in words; stands in every DescribeModel.")  # fmt: skip
@click.option("--intended-use", default=INTENDED_USE, show_envvar=True, show_default=False,
              help="What the model is for and what it must not be used for.")  # fmt: skip
@click.option("--pictures", type=click.Path(exists=True, file_okay=False, path_type=Path),
              show_envvar=True,
              help="Folder of pictures for the proof of parity. Give photographs like those that "
              "will be served; without it drawn hands are used, and the manifest says so.")  # fmt: skip
@click.option("--picture-count", type=click.IntRange(min=1), default=24, show_envvar=True,
              help="How many pictures of the folder to use, spread evenly.")  # fmt: skip
@click.option("--force", is_flag=True, show_envvar=True, help="Replace a bundle that is there.")
def onnx_command(
    checkpoint: Path,
    out: Path,
    pictures: Path | None,
    picture_count: int,
    force: bool,
    **release: str,
) -> None:
    """Write the bundle of a model.pt, after proving that the graph computes what torch does."""
    try:
        bundle = export_bundle(
            checkpoint,
            out,
            Release(
                name=release["name"],
                version=release["model_version"],
                licence=release["licence"],
                training_data_statement=release["data_statement"],
                intended_use=release["intended_use"],
            ),
            load_pictures(pictures, picture_count),
            replace=force,
        )
    except (HuniqueError, ExportError, CheckpointError) as error:
        raise click.ClickException(str(error)) from error
    parity = bundle.manifest.parity
    click.echo(f"{bundle.path}  sha256 {bundle.sha256}")
    if parity:
        click.echo(
            f"parity on {parity.pictures} {parity.picture_kind}: "
            f"{parity.pixel_label_agreement:.4%} of pixels have the same label"
        )


@main.command("tensorrt")
@click.argument("bundle", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--out", type=click.Path(path_type=Path), required=True, show_envvar=True,
              help="Folder of the bundle to write: the same model with an engine beside it.")  # fmt: skip
@click.option("--max-batch", type=click.IntRange(min=1), default=16, show_envvar=True,
              help="Most looks of one run; more needs more GPU memory.")  # fmt: skip
@click.option("--ahead-of-time", is_flag=True, show_envvar=True,
              help="Build with TensorRT for RTX on a machine without a GPU.")  # fmt: skip
@click.option("--force", is_flag=True, show_envvar=True, help="Replace a bundle that is there.")
def tensorrt_command(
    bundle: Path, out: Path, max_batch: int, ahead_of_time: bool, force: bool
) -> None:
    """Build a TensorRT engine of a bundle: for the GPU of this machine, or ahead of time."""
    from hunique_export.tensorrt_build import add_engine

    try:
        written = add_engine(
            bundle, out, max_batch=max_batch, ahead_of_time=ahead_of_time, replace=force
        )
    except (HuniqueError, ExportError) as error:
        raise click.ClickException(str(error)) from error
    click.echo(f"{written.path}  sha256 {written.sha256}")
