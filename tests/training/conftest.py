"""What training tests share: reference vectors, labelled folders, and a report of one."""

import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from click.testing import CliRunner, Result

from hunique_models.bundle import Bundle
from hunique_models.drawn import CLASS_NAMES, draw_hand
from hunique_training.cli import main

SIZE_PX = (96, 128)


@pytest.fixture(scope="session")
def vectors(shared: Path) -> Callable[[str], dict[str, torch.Tensor]]:
    """Reads the reference arrays of one function of CoSA's release, by file name."""

    def read(name: str) -> dict[str, torch.Tensor]:
        with np.load(shared / "method/vectors" / f"{name}.npz") as arrays:
            return {
                key: torch.from_numpy(np.asarray(arrays[key]))
                for key in arrays.files
                if arrays[key].dtype.kind in "fiub"
            }

    return read


@pytest.fixture(scope="session")
def labelled_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eight drawn close-ups with labels and truth masks: six to train on, two for `val`."""
    folder = tmp_path_factory.mktemp("labelled")
    (folder / "truth").mkdir()
    rows = [_write_picture(folder, number) for number in range(8)]
    with (folder / "labels.csv").open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, fieldnames=list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return folder


def _write_picture(folder: Path, number: int) -> dict[str, str]:
    features = (("ring", "polished_nail"), ("tattoo", "lunule"))[number % 2]
    hand = draw_hand(number, size_px=SIZE_PX, features=features, view="hand")
    name = f"hand-{number}.png"
    cv2.imwrite(str(folder / name), cv2.cvtColor(hand.pixels, cv2.COLOR_RGB2BGR))
    for feature in features:
        mask = hand.masks[feature].astype(np.uint8) * 255
        cv2.imwrite(str(folder / "truth" / f"hand-{number}__{feature}.png"), mask)
    return {
        "file": name,
        "split": "val" if number >= 6 else "train",
        "group": f"person-{number}",
        "source": ("camera A", "camera B")[number % 2],
        "truth": ";".join(features),
        **{feature: str(int(feature in features)) for feature in CLASS_NAMES},
    }


SQUARE_COLOURS = {"tattoo": (0, 0, 255), "ring": (0, 255, 0)}  # BGR
SQUARES = 24


def _write_square(folder: Path, number: int) -> dict[str, str]:
    """Grey, with a red square (tattoo) or a green one (ring); the seventh has a false label."""
    feature = ("tattoo", "ring", "")[number % 3]
    pixels = np.full((96, 128, 3), 128, np.uint8)
    mask = np.zeros((96, 128), np.uint8)
    mask[32:64, 32:64] = 255
    if feature:
        pixels[mask > 0] = SQUARE_COLOURS[feature]
        cv2.imwrite(str(folder / "truth" / f"anna-{number}__{feature}.png"), mask)
    cv2.imwrite(str(folder / f"anna-{number}.png"), pixels)
    return {
        "file": f"anna-{number}.png",
        "tattoo": str(int(feature == "tattoo")),
        "ring": "0" if number == 7 else str(int(feature == "ring")),
        "lunule": "",
        "polished_nail": "0",
        "split": "train" if number % 8 == 6 else "val",
        "group": f"person-{number // 2}",
        "source": ("lab", "<street>")[number // 12],
        "kind": "background" if number % 6 == 2 else "hand",
        "skin_tone": "medium" if number < 3 else "fair",
        "truth": feature if number != 7 else "",
    }


def write_squares(folder: Path, rows: list[dict[str, str]], **dialect: Any) -> None:
    """Write the label file anew."""
    with (folder / "labels.csv").open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, list(rows[0]), **dialect)
        writer.writeheader()
        writer.writerows(rows)


@pytest.fixture
def squares(tmp_path: Path) -> list[dict[str, str]]:
    """The rows of a labelled folder `data`, which is written."""
    (tmp_path / "data" / "truth").mkdir(parents=True)
    rows = [_write_square(tmp_path / "data", number) for number in range(SQUARES)]
    write_squares(tmp_path / "data", rows)
    return rows


@pytest.fixture(name="write_squares")
def _write_squares() -> Callable[..., None]:
    """Writes the label file of a folder anew."""
    return write_squares


@pytest.fixture
def validate(
    tmp_path: Path, squares: list[dict[str, str]], tiny_bundle: Bundle
) -> Callable[..., Result]:
    """Runs the command on the folder; the report is in `out`."""
    assert squares

    def run(*options: str) -> Result:
        command = ["validate", str(tiny_bundle.path), "--data", str(tmp_path / "data"),
                   "--out", str(tmp_path / "out"), "--resamples", "50"]  # fmt: skip
        return CliRunner().invoke(main, [*command, *options])

    return run
