"""Large pictures with small hands, composed of labelled pictures, truth carried along.

    pictures of one split, each group once -> some of them side by side before a background
    -> a picture of many megapixels, its labels and its masks

They tell whether a feature is found where it is a small part of a photograph. What a picture
does not tell of a class is not scored where it stands; nothing here is for training.
"""

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from hunique_models.image import DecodeLimits, decode
from hunique_training.data.backgrounds import fill_from, plain_background
from hunique_training.data.labels import DataError
from hunique_training.evaluation.truth import FEATURE, NOT_SCORED, TruthPicture

Pixels = NDArray[np.uint8]
SOFT_EDGE_PX = 12
"""Pictures fade into the background over so many pixels, so that no edge passes for a feature."""
_JPEG_QUALITY = 92


@dataclass(frozen=True, kw_only=True)
class SceneConfig:
    """What scenes look like."""

    width_px: int = 4000
    """Of a scene."""
    height_px: int = 3000
    """Of a scene."""
    pictures: int = 3
    """In a scene, side by side, never enlarged."""
    count: int | None = None
    """Scenes; None: as many as there are groups for."""
    seed: int = 0
    """Everything random follows from it."""


@dataclass(frozen=True, kw_only=True)
class Scene:
    """One composed picture."""

    pixels: Pixels
    """(H, W, 3) uint8 sRGB."""
    labels: tuple[bool | None, ...]
    """Per class: on any of its pictures, on none, or unknown."""
    masks: tuple[Pixels | None, ...]
    """Per class: (H, W) uint8 of 0, 128, 255, where any of its pictures has one."""


def write_scenes(
    pictures: Sequence[TruthPicture],
    class_names: Sequence[str],
    split: str,
    folder: Path,
    config: SceneConfig,
) -> Path:
    """Write scenes as a labelled set: pictures, masks and the label file, which is returned.

    Args:
        pictures: what is placed, and backgrounds.
        class_names: classes whose labels and masks are carried along.
        split: what the scenes are marked as.
        folder: where it is written.
        config: what scenes look like.

    Raises:
        DataError: there are too few pictures, or one cannot be read.
    """
    rows = []
    composed = scenes(pictures, config)
    for number, scene in enumerate(tqdm(composed, unit="scene", desc="scenes")):
        stem = f"scene-{number:04d}"
        rows.append(_write(scene, stem, class_names, folder) | {"split": split, "group": stem})
    label_file = folder / "labels.csv"
    with label_file.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return label_file


def scenes(pictures: Sequence[TruthPicture], config: SceneConfig) -> Iterator[Scene]:
    """Compose scenes of one picture of each group at most, so that scenes are independent.

    Raises:
        DataError: there are too few groups for one scene.
    """
    rng = np.random.default_rng(config.seed)
    backgrounds = [one for one in pictures if one.picture.is_background]
    by_group: dict[str, list[TruthPicture]] = {}
    for one in pictures:
        if not one.picture.is_background:
            by_group.setdefault(one.picture.group or str(one.picture.path), []).append(one)
    chosen = [members[rng.integers(len(members))] for members in by_group.values()]
    rng.shuffle(chosen)
    most = len(chosen) // config.pictures
    if most < 1:
        raise DataError(
            f"expected pictures of hands of at least {config.pictures} groups, found "
            f"{len(chosen)}. Give fewer --pictures, or label more."
        )
    for number in range(most if config.count is None else min(most, config.count)):
        placed = chosen[number * config.pictures : (number + 1) * config.pictures]
        behind = backgrounds[rng.integers(len(backgrounds))] if backgrounds else None
        yield _compose(placed, behind, config, rng)


def _compose(
    placed: Sequence[TruthPicture],
    behind: TruthPicture | None,
    config: SceneConfig,
    rng: np.random.Generator,
) -> Scene:
    height, width = config.height_px, config.width_px
    if behind is None:
        canvas = plain_background(height, width, rng)
    else:
        canvas = fill_from(_pixels(behind), height, width, rng)
    count = len(placed[0].masks)
    masks = [np.zeros((height, width), np.uint8) for _ in range(count)]
    column_px = width // len(placed)
    for column, one in enumerate(placed):
        pixels = _pixels(one)
        truths = [_truth(one, index, pixels) for index in range(count)]
        scale = min(1.0, column_px / pixels.shape[1], height / pixels.shape[0])
        pixels = _shrunk(pixels, cv2.INTER_AREA, scale)
        truths = [_shrunk(truth, cv2.INTER_NEAREST, scale) for truth in truths]
        rows, columns = pixels.shape[:2]
        x = column * column_px + int(rng.integers(column_px - columns + 1))
        y = int(rng.integers(height - rows + 1))
        _paste(canvas[y : y + rows, x : x + columns], pixels)
        for mask, truth in zip(masks, truths, strict=True):
            mask[y : y + rows, x : x + columns] = truth
    shown = [*placed, behind] if behind is not None else placed
    labels = tuple(_any_of([one.picture.labels[index] for one in shown]) for index in range(count))
    has_mask = (mask if (mask == FEATURE).any() else None for mask in masks)
    return Scene(pixels=canvas, labels=labels, masks=tuple(has_mask))


def _pixels(one: TruthPicture) -> Pixels:
    return decode(one.picture.path.read_bytes(), DecodeLimits()).pixels


def _truth(one: TruthPicture, class_index: int, pixels: Pixels) -> Pixels:
    height, width = pixels.shape[:2]
    if not one.scored(class_index):
        return np.full((height, width), NOT_SCORED, np.uint8)
    return one.mask(class_index, height, width)


def _shrunk(plane: Pixels, method: int, scale: float) -> Pixels:
    if scale == 1:
        return plane
    height, width = (max(1, int(side * scale)) for side in plane.shape[:2])
    return np.asarray(cv2.resize(plane, (width, height), interpolation=method), np.uint8)


def _paste(canvas: Pixels, pixels: Pixels) -> None:
    """Put pixels on a part of a canvas of their size, in place, with soft edges."""
    edges = [
        np.minimum(np.arange(side) + 1, side - np.arange(side)) / SOFT_EDGE_PX
        for side in pixels.shape[:2]
    ]
    alpha = np.minimum(1, np.minimum(edges[0][:, None], edges[1][None, :]))[..., None]
    canvas[...] = (pixels * alpha + canvas * (1 - alpha)).astype(np.uint8)


def _any_of(labels: Sequence[bool | None]) -> bool | None:
    if True in labels:
        return True
    return None if None in labels else False


def _write(scene: Scene, stem: str, class_names: Sequence[str], folder: Path) -> dict[str, str]:
    """Write picture and masks; the row of the label file, without split and group."""
    path = folder / "images" / f"{stem}.jpg"
    for part in (path.parent, folder / "truth"):
        part.mkdir(parents=True, exist_ok=True)
    quality = [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY]
    named = []
    written = cv2.imwrite(str(path), cv2.cvtColor(scene.pixels, cv2.COLOR_RGB2BGR), quality)
    for name, mask in zip(class_names, scene.masks, strict=True):
        if mask is not None:
            written &= cv2.imwrite(str(folder / "truth" / f"{stem}__{name}.png"), mask)
            named.append(name)
    if not written:
        raise DataError(f"{path} or its masks could not be written")
    told = {True: "1", False: "0", None: ""}
    labels = {n: told[label] for n, label in zip(class_names, scene.labels, strict=True)}
    return {
        "file": f"images/{stem}.jpg", "kind": "hand", "source": "scenes",
        "truth": ";".join(named),
    } | labels  # fmt: skip
