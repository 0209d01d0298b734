"""Running a model over the pictures of a split, through the pipeline that serves."""

import logging
from collections.abc import Sequence
from pathlib import Path

from tqdm import tqdm

from hunique_models.engine import Engine
from hunique_models.errors import InputError
from hunique_models.geometry import Detail
from hunique_models.manifest import Manifest
from hunique_models.pipeline import Pipeline, picture_scores
from hunique_training.evaluation.evidence import PictureEvidence, gather_evidence
from hunique_training.evaluation.truth import TruthPicture, read_truth

logger = logging.getLogger(__name__)


def evidence_of_split(
    manifest: Manifest, engine: Engine, csv_path: Path, *, split: str, detail: Detail
) -> list[PictureEvidence]:
    """Counts by probability for every readable picture of a split."""
    pipeline = Pipeline(manifest)
    pictures = read_truth(csv_path, manifest.class_names, split)
    return list(_gather(pipeline, engine, pictures, detail))


def _gather(
    pipeline: Pipeline, engine: Engine, pictures: Sequence[TruthPicture], detail: Detail
) -> list[PictureEvidence]:
    gathered = []
    for truth in tqdm(pictures, unit="picture", desc="evaluating", smoothing=0.05):
        try:
            prepared = pipeline.prepare(truth.picture.path.read_bytes(), detail)
        except (InputError, OSError) as error:
            logger.warning("left out %s: %s", truth.picture.path, error)
            continue
        output = engine.run(prepared.looks.tiles)
        picture = prepared.picture
        merged = pipeline.merge(
            prepared.looks, output.probability, picture.height_px, picture.width_px
        )
        gathered.append(gather_evidence(truth, merged, picture_scores(output.score)))
    return gathered
