"""A folder of tiny bundles, each a little different, good ones and bad ones."""

import dataclasses
import shutil
from pathlib import Path

from hunique_models.bundle import Bundle, write_bundle


class Shelf:
    """Writes bundles NAME/VERSION of the tiny graph into a model repository."""

    def __init__(self, path: Path, tiny: Bundle) -> None:
        self.path = path
        self.tiny = tiny
        """What all of them are like."""
        path.mkdir(exist_ok=True)

    def add(self, name: str, version: str, graph: bytes = b"", **changes: object) -> Bundle:
        """A bundle of that name and version, which gives the tiny bundle's answers.

        Args:
            name: of the model.
            version: of the model.
            graph: another network.
            changes: other values of its manifest.
        """
        manifest = dataclasses.replace(
            self.tiny.manifest,
            name=name,
            version=version,
            **changes,  # type: ignore[arg-type]
        )
        graph = graph or self.tiny.model_path.read_bytes()
        return write_bundle(
            self.path / name / version, manifest, {"model.onnx": graph}, replace=True
        )

    def remove(self, name: str, version: str) -> None:
        """Take a bundle away."""
        shutil.rmtree(self.path / name / version)
