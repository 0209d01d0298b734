"""Results in a folder: a document, masks and an overlay for each picture.

    NAME.hunique.json    findings, provenance, digests of the files below
    NAME.CLASS.N.png     the mask of instance N, 1 bit, upright picture's size
    NAME.overlay.jpg     everything drawn on the picture

Two pictures of one name get NAME and NAME-2, in the order in which they were given. A
result that is there is not overwritten unless that was asked for, and never where a person
has reviewed it. The document is written last: where it stands, everything it names is
complete.
"""

import contextlib
import errno
import hashlib
import json
from pathlib import Path
from typing import Any

from hunique_client.documents import NOT_REVIEWED, document, picture_and_model
from hunique_client.errors import HuniqueClientError
from hunique_client.results import SegmentResult
from hunique_client.stems import Stems

DOCUMENT_SUFFIX = ".hunique.json"


class ResultExistsError(HuniqueClientError):
    """A result of that name is there already."""

    exit_code = 5


class ResultNotWrittenError(HuniqueClientError):
    """The folder cannot be written."""

    exit_code = 5


class FolderNotWritableError(ResultNotWrittenError):
    """Nothing more can be written to the folder, whatever the picture is."""


_OF_THE_FOLDER = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES)


class ResultFolder:
    """Writes results.

    Args:
        folder: made if missing.
        overwrite: whether results that are there may go.

    Raises:
        ResultNotWrittenError: the folder cannot be made.
    """

    def __init__(self, folder: Path, *, overwrite: bool = False) -> None:
        self._folder = folder
        self._overwrite = overwrite
        self.stems = Stems(self._picture_of)
        """Names for the results of this run."""
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ResultNotWrittenError(f"{folder} cannot be made: {error.strerror}") from error

    def earlier(self, stem: str) -> dict[str, Any] | None:
        """The document that stands there; None where there is none, empty where it is broken."""
        try:
            values = json.loads(self._document_path(stem).read_bytes())
        except FileNotFoundError:
            return None
        except (OSError, ValueError):
            return {}
        return values if isinstance(values, dict) else {}

    def _picture_of(self, stem: str) -> str | None:
        earlier = self.earlier(stem)
        return None if earlier is None else picture_and_model(earlier)[0]

    def holds(self, earlier: dict[str, Any]) -> bool:
        """Whether every file that an earlier document names is there as it was written."""
        named = earlier.get("files")
        entries = named.values() if isinstance(named, dict) else ()
        return all(self._is_as_written(entry) for entry in entries)

    def _is_as_written(self, entry: Any) -> bool:
        try:
            with (self._folder / Path(entry["file"]).name).open("rb") as stream:
                digest = hashlib.file_digest(stream, "sha256").hexdigest()
            return bool(digest == entry["sha256"])
        except (OSError, ValueError, LookupError, TypeError):
            return False

    def check_free(self, stem: str) -> None:
        """Refuse to replace a result, unless that was asked for and nobody has reviewed it.

        Raises:
            ResultExistsError: it is there.
            ResultNotWrittenError: whether it is cannot be found out.
        """
        target = self._document_path(stem)
        try:
            if not target.exists():
                return
            reviewed = self._overwrite and _may_be_reviewed(target)
        except OSError as error:
            raise ResultNotWrittenError(f"{target} cannot be read: {error.strerror}") from error
        if not self._overwrite:
            raise ResultExistsError(
                f"{target} exists: choose another --out folder, or say --overwrite, or say "
                "--resume to leave out what is done"
            )
        if reviewed:
            raise ResultExistsError(
                f"{target} has been reviewed and is not replaced: move it away, or say --resume "
                "to leave out what is done, or choose another --out folder"
            )

    def write(self, stem: str, name: str, result: SegmentResult) -> Path:
        """Write everything of one picture; returns the document's path.

        Args:
            stem: as reserved.
            name: the picture's file name or path.
            result: the answer, with masks as PNG.

        Raises:
            ResultExistsError: it is there, and may not be overwritten or has been reviewed.
            FolderNotWritableError: the disk is full, or the folder takes no more files.
            ResultNotWrittenError: something else is in the way.
        """
        self.check_free(stem)
        pictures = _pictures(stem, result)
        digests = {
            key: {"file": file, "sha256": hashlib.sha256(data).hexdigest()}
            for key, (file, data) in pictures.items()
        }
        target = self._document_path(stem)
        text = document(Path(name).name, result, digests) + "\n"
        try:
            self._replace(stem, result, {**dict(pictures.values()), target.name: text.encode()})
        except OSError as error:
            if error.errno in _OF_THE_FOLDER:
                raise FolderNotWritableError(
                    f"{self._folder} cannot be written: {error.strerror}; go on with --resume "
                    "once it can"
                ) from error
            raise ResultNotWrittenError(
                f"the result could not be written: {error.strerror}"
            ) from error
        return target

    def _document_path(self, stem: str) -> Path:
        return self._folder / f"{stem}{DOCUMENT_SUFFIX}"

    def _replace(self, stem: str, result: SegmentResult, files: dict[str, bytes]) -> None:
        """Put files in the place of an earlier result once all of them are on the disk."""
        partials = {name: self._folder / f".{name}.partial" for name in files}
        try:
            for name, partial in partials.items():
                partial.write_bytes(files[name])
            self._remove_earlier(stem, result)
            for name, partial in partials.items():
                partial.replace(self._folder / name)
        except BaseException:
            for partial in partials.values():
                with contextlib.suppress(OSError):
                    partial.unlink(missing_ok=True)
            raise

    def _remove_earlier(self, stem: str, result: SegmentResult) -> None:
        """Remove what an earlier result has and the new one may not have."""
        named = (self.earlier(stem) or {}).get("files")
        self._document_path(stem).unlink(missing_ok=True)
        for entry in named.values() if isinstance(named, dict) else ():
            file = str(entry.get("file", "")) if isinstance(entry, dict) else ""
            if file == Path(file).name and file.startswith(f"{stem}."):
                (self._folder / file).unlink(missing_ok=True)
        for finding in result.classes:
            self._remove_masks(stem, finding.name)

    def _remove_masks(self, stem: str, class_name: str) -> None:
        """Remove masks 1, 2, ... that a run left which did not come to its document."""
        number = 0
        while (self._folder / f"{stem}.{class_name}.{number + 1}.png").exists():
            number += 1
        for index in range(number, 0, -1):  # from the last: what is interrupted leaves no gap
            (self._folder / f"{stem}.{class_name}.{index}.png").unlink()


def _pictures(stem: str, result: SegmentResult) -> dict[str, tuple[str, bytes]]:
    """File name and content of masks and overlay, by what a document calls them."""
    pictures = {
        f"{finding.name}.{instance.index}": (
            f"{stem}.{finding.name}.{instance.index}.png",
            instance.mask_png,
        )
        for finding in result.classes
        for instance in finding.instances
        if instance.mask_png
    }
    if result.overlay_jpeg:
        pictures["overlay"] = (f"{stem}.overlay.jpg", result.overlay_jpeg)
    return pictures


def _may_be_reviewed(document_file: Path) -> bool:
    """Whether a person wrote into a document; a broken one is searched for the word of nobody."""
    data = document_file.read_bytes()
    try:
        return bool(json.loads(data).get("review", NOT_REVIEWED) != NOT_REVIEWED)
    except (ValueError, AttributeError):
        return b'"review"' in data and f'"{NOT_REVIEWED}"'.encode() not in data
