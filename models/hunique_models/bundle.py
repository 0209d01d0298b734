"""A bundle: the folder that export writes and the server opens.

It holds `manifest.json` and the files that the manifest names with their SHA-256, first
of all `model.onnx`. A bundle whose files are not exactly those is not opened.
"""

import dataclasses
import hashlib
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from hunique_models.errors import BundleDigestError, BundleError, BundleFormatError
from hunique_models.manifest import FileDigest, Manifest

MANIFEST_NAME = "manifest.json"
MODEL_NAME = "model.onnx"


def default_bundle_path() -> Path:
    """The model that comes with the package."""
    return Path(__file__).parent / "bundled" / "default"


@dataclass(frozen=True, kw_only=True)
class Bundle:
    """A bundle whose digests held when it was opened."""

    path: Path
    """The folder."""
    manifest: Manifest
    """What it says of itself."""
    sha256: str
    """Of `manifest.json`, and so of everything in the bundle."""

    @classmethod
    def open(cls, path: Path) -> "Bundle":
        """Open a bundle and check every file of it.

        Raises:
            BundleFormatError: no bundle, or a manifest that does not follow the schema.
            BundleDigestError: a file is missing, changed, or not named by the manifest.
        """
        manifest_path = path / MANIFEST_NAME
        if not manifest_path.is_file():
            raise BundleFormatError(
                f"Expected a bundle with a {MANIFEST_NAME} at {path}, found none. "
                "`hunique-export onnx` writes bundles."
            )
        raw = manifest_path.read_bytes()
        try:
            manifest = Manifest.from_json(raw.decode("utf-8"))
        except UnicodeDecodeError as error:
            raise BundleFormatError(f"{manifest_path} is not UTF-8 text") from error
        for name, digest in manifest.files.items():
            _check_file(path / name, digest)
        _refuse_strangers(path, manifest)
        return cls(path=path, manifest=manifest, sha256=hashlib.sha256(raw).hexdigest())

    @property
    def model_path(self) -> Path:
        """The ONNX graph."""
        return self.path / MODEL_NAME


def _check_file(path: Path, expected: FileDigest) -> None:
    if path.is_symlink() or not path.is_file():
        raise BundleDigestError(f"The manifest names {path.name}, but {path} is no plain file")
    found = digest_file(path)
    if found != expected:
        raise BundleDigestError(
            f"{path}: expected SHA-256 {expected.sha256} ({expected.size_bytes} bytes), found "
            f"{found.sha256} ({found.size_bytes} bytes). The bundle was changed or copied in "
            "part: fetch it again."
        )


def _refuse_strangers(path: Path, manifest: Manifest) -> None:
    named = {MANIFEST_NAME, *manifest.files}
    strangers = sorted(entry.name for entry in path.iterdir() if entry.name not in named)
    if strangers:
        raise BundleDigestError(
            f"{path} holds files that its manifest does not name: {', '.join(strangers[:5])}. "
            "Remove them or export the bundle again."
        )


def _may_go(path: Path) -> bool:
    """Whether a folder is empty, or holds a readable manifest and plain files that it names."""
    if path.is_symlink() or not path.is_dir():
        return False
    try:
        entries = list(path.iterdir())
        if not all(entry.is_file() and not entry.is_symlink() for entry in entries):
            return False
        if not entries:
            return True
        manifest = Manifest.from_json((path / MANIFEST_NAME).read_text(encoding="utf-8"))
        _refuse_strangers(path, manifest)
    except (BundleError, OSError, UnicodeDecodeError):
        return False
    return True


def digest_file(path: Path) -> FileDigest:
    """SHA-256 and size of a file."""
    with path.open("rb") as stream:
        sha256 = hashlib.file_digest(stream, "sha256").hexdigest()
    return FileDigest(sha256=sha256, size_bytes=path.stat().st_size)


def write_bundle(
    path: Path, manifest: Manifest, contents: Mapping[str, bytes], *, replace: bool = False
) -> Bundle:
    """Write a bundle, whole or not at all, and open it.

    Args:
        path: the folder to make.
        manifest: its `files` are filled in here.
        contents: the bytes of each file by its name, `model.onnx` among them.
        replace: whether a bundle that is already there may go.

    Raises:
        BundleFormatError: something is there that may not be replaced, or the manifest does
            not follow the schema.
    """
    if path.exists() and not replace:
        raise BundleFormatError(
            f"{path} exists. Choose another folder, or say that it may be replaced (--force)."
        )
    if path.exists() and not _may_go(path):
        raise BundleFormatError(
            f"Expected a bundle to replace, an empty folder or none at {path}, found something else, "
            "or a bundle with other files beside it; it is left alone. Choose another folder, or "
            "remove it yourself."
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent))
    try:
        partial.chmod(0o755)
        for name, data in contents.items():
            (partial / name).write_bytes(data)
        digests = {name: digest_file(partial / name) for name in contents}
        complete = dataclasses.replace(manifest, files=digests)
        (partial / MANIFEST_NAME).write_text(complete.to_json(), encoding="utf-8")
        Bundle.open(partial)  # before it takes the place of another
        if path.exists():
            shutil.rmtree(path)
        partial.rename(path)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return Bundle.open(path)
