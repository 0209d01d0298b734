"""The JSON document of an answer, as callers of the Open Inference Protocol get it."""

import json
from pathlib import Path

import jsonschema

from hunique_client.documents import document
from hunique_client.results import read_response
from hunique_models.bundle import Bundle
from hunique_models.engine import FakeEngine
from hunique_models.pipeline import Pipeline
from hunique_proto.v1 import hand_features_pb2 as pb
from hunique_server.convert import read_wish, write_response
from hunique_server.result_document import result_document

SCHEMA = Path(__file__).resolve().parents[2] / "docs" / "result.schema.json"


def test_document_is_the_one_that_the_client_writes(tiny_bundle: Bundle, red_png: bytes) -> None:
    """Provenance and findings follow the published schema, to the last digit as the client's."""
    found = Pipeline(tiny_bundle.manifest).segment(red_png, FakeEngine(), wanted=("tattoo", "ring"))
    wish = read_wish(pb.SegmentRequest(outputs=[pb.OUTPUT_SCORES_ONLY]))
    model = pb.ModelIdentity(
        name="tiny", version="1", sha256="0" * 64, engine="fake", runtime_versions={"b": "1"}
    )
    response = write_response(found, wish, model, tiny_bundle.manifest)
    response.provenance.timings.total_ns = 5
    written = json.loads(result_document(response))
    expected = json.loads(document("a", read_response(response)))
    assert written == {key: expected[key] for key in ("schema_version", "provenance", "findings")}
    assert written["findings"][0]["instances"]
    schema = json.loads(SCHEMA.read_text(encoding="utf-8"))
    validator = jsonschema.Draft202012Validator(schema)
    validator.validate({**written, "picture": "a", "files": {}, "review": "not reviewed"})
