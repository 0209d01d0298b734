"""A folder of pseudo-labels: one index PNG a picture, and a manifest that says whose they are.

    manifest.json               the model's digest, settings, counts; complete: true when finished
    labels/<stem>-<digest>.png  (H, W) of the upright picture: 0 background, 1 to C, 255 ignored

The digest is that of the picture's content, so labels are found wherever pictures stand.
"""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from hunique_training.data.duplicates import content_digests
from hunique_training.data.labels import DataError, LabelledPicture
from hunique_training.second_stage.label_source import PixelLabel

FORMAT = "hunique-pseudo-labels-1"
DIGEST_LENGTH = 16
"""Hexadecimal digits of a picture's SHA-256 in the name of its labels."""


def label_path(folder: Path, picture: Path) -> Path:
    """Where the labels of a picture stand."""
    digest = hashlib.sha256(picture.read_bytes()).hexdigest()[:DIGEST_LENGTH]
    return folder / "labels" / f"{picture.stem}-{digest}.png"


def write_index_png(path: Path, labels: NDArray[np.uint8]) -> None:
    """Write (H, W) uint8 labels, whole or not at all."""
    done, encoded = cv2.imencode(".png", labels)
    if not done:
        raise DataError(f"{path}: labels of shape {labels.shape} could not be written as PNG")
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    partial.write_bytes(encoded.tobytes())
    partial.replace(path)


def read_index_png(path: Path) -> NDArray[np.uint8]:
    """Read (H, W) uint8 labels.

    Raises:
        DataError: not a grey PNG.
    """
    labels = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    if labels is None or labels.ndim != 2 or labels.dtype != np.uint8:
        raise DataError(f"{path}: expected an 8-bit index PNG, found none. Write the labels again.")
    return np.asarray(labels, np.uint8)


def read_manifest(folder: Path) -> dict[str, Any]:
    """The manifest of a folder, finished or not; empty where there is none.

    Raises:
        DataError: it is of another format.
    """
    path = folder / "manifest.json"
    if not path.is_file():
        return {}
    values = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(values, dict) or values.get("format") != FORMAT:
        raise DataError(f"{path}: expected a manifest of {FORMAT}, found another file")
    return values


def write_manifest(folder: Path, values: dict[str, Any]) -> None:
    """Write the manifest, whole or not at all."""
    folder.mkdir(parents=True, exist_ok=True)
    partial = folder / "manifest.partial"
    text = json.dumps({"format": FORMAT} | values, indent=2) + "\n"
    partial.write_text(text, encoding="utf-8")
    partial.replace(folder / "manifest.json")


class PseudoLabelFolder:
    """A finished folder of pseudo-labels, as a source of labels.

    Raises:
        DataError: there is none, or it is not finished.
    """

    def __init__(self, folder: Path) -> None:
        self._manifest = read_manifest(folder)
        if not self._manifest.get("complete"):
            raise DataError(
                f"{folder}: expected finished pseudo-labels with a manifest.json, found "
                f"{'unfinished ones' if self._manifest else 'none'}. Run hunique-train "
                "pseudo-labels into it; it goes on where it stopped."
            )
        self._folder = folder
        self._by_digest = {
            path.stem.rpartition("-")[2]: path for path in (folder / "labels").glob("*.png")
        }
        self._of_picture: dict[Path, Path] = {}

    @property
    def class_names(self) -> tuple[str, ...]:
        """Classes of the labels, in the order of their numbers from 1."""
        return tuple(self._manifest["class_names"])

    @property
    def supervision(self) -> str:
        """That of the model that made the labels."""
        return str(self._manifest["supervision"])

    @property
    def facts(self) -> dict[str, Any]:
        """The manifest."""
        return dict(self._manifest)

    def require(self, pictures: Sequence[LabelledPicture]) -> None:
        """Find the labels of pictures by content.

        Raises:
            DataError: some have none.
        """
        digests = content_digests(picture.path for picture in pictures)
        missing = [p for p, d in digests.items() if d[:DIGEST_LENGTH] not in self._by_digest]
        if missing:
            raise DataError(
                f"{self._folder}: expected labels of {len(digests)} pictures, {len(missing)} have "
                f"none, e.g. {missing[0]}. Give the same --data as to pseudo-labels, or run it again."
            )
        found = {p: self._by_digest[d[:DIGEST_LENGTH]] for p, d in digests.items()}
        self._of_picture |= found

    def pixel_label(self, picture: LabelledPicture, size: tuple[int, int]) -> PixelLabel:
        """Labels of a picture that `require` has seen, at `size` = (height, width)."""
        labels = read_index_png(self._of_picture[picture.path])
        labelled = set(np.unique(labels).tolist())
        sized = cv2.resize(labels, size[::-1], interpolation=cv2.INTER_NEAREST)
        return PixelLabel(
            labels=np.asarray(sized, np.uint8),
            open_classes=tuple(
                label is True and c not in labelled for c, label in enumerate(picture.labels, 1)
            ),
        )
