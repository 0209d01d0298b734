"""What training tests share: the reference vectors and a small labelled folder."""

import csv
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from hunique_models.drawn import CLASS_NAMES, draw_hand

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
