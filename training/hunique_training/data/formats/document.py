"""Annotation documents: JSON and XML files, with their faults told in sentences."""

import json
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element, ParseError, fromstring

from hunique_training.data.labels import DataError

_HEAD_BYTES = 8192


def head_of(path: Path) -> str:
    """The beginning of a text file, without white space before it; for telling formats apart."""
    with path.open("rb") as stream:
        return stream.read(_HEAD_BYTES).decode("utf-8-sig", errors="replace").lstrip()


def read_json(path: Path) -> Any:
    """The value in a JSON file.

    Raises:
        DataError: it is no JSON.
    """
    try:
        return json.loads(path.read_bytes())
    except ValueError as error:
        raise DataError(
            f"{path}: expected JSON, found a fault: {error}. Export it anew."
        ) from error


def read_xml(path: Path) -> Element:
    """The root of an XML file. A document type is refused: no annotation tool writes one.

    Raises:
        DataError: it is no XML, or declares a document type.
    """
    data = path.read_bytes()
    if b"<!DOCTYPE" in data or b"<!ENTITY" in data:
        raise DataError(f"{path}: expected annotations, found a document type. Export it anew.")
    try:
        return fromstring(data)  # noqa: S314 # without a document type there are no entities
    except ParseError as error:
        raise DataError(f"{path}: expected XML, found a fault: {error}. Export it anew.") from error
