"""A label file with truth masks, for `evaluate`, `compare` and `guided-cam`, from Pascal VOC.

    python benchmarks/voc_label_file.py VOC --class cat --class dog --out voc

VOC has one index PNG a picture for all classes; a label file has a mask a class. Pixels of
classes that are left out, and VOC's own 255, are not scored, as the protocol of
`voc12_animals` has it. Masks of `train` are written only if asked for: for the upper bound
and for experiments, never for weak training.
"""

import csv
import json
from collections.abc import Sequence
from pathlib import Path

import click
import cv2
import numpy as np
from PIL import Image

from hunique_training.data.class_names import VOC_CLASSES

FEATURE, NOT_SCORED = 255, 128


def class_masks(index: np.ndarray, class_names: Sequence[str]) -> dict[str, np.ndarray]:
    """Masks (H, W) uint8 of the classes that an index map (H, W) uint8 of VOC shows.

    255 the class, 128 not scored (VOC's 255 and classes that are not asked for), 0 else.
    """
    numbers = {name: VOC_CLASSES.index(name) + 1 for name in class_names}
    left_out = ~np.isin(index, [0, *numbers.values()])
    masks = {}
    for name, number in numbers.items():
        if (index == number).any():
            mask = np.where(index == number, FEATURE, 0)
            masks[name] = np.where(left_out, NOT_SCORED, mask).astype(np.uint8)
    return masks


def write_split(
    voc: Path, out: Path, split: str, class_names: Sequence[str], with_masks: bool
) -> list[dict[str, str]]:
    """Rows of one split; labels are those of `image_labels.json`, masks go to `out/truth`."""
    named = json.loads((voc / "image_labels.json").read_text(encoding="utf-8"))
    rows = []
    for stem in (voc / "ImageSets/Segmentation" / f"{split}.txt").read_text().split():
        present = {name for name in named[stem] if name in class_names}
        masks = {}
        if with_masks:
            file = voc / "SegmentationClass" / f"{stem}.png"
            with Image.open(file) as opened:  # OpenCV would give the palette's colours
                index = np.asarray(opened)
            if index.ndim != 2:
                raise click.ClickException(f"{file}: expected an index PNG, found colours")
            masks = class_masks(index, class_names)
        for name, mask in masks.items():
            cv2.imwrite(str(out / "truth" / f"{stem}__{name}.png"), mask)
        present |= set(masks)
        picture = (voc / "JPEGImages" / f"{stem}.jpg").resolve()
        rows.append(
            {"file": str(picture), "split": split, "group": stem, "truth": ";".join(masks)}
            | {name: str(int(name in present)) for name in class_names}
        )
    return rows


@click.command()
@click.argument("voc", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), required=True,
              help="Folder of labels.csv and truth.")  # fmt: skip
@click.option("--class", "class_names", type=click.Choice(VOC_CLASSES), multiple=True,
              default=VOC_CLASSES, help="Classes. Repeatable; all 20 if left out.")  # fmt: skip
@click.option("--train-masks", is_flag=True, help="Masks of train too, for the upper bound.")
def main(voc: Path, out: Path, class_names: tuple[str, ...], train_masks: bool) -> None:
    """Write a label file and truth masks of VOC's train and val."""
    (out / "truth").mkdir(parents=True, exist_ok=True)
    rows = write_split(voc, out, "train", class_names, train_masks)
    rows += write_split(voc, out, "val", class_names, True)
    with (out / "labels.csv").open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, fieldnames=list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    click.echo(f"{len(rows)} pictures in {out / 'labels.csv'}")


if __name__ == "__main__":
    main()
