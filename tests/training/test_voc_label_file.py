"""The label file that `compare` needs of Pascal VOC: a mask a class from one index map."""

import csv
import importlib.util
import json
from pathlib import Path
from types import ModuleType

import cv2
import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from hunique_training.evaluation.truth import read_truth


@pytest.fixture(scope="module")
def script() -> ModuleType:
    """The benchmark's module."""
    file = Path(__file__).parents[2] / "benchmarks" / "voc_label_file.py"
    spec = importlib.util.spec_from_file_location("voc_label_file", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _voc(folder: Path) -> None:
    """A cat (8) beside a chair (9) on `a` of val; a dog on `b` of train."""
    for name in ("JPEGImages", "SegmentationClass", "ImageSets/Segmentation"):
        (folder / name).mkdir(parents=True)
    (folder / "image_labels.json").write_text(json.dumps({"a": ["cat", "chair"], "b": ["dog"]}))
    for stem, split in (("a", "val"), ("b", "train")):
        cv2.imwrite(str(folder / "JPEGImages" / f"{stem}.jpg"), np.zeros((4, 6, 3), np.uint8))
        (folder / "ImageSets/Segmentation" / f"{split}.txt").write_text(f"{stem}\n")
        index = np.zeros((4, 6), np.uint8)
        index[0, :2], index[1, :2], index[2] = (8, 9, 255) if stem == "a" else (12, 12, 255)
        picture = Image.fromarray(index)
        picture.putpalette([value for n in range(256) for value in (n, 255 - n, n // 2)])
        picture.save(folder / "SegmentationClass" / f"{stem}.png")


def test_masks_and_labels_follow_the_index_maps(tmp_path: Path, script: ModuleType) -> None:
    """Other classes and VOC's 255 are not scored; of train there are labels alone."""
    _voc(tmp_path / "voc")
    words = [
        str(tmp_path / "voc"),
        "--class",
        "cat",
        "--class",
        "dog",
        "--out",
        str(tmp_path / "o"),
    ]
    done = CliRunner().invoke(script.main, words, catch_exceptions=False)
    assert done.exit_code == 0, done.output
    file = tmp_path / "o" / "labels.csv"
    (truth,) = read_truth(file, ("cat", "dog"), "val")
    assert truth.picture.labels == (True, False)
    expected = np.zeros((4, 6), np.uint8)
    expected[0, :2], expected[1, :2], expected[2] = 255, 128, 128
    assert np.array_equal(truth.mask(0, 4, 6), expected)
    with file.open(encoding="utf-8") as stream:
        train, _ = csv.DictReader(stream)
    assert (train["split"], train["dog"], train["truth"]) == ("train", "1", "")
    assert [mask.name for mask in (tmp_path / "o" / "truth").iterdir()] == ["a__cat.png"]
