"""What an earlier run has left for a picture, and whether a run may go on with it."""

import hashlib
from pathlib import Path
from typing import Any

from hunique_client.result_folder import ResultExistsError
from hunique_client.results import Status


def sha256(source: str | bytes) -> str:
    """Of a picture; empty where it cannot be read, or not twice, as a pipe."""
    if isinstance(source, bytes):
        return hashlib.sha256(source).hexdigest()
    try:
        if not Path(source).is_file():
            return ""
        with Path(source).open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except (OSError, ValueError):
        return ""


def is_assessable(earlier: dict[str, Any]) -> bool:
    """Whether a document has a class that could be assessed."""
    findings = earlier.get("findings")
    statuses = [
        one.get("status")
        for one in (findings if isinstance(findings, list) else ())
        if isinstance(one, dict)
    ]
    return Status.PRESENT in statuses or Status.ABSENT in statuses


def refuse_other_result(
    stem: str, earlier: dict[str, Any] | None, *, overwrite: bool, incomplete: bool
) -> None:
    """Refuse a document that is there and is not the wanted one.

    Args:
        stem: of the document.
        earlier: what it says; empty where it cannot be read, None where there is none.
        overwrite: whether it may go.
        incomplete: whether it is the wanted one but for its files.

    Raises:
        ResultExistsError: it may not go.
    """
    if earlier is None or overwrite:
        return
    fault = "is of another picture or model"
    if not earlier:
        fault = "cannot be read"
    elif incomplete:
        fault = "names files that are gone or have changed"
    raise ResultExistsError(
        f"{stem}.hunique.json is there and {fault}: choose another --out folder, or say --overwrite"
    )
