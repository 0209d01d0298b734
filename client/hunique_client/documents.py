"""One picture's result as a JSON document; its schema is docs/result.schema.json."""

import dataclasses
import json
from typing import Any

from hunique_client.results import ClassResult, Instance, SegmentResult

SCHEMA_VERSION = 1
NOT_REVIEWED = "not reviewed"
"""What `review` says until a person writes something else there."""


def document(name: str, result: SegmentResult, mask_files: dict[str, Any] | None = None) -> str:
    """The document of one picture, on one line.

    Args:
        name: the picture as the caller knows it.
        result: the answer.
        mask_files: by "class" or "class.N": file name and SHA-256 of masks written beside it.
    """
    values = {
        "schema_version": SCHEMA_VERSION,
        "picture": name,
        "provenance": dict(result.provenance),
        "findings": [_finding(one) for one in result.classes],
        "files": mask_files or {},
        "review": NOT_REVIEWED,
    }
    return json.dumps(values, sort_keys=True)


def error_document(name: str, message: str) -> str:
    """The document of a picture that could not be served, on one line."""
    return json.dumps({"schema_version": SCHEMA_VERSION, "picture": name, "error": message})


def picture_and_model(values: Any) -> tuple[str, str]:
    """SHA-256 of the picture and of the model of a document; empty where it does not say."""

    def member(of: Any, name: str) -> Any:
        return of.get(name) if isinstance(of, dict) else None

    provenance = member(values, "provenance")
    digests = member(provenance, "input_sha256"), member(member(provenance, "model"), "sha256")
    return str(digests[0] or ""), str(digests[1] or "")


def _finding(finding: ClassResult) -> dict[str, Any]:
    return {
        "class": finding.name,
        "status": finding.status.value,
        "reason": finding.reason,
        "score": finding.score,
        "presence_threshold": finding.presence_threshold,
        "area_px": finding.area_px,
        "instances": [_instance(instance) for instance in finding.instances],
    }


def _instance(instance: Instance) -> dict[str, Any]:
    values: dict[str, Any] = {
        "index": instance.index,
        "score": instance.score,
        "box_xywh_px": list(dataclasses.astuple(instance.box)),
        "area_px": instance.area_px,
        "polygon_px": [[list(point) for point in line] for line in instance.polygon],
        "measurements": dict(instance.measurements),
    }
    if instance.mask_rle is not None:
        values["mask_rle"] = dict(instance.mask_rle)
    return values
