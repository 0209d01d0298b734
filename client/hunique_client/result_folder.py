"""Results in a folder: a document, masks and an overlay for each picture.

    NAME.hunique.json    findings, provenance, digests of the files below
    NAME.CLASS.N.png     the mask of instance N, 1 bit, upright picture's size
    NAME.overlay.jpg     everything drawn on the picture

Two pictures of one name get NAME and NAME-2; a result that is there is not overwritten
unless that was asked for.
"""

import hashlib
from pathlib import Path

from hunique_client.documents import document
from hunique_client.errors import HuniqueClientError
from hunique_client.results import SegmentResult


class ResultExistsError(HuniqueClientError):
    """A result of that name is there already."""

    exit_code = 5


class ResultFolder:
    """Writes results.

    Args:
        folder: made if missing.
        overwrite: whether results that are there may go.
    """

    def __init__(self, folder: Path, *, overwrite: bool = False) -> None:
        self._folder = folder
        self._overwrite = overwrite
        self._taken: set[str] = set()
        folder.mkdir(parents=True, exist_ok=True)

    def write(self, name: str, result: SegmentResult) -> Path:
        """Write everything of one picture; returns the document's path.

        Args:
            name: the picture's file name or path.
            result: the answer, with masks as PNG.

        Raises:
            ResultExistsError: it is there and may not be overwritten.
        """
        stem = self._free_stem(Path(name).name)
        target = self._folder / f"{stem}.hunique.json"
        if target.exists() and not self._overwrite:
            raise ResultExistsError(
                f"{target} exists: choose another --out folder, or say --overwrite"
            )
        self._remove_old(stem)
        files = {
            f"{finding.name}.{instance.index}": self._write_file(
                f"{stem}.{finding.name}.{instance.index}.png", instance.mask_png
            )
            for finding in result.classes
            for instance in finding.instances
            if instance.mask_png
        }
        if result.overlay_jpeg:
            files["overlay"] = self._write_file(f"{stem}.overlay.jpg", result.overlay_jpeg)
        text = document(Path(name).name, result, files) + "\n"
        # the document comes last: where it stands, everything it names is complete
        self._write_file(target.name, text.encode())
        return target

    def _free_stem(self, name: str) -> str:
        stem, number = name, 1
        while stem in self._taken:
            number += 1
            stem = f"{name}-{number}"
        self._taken.add(stem)
        return stem

    def _remove_old(self, stem: str) -> None:
        """Masks of an earlier result, which the new one may not have."""
        (self._folder / f"{stem}.hunique.json").unlink(missing_ok=True)
        for old in self._folder.iterdir():
            if old.name.startswith(f"{stem}.") and old.suffix == ".png":
                old.unlink()

    def _write_file(self, name: str, data: bytes) -> dict[str, str]:
        partial = self._folder / f".{name}.partial"
        partial.write_bytes(data)
        partial.replace(self._folder / name)
        return {"file": name, "sha256": hashlib.sha256(data).hexdigest()}
