"""Running a model over the pictures of a split, through the pipeline that serves."""

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from hunique_models.engine import Engine
from hunique_models.errors import InputError
from hunique_models.geometry import Detail
from hunique_models.manifest import Manifest
from hunique_models.pipeline import Pipeline
from hunique_models.seeing import Seen
from hunique_training.evaluation.borders import BorderRule
from hunique_training.evaluation.evidence import PictureEvidence, gather_evidence
from hunique_training.evaluation.truth import TruthPicture, read_truth

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class SplitRequest:
    """Which pictures are looked at, and how."""

    csv_path: Path
    """Label file, truth masks beside it."""
    split: str = "val"
    """Rows of the file that count."""
    detail: Detail = Detail.STANDARD
    """How closely to look."""
    border_rule: BorderRule | None = None
    """Where borders are counted; None leaves them out, for choosing thresholds."""


@dataclass(frozen=True, kw_only=True)
class PictureScores:
    """What a model says of a picture as a whole."""

    labels: tuple[bool | None, ...]
    """Image-level labels."""
    raw_scores: NDArray[np.float32]
    """(C,) image-level probability, not calibrated."""


def scores_of_split(
    manifest: Manifest, engine: Engine, csv_path: Path, *, split: str, detail: Detail
) -> list[PictureScores]:
    """Scores alone of every readable picture of a split; they rest on no threshold.

    Raises:
        DataError: the label file cannot be used.
    """
    pipeline, found = Pipeline(manifest), []
    pictures = read_truth(csv_path, manifest.class_names, split)
    for truth in tqdm(pictures, unit="picture", desc="scoring", smoothing=0.05):
        try:
            prepared = pipeline.prepare(truth.picture.path.read_bytes(), detail)
        except (InputError, OSError) as error:
            logger.warning("left out %s: %s", truth.picture.path, error)
            continue
        seen = pipeline.see(prepared.picture.pixels, prepared.looks, engine)
        found.append(PictureScores(labels=truth.picture.labels, raw_scores=seen.scores()))
    return found


def evidence_of_split(
    manifest: Manifest, engine: Engine, csv_path: Path, *, split: str, detail: Detail
) -> list[PictureEvidence]:
    """Counts by probability for every readable picture of a split, for choosing thresholds."""
    request = SplitRequest(csv_path=csv_path, split=split, detail=detail)
    return list(stream_evidence(manifest, engine, request))


def stream_evidence(
    manifest: Manifest, engine: Engine, request: SplitRequest
) -> Iterator[PictureEvidence]:
    """The same picture by picture, so that none needs to be kept.

    Raises:
        DataError: the label file or a mask cannot be used.
    """
    pipeline = Pipeline(manifest)
    pictures = read_truth(request.csv_path, manifest.class_names, request.split)
    for truth in tqdm(pictures, unit="picture", desc="evaluating", smoothing=0.05):
        try:
            yield look_at(pipeline, engine, truth, request.detail, request.border_rule)
        except (InputError, OSError) as error:
            logger.warning("left out %s: %s", truth.picture.path, error)


def look_at(
    pipeline: Pipeline,
    engine: Engine,
    truth: TruthPicture,
    detail: Detail = Detail.STANDARD,
    border_rule: BorderRule | None = None,
) -> PictureEvidence:
    """Counts by probability for one picture.

    Raises:
        InputError, OSError: the picture cannot be read.
        DataError: a mask cannot be used.
    """
    prepared = pipeline.prepare(truth.picture.path.read_bytes(), detail)
    pixels = prepared.picture.pixels
    seen = pipeline.see(pixels, prepared.looks, engine)
    return count_pixels(pipeline, truth, pixels, seen, border_rule)


def count_pixels(
    pipeline: Pipeline,
    truth: TruthPicture,
    pixels: NDArray[np.uint8],
    seen: Seen,
    border_rule: BorderRule | None = None,
) -> PictureEvidence:
    """Counts by probability for one picture (H, W, 3) uint8 sRGB that has been seen.

    Raises:
        DataError: a mask cannot be used.
    """
    merged = _enlarged(pipeline.merge(seen, pixels), pixels.shape[0], pixels.shape[1])
    return gather_evidence(truth, merged, seen.scores(), border_rule)


def _enlarged(planes: NDArray[np.uint8], height: int, width: int) -> NDArray[np.uint8]:
    """Planes (C, h, w) at the picture's size, as when serving; most have it already."""
    if planes.shape[1:] == (height, width):
        return planes
    sized = [cv2.resize(p, (width, height), interpolation=cv2.INTER_LINEAR) for p in planes]
    return np.stack(sized).astype(np.uint8, copy=False)
