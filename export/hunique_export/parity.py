"""Proof that an exported graph says what the trained network says.

Real pictures go through the served geometry twice, once through torch and once through
ONNX Runtime, and the labels of all pixels are compared.
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
IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".tif", ".tiff", ".bmp", ".heic")


@dataclass(frozen=True, kw_only=True)
class ParityPictures:
    """What the proof is made with."""

    pixels: Sequence[NDArray[np.uint8]]
    """(H, W, 3) uint8 sRGB each."""
    kind: str
    """What they are, for the manifest."""


def load_pictures(folder: Path | None, count: int) -> ParityPictures:
    """Up to `count` pictures, spread evenly over a folder, or drawn hands where none is given.

    Raises:
        ParityError: the folder holds no readable picture.
    """
    if folder is None:
        hands = [draw_hand(seed, size_px=(600, 800)).pixels for seed in range(count)]
        return ParityPictures(pixels=hands, kind="drawn hands")
    paths = sorted(p for p in folder.rglob("*") if p.suffix.lower() in IMAGE_SUFFIXES)
    chosen = paths[:: max(1, len(paths) // count)][:count]
    pixels = list(_decode_all(chosen))
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
) -> Parity:
    """Run both engines over the pictures.

    Args:
        manifest: geometry and thresholds.
        reference: the network that was trained.
        candidate: the exported graph.
        pictures: what to run.
    """
    pipeline = Pipeline(manifest)
    equal = total = 0
    worst_probability, worst_score = 0, 0.0
    for pixels in pictures.pixels:
        looks = pipeline.look_at(pixels, Detail.STANDARD)
        seen = [pipeline.see(pixels, looks, engine) for engine in (reference, candidate)]
        labels = [label_map(pipeline.merge(one, pixels), manifest) for one in seen]
        first, second = (one.output for one in seen)
        equal += int((labels[0] == labels[1]).sum())
        total += labels[0].size
        gap = np.abs(first.probability.astype(np.int16) - second.probability)
        worst_probability = max(worst_probability, int(gap.max()))
        worst_score = max(worst_score, float(np.abs(first.score - second.score).max()))
    return Parity(
        reference=_name(reference),
        candidate=_name(candidate),
        pictures=len(pictures.pixels),
        picture_kind=pictures.kind,
        pixel_label_agreement=round(equal / total, 7),
        max_probability_difference=worst_probability,
        max_score_difference=float(f"{worst_score:.3g}"),
    )


def label_map(probability: NDArray[np.uint8], manifest: Manifest) -> NDArray[np.uint8]:
    """(C, H, W) probabilities to (H, W) labels: 0, or 1 + the strongest class if it is enough."""
    strongest = probability.argmax(axis=0)
    thresholds = np.array([round(spec.pixel_threshold * 255) for spec in manifest.classes])
    enough = probability.max(axis=0) >= np.maximum(thresholds, 1)[strongest]
    return np.where(enough, strongest + 1, 0).astype(np.uint8)


def require_agreement(parity: Parity) -> None:
    """Refuse a graph that fails.

    Raises:
        ParityError: with the figures.
    """
    if parity.pixel_label_agreement < MIN_LABEL_AGREEMENT:
        raise ParityError(
            f"Expected the same label on at least {MIN_LABEL_AGREEMENT:.1%} of pixels, found "
            f"{parity.pixel_label_agreement:.3%} on {parity.pictures} {parity.picture_kind} "
            f"(largest difference of a probability {parity.max_probability_difference}/255). "
            "No bundle was written."
        )


def _name(engine: Engine) -> str:
    info = engine.describe()
    versions = " ".join(f"{k} {v}" for k, v in info.runtime_versions.items())
    return f"{info.name} ({versions})"
