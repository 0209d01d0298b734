"""The manifest of a bundle: what the model is, in one readable file.

The manifest names every other file of the bundle with its SHA-256; the SHA-256 of the
manifest itself therefore pins the whole bundle, and stands in every result.
"""

import dataclasses
import json
from dataclasses import dataclass, field
from importlib.resources import files
from math import isfinite
from typing import Any, Self

import jsonschema

from hunique_models.colour_refinement import ColourRefinement
from hunique_models.errors import BundleFormatError
from hunique_models.geometry import Geometry

_MOST_DIGITS = 20
"""Of a whole number in a manifest; sizes of files have fewer."""

SCHEMA_VERSION = 1


@dataclass(frozen=True, kw_only=True)
class FileDigest:
    """Identity of one file of the bundle."""

    sha256: str
    """Lower-case hexadecimal."""
    size_bytes: int
    """Length of the file."""


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """score = sigmoid(scale * logit(raw score) + offset), fitted on validation pictures."""

    scale: float = 1.0
    """Steepness."""
    offset: float = 0.0
    """Shift."""


@dataclass(frozen=True, kw_only=True)
class ClassSpec:
    """One class of the model."""

    name: str
    """As requests and findings name it."""
    definition: str
    """What counts as the feature and what does not."""
    colour: str
    """For overlays, sRGB "#rrggbb"."""
    presence_threshold: float
    """Calibrated score from which the class counts as present, 0 to 1."""
    pixel_threshold: float
    """Pixel probability from which a pixel belongs to the mask, 0 to 1."""
    min_area_share: float = 0.0
    """Instances that cover a smaller share of the picture are dropped."""
    calibration: Calibration = field(default_factory=Calibration)
    """From the network's score to a probability."""
    obscured_by: tuple[str, ...] = ()
    """Classes that hide this one: where they are present and this one is not found, it is
    not assessable rather than absent."""
    in_overview: bool = False
    """Whether the overview has a part in its mask, where the geometry has an overview."""
    refinement: ColourRefinement | None = None
    """How the picture's colours move its borders; None: they lie where the network drew them."""


@dataclass(frozen=True, kw_only=True)
class Parity:
    """How closely the exported graph follows the network that was trained."""

    reference: str
    """What was compared against, with version."""
    candidate: str
    """What was compared, with version."""
    pictures: int
    """How many pictures went through both."""
    picture_kind: str
    """Which pictures they were."""
    pixel_label_agreement: float
    """Share of pixels with the same label through the served geometry, 0 to 1."""
    max_probability_difference: int
    """Largest difference of a pixel probability, in steps of 1/255."""
    max_score_difference: float
    """Largest difference of an image-level score."""


@dataclass(frozen=True, kw_only=True)
class KnownAnswer:
    """What the model said of one drawn hand when it was exported: the start-up self-test."""

    seed: int
    """Seed of the drawn hand."""
    height_px: int
    """Its height."""
    width_px: int
    """Its width."""
    scores: dict[str, float]
    """Calibrated score by class."""
    areas_px: dict[str, int]
    """Pixels found by class."""
    score_tolerance: float = 0.02
    """Allowed difference of a score."""
    area_tolerance_share: float = 0.05
    """Allowed difference of an area, as a share of it."""


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """Everything that must be known to serve a model and to answer for its results."""

    name: str
    """Name of the model."""
    version: str
    """Version of the model."""
    created_utc: str
    """When it was exported, ISO 8601."""
    licence: str
    """Terms of the model."""
    intended_use: str
    """What it is for and what it must not be used for."""
    training_data_statement: str
    """What it learned from."""
    geometry: Geometry
    """How pictures are shown to it."""
    classes: tuple[ClassSpec, ...]
    """In channel order."""
    files: dict[str, FileDigest] = field(default_factory=dict)
    """Every other file of the bundle by its name."""
    parity: Parity | None = None
    """Proof of export."""
    known_answer: KnownAnswer | None = None
    """Self-test at start."""
    training: dict[str, Any] = field(default_factory=dict)
    """The run that made it: configuration, data digests, versions."""
    schema_version: int = SCHEMA_VERSION
    """Version of this format."""

    @property
    def class_names(self) -> tuple[str, ...]:
        """Names in channel order."""
        return tuple(spec.name for spec in self.classes)

    @property
    def plane_count(self) -> int:
        """Planes of the network's map: one a class, and that of hands where there is one."""
        return len(self.classes) + self.geometry.hand_plane

    def to_json(self) -> str:
        """Stable, readable JSON."""
        return json.dumps(dataclasses.asdict(self), indent=2, sort_keys=True) + "\n"

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Read and check a manifest.

        Raises:
            BundleFormatError: not JSON, not of the published schema, or at odds with itself.
        """
        try:
            values = json.loads(
                text, parse_constant=_refuse_constant, parse_float=_finite, parse_int=_exact
            )
        except (ValueError, RecursionError) as error:
            raise BundleFormatError(f"manifest.json is not JSON: {error}") from error
        _check(values)
        values["geometry"] = Geometry(**_tuples(values["geometry"]))
        values["classes"] = tuple(_class_spec(spec) for spec in values["classes"])
        values["files"] = {name: FileDigest(**digest) for name, digest in values["files"].items()}
        values["parity"] = values["parity"] and Parity(**values["parity"])
        values["known_answer"] = values["known_answer"] and KnownAnswer(**values["known_answer"])
        manifest = cls(**values)
        _check_names(manifest)
        return manifest


def schema() -> dict[str, Any]:
    """The JSON Schema of manifests, as published in the documentation."""
    text = files("hunique_models").joinpath("manifest.schema.json").read_text(encoding="utf-8")
    loaded: dict[str, Any] = json.loads(text)
    return loaded


def _check(values: object) -> None:
    errors = sorted(
        jsonschema.Draft202012Validator(schema()).iter_errors(values), key=lambda e: e.json_path
    )
    if errors:
        first = errors[0]
        raise BundleFormatError(
            f"manifest.json does not follow its schema at {first.json_path}: {first.message[:200]} "
            f"({len(errors)} faults in all; see docs/manifest.schema.json)"
        )


def _check_names(manifest: Manifest) -> None:
    """What a schema cannot say: names of classes are distinct, and the self-test has them all."""
    names = set(manifest.class_names)
    if len(names) != len(manifest.classes):
        raise BundleFormatError(
            f"manifest.json: expected distinct classes, found {', '.join(manifest.class_names)}"
        )
    answer = manifest.known_answer
    if answer and not names == set(answer.scores) == set(answer.areas_px):
        raise BundleFormatError(
            f"manifest.json: expected a known answer for each of {', '.join(sorted(names))}; "
            f"found scores of {', '.join(sorted(answer.scores))} "
            f"and areas of {', '.join(sorted(answer.areas_px))}"
        )


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no number of JSON")


def _finite(text: str) -> float:
    value = float(text)
    if not isfinite(value):
        raise ValueError(f"{text[:40]} is too large a number")
    return value


def _exact(text: str) -> int:
    if len(text) > _MOST_DIGITS:
        raise ValueError(f"{text[:40]} is too large a number")
    return int(text)


def _class_spec(values: dict[str, Any]) -> ClassSpec:
    refinement = values.get("refinement")
    built = {
        "calibration": Calibration(**values["calibration"]),
        "refinement": refinement and ColourRefinement(**refinement),
    }
    return ClassSpec(**{**_tuples(values), **built})


def _tuples(values: dict[str, Any]) -> dict[str, Any]:
    return {k: tuple(v) if isinstance(v, list) else v for k, v in values.items()}
