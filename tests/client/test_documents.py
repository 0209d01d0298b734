"""Documents follow docs/result.schema.json, and the schema catches those that do not."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from hunique_client import HuniqueClient
from hunique_client.documents import document, error_document
from hunique_client.result_folder import ResultFolder
from hunique_client.results import read_response
from hunique_proto.v1 import hand_features_pb2 as pb

SCHEMA = Path(__file__).resolve().parents[2] / "docs" / "result.schema.json"

Break = Callable[[dict[str, Any]], object]


@pytest.fixture(scope="module")
def validator() -> Draft202012Validator:
    """The published schema, itself valid."""
    schema = json.loads(SCHEMA.read_text(encoding="utf-8"))
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema)


@pytest.fixture
def values(client: HuniqueClient, picture: bytes) -> dict[str, Any]:
    """A document with a tattoo."""
    result = client.segment(picture, outputs=["mask_rle", "polygon"])
    return dict(json.loads(document("hand.jpg", result)))


def test_documents_of_every_kind(
    client: HuniqueClient,
    validator: Draft202012Validator,
    picture: bytes,
    tiny_picture: bytes,
    tmp_path: Path,
) -> None:
    """Found, absent, skipped, not assessable, with and without outputs, in a folder, an error."""
    full = client.segment(picture, outputs=["mask_png", "polygon", "overlay"])
    folder = ResultFolder(tmp_path)
    texts = [
        document("hand.jpg", client.segment(picture, outputs=["mask_rle", "polygon"])),
        document("hand.jpg", client.segment(picture, outputs=["scores_only"], detail="fast")),
        document("hand.jpg", client.segment(picture, classes=["ring"])),
        document("stdin", client.segment(tiny_picture)),
        folder.write(folder.stems.reserve("hand.jpg"), "hand.jpg", full).read_text(
            encoding="utf-8"
        ),
        error_document("hand.jpg", "expected an image, found none"),
    ]
    for text in texts:
        validator.validate(json.loads(text))
    statuses = {one["status"] for text in texts for one in json.loads(text).get("findings", ())}
    assert statuses == {"present", "absent", "skipped", "not_assessable"}


def test_document_says_what_the_result_says(client: HuniqueClient, picture: bytes) -> None:
    """Name, class, score, box, outline and digest come through unchanged, on one line."""
    result = client.segment(picture, outputs=["mask_rle", "polygon"])
    text = document("hand\n.jpg", result)
    assert "\n" not in text
    values = json.loads(text)
    assert values["picture"] == "hand\n.jpg"
    assert values["provenance"] == json.loads(json.dumps(dict(result.provenance)))
    (tattoo,) = result["tattoo"].instances
    (found,) = values["findings"][0]["instances"]
    box = tattoo.box
    assert found["box_xywh_px"] == [box.x_px, box.y_px, box.width_px, box.height_px]
    assert found["polygon_px"] == [[list(point) for point in line] for line in tattoo.polygon]
    assert found["mask_rle"] == tattoo.mask_rle
    assert values["findings"][0]["score"] == result["tattoo"].score
    assert values["review"] == "not reviewed"


def test_outer_line_comes_first() -> None:
    """Lines around holes follow it, in whatever order a server sends them."""
    hole = pb.Ring(coordinates_px=[2, 2, 4, 2, 4, 4, 2, 4], hole=True)
    outer = pb.Ring(coordinates_px=[0, 0, 6, 0, 6, 6, 0, 6])
    finding = pb.ClassFinding(
        class_name="tattoo",
        status="STATUS_PRESENT",
        instances=[pb.Instance(index=1, polygon=[hole, outer])],
    )
    text = document("hand.jpg", read_response(pb.SegmentResponse(findings=[finding])))
    (found,) = json.loads(text)["findings"][0]["instances"]
    assert found["polygon_px"] == [
        [[0, 0], [6, 0], [6, 6], [0, 6]],
        [[2, 2], [4, 2], [4, 4], [2, 4]],
    ]


def test_same_result_same_document(client: HuniqueClient, picture: bytes) -> None:
    """But for its timings a document can be written again to the byte."""

    def without_timings() -> str:
        result = client.segment(picture)
        values = json.loads(document("hand.jpg", result))
        del values["provenance"]["timings_ns"]
        return json.dumps(values)

    assert without_timings() == without_timings()


BREAKS: dict[str, Break] = {
    "no version": lambda v: v.pop("schema_version"),
    "another version": lambda v: v.update(schema_version=2),
    "no digest": lambda v: v["provenance"].pop("input_sha256"),
    "half a digest": lambda v: v["provenance"].update(input_sha256="abc"),
    "no model": lambda v: v["provenance"].pop("model"),
    "unknown status": lambda v: v["findings"][0].update(status="maybe"),
    "score above one": lambda v: v["findings"][0].update(score=1.5),
    "present without instance": lambda v: v["findings"][0].update(instances=[]),
    "absent with instance": lambda v: v["findings"][0].update(status="absent"),
    "no reason": lambda v: v["findings"][1].update(status="not_assessable", reason=""),
    "no findings": lambda v: v.update(findings=[]),
    "box of three": lambda v: v["findings"][0]["instances"][0]["box_xywh_px"].pop(),
    "no measure": lambda v: v["findings"][0]["instances"][0]["measurements"].pop("solidity"),
    "file elsewhere": lambda v: v["files"].update(overlay={"file": "../a.jpg", "sha256": "0" * 64}),
    "both": lambda v: v.update(error="and yet there is a result"),
}


@pytest.mark.parametrize("name", BREAKS)
def test_broken_document(
    validator: Draft202012Validator, values: dict[str, Any], name: str
) -> None:
    """A document that is broken in one place does not pass."""
    assert validator.is_valid(values)
    BREAKS[name](values)
    assert not validator.is_valid(values)


def test_broken_error_document(validator: Draft202012Validator) -> None:
    """An error without its words does not pass."""
    assert not validator.is_valid(json.loads(error_document("hand.jpg", "")))
