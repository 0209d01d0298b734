"""One picture's answer as JSON, for callers without our messages.

Provenance and findings are those of `docs/result.schema.json`, in the same rounding that
`hunique-client` writes, so that whoever reads the one reads the other.
"""

import json
from typing import Any

from hunique_proto.v1 import hand_features_pb2 as pb

SCHEMA_VERSION = 1


def result_document(response: pb.SegmentResponse) -> bytes:
    """The document of an answer without masks: `schema_version`, `provenance`, `findings`."""
    values = {
        "schema_version": SCHEMA_VERSION,
        "provenance": _provenance(response.provenance),
        "findings": [_finding(finding) for finding in response.findings],
    }
    return json.dumps(values, sort_keys=True).encode()


def _finding(finding: pb.ClassFinding) -> dict[str, Any]:
    return {
        "class": finding.class_name,
        "status": _word(pb.Status.Name(finding.status)),
        "reason": finding.reason,
        "score": round(finding.score, 6),
        "presence_threshold": round(finding.presence_threshold, 6),
        "area_px": sum(instance.area_px for instance in finding.instances),
        "instances": [_instance(instance) for instance in finding.instances],
    }


def _instance(instance: pb.Instance) -> dict[str, Any]:
    box = instance.box
    return {
        "index": instance.index,
        "score": round(instance.score, 6),
        "box_xywh_px": [box.x_px, box.y_px, box.width_px, box.height_px],
        "area_px": instance.area_px,
        "polygon_px": [],
        "measurements": {
            field.name: _rounded(getattr(instance.measurements, field.name))
            for field in pb.Measurements.DESCRIPTOR.fields
        },
    }


def _provenance(provenance: pb.Provenance) -> dict[str, Any]:
    model, raw, upright = provenance.model, provenance.raw_size, provenance.upright_size
    return {
        "input_sha256": provenance.input_sha256,
        "input_size_bytes": provenance.input_size_bytes,
        "input_format": provenance.input_format,
        "raw_size_px": [raw.width, raw.height],
        "upright_size_px": [upright.width, upright.height],
        "exif_orientation": provenance.exif_orientation,
        "frame_count": provenance.frame_count,
        "colour_profile": provenance.colour_profile,
        "detail": _word(pb.Detail.Name(provenance.detail)),
        "look_count": provenance.look_count,
        "hand_regions_xywh_px": [
            [one.x_px, one.y_px, one.width_px, one.height_px] for one in provenance.hand_regions
        ],
        "remarks": list(provenance.remarks),
        "model": {
            "name": model.name,
            "version": model.version,
            "sha256": model.sha256,
            "engine": model.engine,
            "runtime_versions": dict(model.runtime_versions),
        },
        "timings_ns": {
            field.name.removesuffix("_ns"): getattr(provenance.timings, field.name)
            for field in pb.Timings.DESCRIPTOR.fields
        },
    }


def _word(name: str) -> str:
    """STATUS_NOT_ASSESSABLE becomes not_assessable."""
    return name.partition("_")[2].lower()


def _rounded(value: Any) -> float | list[float]:
    return round(value, 4) if isinstance(value, float) else [round(one, 4) for one in value]
