"""A folder of bundles, DIR/NAME/VERSION/manifest.json: what is there, and one of them opened.

Nothing outside of the folder is ever opened, whatever is asked for and wherever links lead.
"""

from collections.abc import Callable
from pathlib import Path

from hunique_models.bundle import MANIFEST_NAME, Bundle
from hunique_models.errors import BundleFormatError
from hunique_server.errors import NoSuchBundleError
from hunique_server.model_reference import ModelReference, is_model_name, is_model_version
from hunique_server.version_order import newest_first


class RepositoryFolder:
    """Looks each time it is asked, so that bundles may come and go.

    Args:
        path: the folder.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        """The folder."""

    def names(self) -> list[str]:
        """Names of which there is a version, in order."""
        return [name for name in _entries(self.path, is_model_name) if self.versions(name)]

    def versions(self, name: str) -> list[str]:
        """Versions of a name, the newest first; none where there is no such name."""
        if not is_model_name(name):
            return []
        folder = self.path / name
        found = _entries(folder, is_model_version)
        return newest_first(v for v in found if (folder / v / MANIFEST_NAME).is_file())

    def references(self) -> list[ModelReference]:
        """Every version of every name."""
        return [ModelReference(name, v) for name in self.names() for v in self.versions(name)]

    def choose(self, name: str, versions: tuple[str, ...] = (), newest: int = 1) -> list[str]:
        """Versions of a name that are there, the newest first.

        Args:
            name: of the model.
            versions: these; empty: as many as `newest` says.
            newest: how many of the newest; 0: all.

        Raises:
            NoSuchBundleError: it has not got them.
        """
        there = self.versions(name)
        missing = [version for version in versions if version not in there]
        if not there or missing:
            wanted = ModelReference(name, missing[0] if missing else "")
            what = f"versions {', '.join(there[:8])}" if there else "no model of that name"
            raise NoSuchBundleError(f"The model repository has no '{wanted}': it has {what}.")
        return newest_first(set(versions)) if versions else there[: newest or None]

    def open(self, reference: ModelReference) -> Bundle:
        """Open a version; its digests held.

        Raises:
            NoSuchBundleError: it is not there, or a link leads out of the folder.
            BundleError: it does not open, or calls itself otherwise.
        """
        self.choose(reference.name, (reference.version,))
        path = self.path / reference.name / reference.version
        if not path.resolve().is_relative_to(self.path.resolve()):
            raise NoSuchBundleError(f"'{reference}' lies outside of the model repository.")
        bundle = Bundle.open(path)
        manifest = bundle.manifest
        if (manifest.name, manifest.version) != (reference.name, reference.version):
            raise BundleFormatError(
                f"expected the bundle of '{reference}' in the folder of that name, found that of "
                f"'{manifest.name}:{manifest.version}'; a bundle lies in NAME/VERSION of its own"
            )
        return bundle


def _entries(folder: Path, is_wanted: Callable[[str], bool]) -> list[str]:
    """Names of what lies in a folder, in order; nothing where it is not there."""
    try:
        return sorted(entry.name for entry in folder.iterdir() if is_wanted(entry.name))
    except (FileNotFoundError, NotADirectoryError):
        return []
