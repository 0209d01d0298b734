"""Proof that an exported graph says what the trained network says.

Real pictures go through the served geometry twice, once through torch and once through
ONNX Runtime; the labels of all pixels, probabilities and image-level scores are compared. Most
pixels show no feature, so those that either finds one on are also counted by themselves.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hunique_export.errors import ParityError
from hunique_models.drawn import draw_hand
from hunique_models.engine import Engine
from hunique_models.errors import InputError
from hunique_models.geometry import Detail
from hunique_models.image import decode
from hunique_models.manifest import Manifest, Parity
from hunique_models.pipeline import Pipeline

MIN_LABEL_AGREEMENT = 0.999
"""Share of pixels that must have the same label."""
MIN_FEATURE_AGREEMENT = 0.99
"""The same of pixels on which either finds a class. Borders may move where a probability is rounded
otherwise; bundled models have 100 %."""
MAX_PROBABILITY_DIFFERENCE = 4
"""Steps of 1/255 that a pixel probability may differ by. Rounding makes 1."""
MAX_SCORE_DIFFERENCE = 1e-3
"""How much an image-level score may differ. Bundled models differ by 2e-6."""
IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".tif", ".tiff", ".bmp", ".heic")


@dataclass(frozen=True, kw_only=True)
class ParityPictures:
    """What the proof is made with."""

    pixels: Sequence[NDArray[np.uint8]]
    """(H, W, 3) uint8 sRGB each."""
    kind: str
    """What they are, for the manifest."""


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """How closely a graph follows the network."""

    parity: Parity
    """What the manifest says of it."""
    feature_agreement: float
    """Share of the pixels on which either finds a class that have the same label, 0 to 1; 1 where
    neither finds any."""


def load_pictures(folder: Path | None, count: int) -> ParityPictures:
    """Up to `count` pictures, spread evenly over a folder, or drawn hands where none is given.

    Raises:
        ParityError: the folder holds no readable picture.
    """
    if folder is None:
        hands = [draw_hand(seed, size_px=(600, 800)).pixels for seed in range(count)]
        return ParityPictures(pixels=hands, kind="drawn hands")
    paths = sorted(p for p in folder.rglob("*") if p.suffix.lower() in IMAGE_SUFFIXES)
    places = np.linspace(0, len(paths) - 1, min(count, len(paths))).round().astype(int)
    pixels = list(_decode_all(paths[place] for place in places))
    if not pixels:
        raise ParityError(f"Expected readable pictures in {folder}, found none")
    return ParityPictures(pixels=pixels, kind="photographs")


def _decode_all(paths: Iterable[Path]) -> Iterable[NDArray[np.uint8]]:
    from hunique_models.image import DecodeLimits

    for path in paths:
        try:
            yield decode(path.read_bytes(), DecodeLimits()).pixels
        except InputError:
            continue


def compare(
    manifest: Manifest, reference: Engine, candidate: Engine, pictures: ParityPictures
) -> Comparison:
    """Run both engines over the pictures.

    Args:
        manifest: geometry and thresholds.
        reference: the network that was trained.
        candidate: the exported graph.
        pictures: what to run.
    """
    pipeline = Pipeline(manifest)
    counts = np.zeros((2, 2), np.int64)
    probability_gaps, score_gaps = [], []
    for pixels in pictures.pixels:
        looks = pipeline.look_at(pixels, Detail.STANDARD)
        seen = [pipeline.see(pixels, looks, engine) for engine in (reference, candidate)]
        labels = [label_map(pipeline.merge(one, pixels), manifest) for one in seen]
        first, second = (one.output for one in seen)
        counts += _counts(*labels)
        gap = np.abs(first.probability.astype(np.int16) - second.probability)
        probability_gaps.append(gap.max())
        score_gaps.append(np.abs(first.score - second.score).max())
    (equal, total), (equal_features, features) = counts.tolist()
    parity = Parity(
        reference=_name(reference),
        candidate=_name(candidate),
        pictures=len(pictures.pixels),
        picture_kind=pictures.kind,
        pixel_label_agreement=round(equal / total, 7),
        max_probability_difference=int(np.max(probability_gaps)),
        max_score_difference=float(f"{np.max(score_gaps):.3g}"),
    )
    agreement = equal_features / features if features else 1.0
    return Comparison(parity=parity, feature_agreement=agreement)


def _counts(first: NDArray[np.uint8], second: NDArray[np.uint8]) -> NDArray[np.int64]:
    """[[equal, all], [equal, all of those that either finds a class on]] pixels of two label maps."""
    equal, found = first == second, (first > 0) | (second > 0)
    return np.array([[equal.sum(), equal.size], [(equal & found).sum(), found.sum()]], np.int64)


def label_map(probability: NDArray[np.uint8], manifest: Manifest) -> NDArray[np.uint8]:
    """(C, H, W) probabilities to (H, W) labels: 0, or 1 + the strongest class if it is enough."""
    strongest = probability.argmax(axis=0)
    thresholds = np.array([round(spec.pixel_threshold * 255) for spec in manifest.classes])
    enough = probability.max(axis=0) >= np.maximum(thresholds, 1)[strongest]
    return np.where(enough, strongest + 1, 0).astype(np.uint8)


def require_agreement(comparison: Comparison) -> None:
    """Refuse a graph that fails.

    Raises:
        ParityError: with the figures.
    """
    parity, features = comparison.parity, comparison.feature_agreement
    checks = {
        f"the same label on at least {MIN_LABEL_AGREEMENT:.1%} of pixels, found "
        f"{parity.pixel_label_agreement:.3%}": parity.pixel_label_agreement >= MIN_LABEL_AGREEMENT,
        f"the same label on at least {MIN_FEATURE_AGREEMENT:.1%} of pixels that either finds a "
        f"class on, found {features:.3%}": features >= MIN_FEATURE_AGREEMENT,
        f"probabilities that differ by at most {MAX_PROBABILITY_DIFFERENCE}/255, found "
        f"{parity.max_probability_difference}/255": (
            parity.max_probability_difference <= MAX_PROBABILITY_DIFFERENCE
        ),
        f"scores that differ by at most {MAX_SCORE_DIFFERENCE}, found "
        f"{parity.max_score_difference}": parity.max_score_difference <= MAX_SCORE_DIFFERENCE,
    }
    failed = [told for told, passed in checks.items() if not passed]
    if failed:
        raise ParityError(
            f"Expected {'; '.join(failed)}; on {parity.pictures} {parity.picture_kind}. "
            "No bundle was written."
        )


def _name(engine: Engine) -> str:
    info = engine.describe()
    versions = " ".join(f"{k} {v}" for k, v in info.runtime_versions.items())
    return f"{info.name} ({versions})"
