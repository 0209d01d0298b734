"""A manifest says the same after it was written and read, and nothing faulty is believed."""

import dataclasses
import json
from typing import Any

import pytest

from hunique_models.bundle import Bundle
from hunique_models.colour_refinement import ColourRefinement
from hunique_models.errors import BundleFormatError
from hunique_models.geometry import LevelMean
from hunique_models.manifest import Manifest, schema


@pytest.fixture
def values(tiny_bundle: Bundle) -> dict[str, Any]:
    """A valid manifest as JSON values."""
    loaded: dict[str, Any] = json.loads(tiny_bundle.manifest.to_json())
    return loaded


def test_manifest_comes_back_the_same(tiny_bundle: Bundle) -> None:
    """Reading what was written gives an equal manifest, and writing that the same bytes."""
    text = tiny_bundle.manifest.to_json()
    again = Manifest.from_json(text)
    assert again == tiny_bundle.manifest
    assert again.to_json() == text
    assert again.known_answer is not None


def test_refinements_come_back_by_class(tiny_bundle: Bundle) -> None:
    """One class refined, the others not."""
    first, *others = tiny_bundle.manifest.classes
    refined = dataclasses.replace(first, refinement=ColourRefinement(colour_weight=0.25))
    manifest = dataclasses.replace(tiny_bundle.manifest, classes=(refined, *others))
    again = Manifest.from_json(manifest.to_json())
    assert [spec.refinement for spec in again.classes][:2] == [refined.refinement, None]
    assert again == manifest


def test_manifest_from_before_means_what_it_meant(values: dict[str, Any]) -> None:
    """Without the words for sizes and refinement there is no enlargement, overview, refinement."""
    for word in ("overview_zoom", "max_tile_zoom", "level_mean", "sight_share"):
        del values["geometry"][word]
    for spec in values["classes"]:
        del spec["in_overview"], spec["refinement"]
    manifest = Manifest.from_json(json.dumps(values))
    assert manifest.geometry.overview_zoom == 0
    assert manifest.geometry.max_tile_zoom == 1
    assert manifest.geometry.sight_share == 0
    assert manifest.geometry.level_mean is LevelMean.PROBABILITY
    assert not any(spec.in_overview or spec.refinement for spec in manifest.classes)


def test_published_schema_is_the_one_in_use(request: pytest.FixtureRequest) -> None:
    """The schema in the documentation is the schema that is checked against."""
    published = request.config.rootpath / "docs" / "manifest.schema.json"
    assert json.loads(published.read_text(encoding="utf-8")) == schema()


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("schema_version", 2),
        ("name", "Not A Name"),
        ("version", "1"),
        ("licence", ""),
        ("geometry.input_size_px", 0),
        ("geometry.pad_value", [0, 0]),
        ("geometry.level_mean", "median"),
        ("geometry.overview_zoom", 1.5),
        ("geometry.max_tile_zoom", 0.5),
        ("geometry.sight_share", 1.5),
        ("classes.0.refinement", {"colour_weight": -1}),
        ("classes.0.refinement", {"blur": 1}),
        ("classes", []),
        ("classes.0.presence_threshold", 1.5),
        ("classes.0.colour", "red"),
        ("classes.0.calibration.scale", 0),
        ("files", {}),
        ("files", {"model.onnx": {"sha256": "0" * 63, "size_bytes": 1}}),
        ("files", {"../outside": {"sha256": "0" * 64, "size_bytes": 1}}),
        ("known_answer.scores", {"tattoo": 2}),
        ("surprise", 1),
    ],
)
def test_faulty_manifest_is_refused(path: str, value: object, values: dict[str, Any]) -> None:
    """Each fault is refused with the place of the fault in the message."""
    *parents, last = [int(part) if part.isdigit() else part for part in path.split(".")]
    node: Any = values
    for part in parents:
        node = node[part]
    node[last] = value
    with pytest.raises(BundleFormatError, match=r"schema at \$"):
        Manifest.from_json(json.dumps(values))


def test_what_is_no_number_is_refused(values: dict[str, Any]) -> None:
    """A threshold of NaN, which Python would read, would silently call everything absent."""
    values["classes"][0]["presence_threshold"] = float("nan")
    with pytest.raises(BundleFormatError, match="NaN"):
        Manifest.from_json(json.dumps(values))


def test_endless_numbers_are_refused(values: dict[str, Any]) -> None:
    """A number too large to be one is read as infinite: with such a tolerance all tests pass."""
    values["known_answer"]["score_tolerance"] = 0.123
    text = json.dumps(values).replace("0.123", "1e999")
    with pytest.raises(BundleFormatError, match="1e999"):
        Manifest.from_json(text)


@pytest.mark.parametrize("number", ["1" + 400 * "0", "2"])
def test_tolerances_that_allow_everything_are_refused(values: dict[str, Any], number: str) -> None:
    """A score lies between 0 and 1, so with a tolerance above 1 all tests pass."""
    values["known_answer"]["score_tolerance"] = 0.123
    with pytest.raises(BundleFormatError):
        Manifest.from_json(json.dumps(values).replace("0.123", number))


def test_missing_field_is_refused(values: dict[str, Any]) -> None:
    """A field left out is named."""
    del values["training_data_statement"]
    with pytest.raises(BundleFormatError, match="training_data_statement"):
        Manifest.from_json(json.dumps(values))


@pytest.mark.parametrize("text", ["", "{", "[1, 2]", "null", '"tiny"', "[" * 100_000])
def test_other_json_is_refused(text: str) -> None:
    """What is no JSON object is refused like any faulty manifest."""
    with pytest.raises(BundleFormatError):
        Manifest.from_json(text)


def test_known_answer_must_cover_every_class(values: dict[str, Any]) -> None:
    """A self-test that would not look at a class is a fault of the manifest."""
    del values["known_answer"]["scores"]["ring"]
    with pytest.raises(BundleFormatError, match="ring"):
        Manifest.from_json(json.dumps(values))


def test_class_names_are_distinct(values: dict[str, Any]) -> None:
    """Two classes of one name could not be told apart in a result."""
    values["classes"][1]["name"] = values["classes"][0]["name"]
    with pytest.raises(BundleFormatError, match="tattoo"):
        Manifest.from_json(json.dumps(values))
