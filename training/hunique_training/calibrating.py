"""Choosing a model's thresholds on `val`, and writing them into the model.

scores -> when a class counts as present -> masks as they will be served -> which pixels are its
"""

import dataclasses
import logging
from collections.abc import Sequence
from pathlib import Path

from hunique_models.geometry import Detail
from hunique_training.checkpoint import load_model, save_model
from hunique_training.evaluation.class_scores import ClassScores
from hunique_training.evaluation.operating_point import choose_operating_point, choose_presence
from hunique_training.evaluation.run import evidence_of_split, scores_of_split
from hunique_training.evaluation.table import as_json, as_text, score_classes
from hunique_training.evaluation.torch_engine import TorchEngine
from hunique_training.evaluation.truth import first_with_masks, read_truth
from hunique_training.manifest import manifest_of

logger = logging.getLogger(__name__)


def calibrate(model_path: Path, csv_path: Path, detail: Detail = Detail.STANDARD) -> None:
    """Choose the operating point of a model on the `val` split and write it into the model.

    Pictures are looked at twice: which looks have a say in a mask rests on when a class counts
    as present, and pixel thresholds are chosen on masks as they will be served. Those of classes
    that no mask shows stay 0.5, which is told.
    """
    model = load_model(model_path)
    engine, names = TorchEngine(model.network), model.network.config.class_names
    # what was chosen before decides nothing, or choosing again would choose otherwise
    blank = manifest_of(dataclasses.replace(model, operating_point={}))
    scored = scores_of_split(blank, engine, csv_path, split="val", detail=detail)
    presence = {name: choose_presence(scored, c) for c, name in enumerate(names)}
    manifest = manifest_of(dataclasses.replace(model, operating_point=presence))
    evidence = evidence_of_split(manifest, engine, csv_path, split="val", detail=detail)
    points = {name: choose_operating_point(evidence, c) for c, name in enumerate(names)}
    chosen = dataclasses.replace(model, operating_point=points)
    save_model(model_path, chosen)
    scores = score_classes(evidence, manifest_of(chosen))
    (model_path.parent / "validation.json").write_text(as_json(scores), encoding="utf-8")
    logger.info("on val, label-free, thresholds chosen on it:\n%s", as_text(scores))
    _warn_of_unchosen(scores, csv_path)


def calibrate_on_val(model_path: Path, label_files: Sequence[Path]) -> None:
    """`calibrate` a trained model on one label file of its run, if any has pictures of `val`.

    It is the first with masks there. Without any masks it is the first with `val`.

    Raises:
        DataError: a label file cannot be used.
    """
    names = load_model(model_path).network.config.class_names
    with_val = [file for file in label_files if read_truth(file, names, "val")]
    chosen = first_with_masks(with_val, names) or next(iter(with_val), None)
    if chosen is None:
        return
    if len(with_val) > 1:
        logger.info("thresholds are chosen on val of %s alone", chosen)
    calibrate(model_path, chosen)


def _warn_of_unchosen(scores: Sequence[ClassScores], csv_path: Path) -> None:
    without = [one.name for one in scores if not one.masks]
    missed = [one.name for one in scores if one.masks and not one.iou > 0]
    for names, reason in (
        (without, "val has no truth mask of them (column truth of the label file)"),
        (missed, "the model finds nothing of what their masks on val show"),
    ):
        if names:
            logger.warning(
                "%s: the pixel threshold of %s stays 0.5: %s", csv_path, ", ".join(names), reason
            )
