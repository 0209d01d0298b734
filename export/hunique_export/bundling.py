"""From a checkpoint to a bundle: graph, parity, known answer, manifest, digests."""

import dataclasses
import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from hunique_export.errors import ExportError
from hunique_export.onnx_graph import export_graph
from hunique_export.parity import ParityPictures, compare, require_agreement
from hunique_models.bundle import MODEL_NAME, Bundle, write_bundle
from hunique_models.engine import open_engine
from hunique_models.known_answer import record_known_answer
from hunique_models.manifest import Manifest
from hunique_training.checkpoint import ModelCheckpoint, load_model
from hunique_training.evaluation.torch_engine import TorchEngine
from hunique_training.manifest import manifest_of

TAUGHT_BY_MASKS = (
    "Fully supervised: masks of the training pictures taught it, not image-level labels alone."
)
"""Ends the data statement of a model with supervision "pixel"."""
TAUGHT_BY_SIMULATED_MARKS = "Points or boxes drawn from masks of the training pictures taught it, beside image-level labels."
"""The same for supervision "simulated_marks"."""


@dataclass(frozen=True, kw_only=True)
class Release:
    """What people must be told of a model."""

    name: str
    """Name of the model."""
    version: str
    """Version of the model."""
    licence: str
    """Terms of the model."""
    training_data_statement: str
    """What it learned from."""
    intended_use: str
    """What it is for and what it must not be used for."""


def export_bundle(
    checkpoint: Path, folder: Path, release: Release, pictures: ParityPictures, *, replace: bool
) -> Bundle:
    """Write the bundle of a checkpoint, if it passes its proof.

    Raises:
        CheckpointError: the checkpoint cannot be read.
        ExportError: its segmentation was never trained.
        ParityError: the graph disagrees with the network; nothing was written.
        BundleFormatError: something is in the way.
    """
    model = load_model(checkpoint)
    if model.method != "cosa":
        raise ExportError(
            f"{checkpoint}: expected a model that segments, found one of the method "
            f"{model.method}, a classifier alone. Make pseudo-labels of it and export the second "
            "stage that they teach."
        )
    graph = export_graph(model)
    manifest = dataclasses.replace(
        manifest_of(model),
        **dataclasses.asdict(with_supervision(release, model)),
        created_utc=datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
    )
    proven = _prove(manifest, graph, model, pictures)
    return write_bundle(folder, proven, {MODEL_NAME: graph}, replace=replace)


def with_supervision(release: Release, model: ModelCheckpoint) -> Release:
    """What people must be told, masks that taught the model among it, whatever was typed."""
    told = {"pixel": TAUGHT_BY_MASKS, "simulated_marks": TAUGHT_BY_SIMULATED_MARKS}
    if model.supervision not in told:
        return release
    statement = f"{release.training_data_statement} {told[model.supervision]}"
    return dataclasses.replace(release, training_data_statement=statement)


def _prove(
    manifest: Manifest, graph: bytes, model: ModelCheckpoint, pictures: ParityPictures
) -> Manifest:
    """Compare graph and network, and record the known answer of the start-up self-test."""
    with tempfile.TemporaryDirectory() as scratch:
        trial = write_bundle(Path(scratch) / "trial", manifest, {MODEL_NAME: graph})
        candidate = open_engine(trial, "cpu", threads=1)
        comparison = compare(manifest, TorchEngine(model.network), candidate, pictures)
        require_agreement(comparison)
        known_answer = record_known_answer(manifest, candidate)
        candidate.close()
    return dataclasses.replace(manifest, parity=comparison.parity, known_answer=known_answer)
