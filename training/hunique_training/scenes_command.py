"""`hunique-train compose-scenes`: large pictures with small hands, to validate a bundle on."""

from pathlib import Path

import click

from hunique_models.feature_classes import FEATURE_CLASSES
from hunique_training.data.formats.label_csv import label_file_of
from hunique_training.data.labels import DataError
from hunique_training.evaluation.scenes import SceneConfig, write_scenes
from hunique_training.validation_report.cases import read_cases


@click.command("compose-scenes")
@click.option("--data", type=click.Path(exists=True, path_type=Path), required=True,
              show_envvar=True, help="Label file, or a folder with labels.csv. Masks in truth/ "
              "beside it are carried along.")  # fmt: skip
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), required=True,
              show_envvar=True, help="Folder of the scenes: images, truth, labels.csv.")  # fmt: skip
@click.option("--split", default="val", show_envvar=True, help="Rows of the label file to use; all "
              "takes every row. A file without the column split is taken whole.")  # fmt: skip
@click.option("--class", "class_names", multiple=True, show_envvar=True, metavar="NAME",
              default=[known.name for known in FEATURE_CLASSES], help="Classes. Repeatable.")  # fmt: skip
@click.option("--width-px", type=click.IntRange(min=64, max=16000), default=4000,
              show_envvar=True, help="Of a scene.")  # fmt: skip
@click.option("--height-px", type=click.IntRange(min=64, max=16000), default=3000,
              show_envvar=True, help="Of a scene.")  # fmt: skip
@click.option("--pictures", type=click.IntRange(min=1, max=20), default=3, show_envvar=True,
              help="Pictures in a scene. Larger than their part of it, they are shrunk.")  # fmt: skip
@click.option("--count", type=click.IntRange(min=1), show_envvar=True, show_default=False,
              help="Scenes. Default: as many as there are groups for.")  # fmt: skip
@click.option("--seed", type=click.IntRange(min=0), default=0, show_envvar=True,
              help="Everything random follows from it.")  # fmt: skip
def scenes_command(
    data: Path, out: Path, split: str, class_names: tuple[str, ...], **options: int
) -> None:
    """Compose large pictures of labelled ones, with their labels and masks.

    Every group is on one scene at most. Look at the result with
    `hunique-train validate BUNDLE --data OUT`, once for each --detail.
    """
    try:
        config = SceneConfig(**options)
        cases = read_cases(label_file_of(data), class_names, split)
        pictures = [case.truth for case in cases]
        click.echo(write_scenes(pictures, class_names, split, out, config))
    except (DataError, OSError) as error:
        raise click.ClickException(str(error)) from error
