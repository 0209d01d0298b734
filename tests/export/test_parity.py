"""No bundle is written unless the graph was seen to agree with the network."""

from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from numpy.typing import NDArray
from PIL import Image

from hunique_export import bundling
from hunique_export.cli import main
from hunique_export.errors import ParityError
from hunique_export.parity import ParityPictures, compare, load_pictures, require_agreement
from hunique_models.bundle import Bundle
from hunique_models.engine import EngineOutput
from hunique_training.checkpoint import ModelCheckpoint
from hunique_training.evaluation.torch_engine import TorchEngine
from hunique_training.manifest import manifest_of

RELEASE = ["--name", "small", "--model-version", "1.0.0", "--licence", "Apache-2.0"]
RELEASE += ["--data-statement", "Learned nothing."]


class _Shifted(TorchEngine):
    """A candidate whose maps are one cell to the right of what they should be."""

    def run(self, images: NDArray[np.uint8]) -> EngineOutput:
        output = super().run(images)
        return EngineOutput(np.roll(output.probability, 1, axis=3), output.score)


def _folder_of(pictures: ParityPictures, folder: Path) -> Path:
    folder.mkdir()
    for index, pixels in enumerate(pictures.pixels):
        Image.fromarray(pixels).save(folder / f"{index}.png")
    return folder


def test_bundle_carries_its_proof(
    checkpoint: Path, pictures: ParityPictures, tmp_path: Path
) -> None:
    """The written bundle opens and its manifest holds figures, engines and picture counts."""
    folder = _folder_of(pictures, tmp_path / "pictures")
    arguments = ["onnx", str(checkpoint), "--out", str(tmp_path / "bundle"), *RELEASE]
    ran = CliRunner().invoke(main, [*arguments, "--pictures", str(folder)])
    assert ran.exit_code == 0, ran.output
    bundle = Bundle.open(tmp_path / "bundle")
    parity = bundle.manifest.parity
    assert parity is not None
    assert parity.pixel_label_agreement >= 0.999
    assert (parity.pictures, parity.picture_kind) == (2, "photographs")
    assert "torch" in parity.reference
    assert "onnxruntime" in parity.candidate
    assert bundle.manifest.known_answer is not None
    assert bundle.sha256 in ran.output


def test_disagreeing_graph_is_refused(
    checkpoint: Path,
    pictures: ParityPictures,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A graph whose maps lie beside the network's gives no bundle, and figures that say why."""
    monkeypatch.setattr(bundling, "TorchEngine", _Shifted)
    release = bundling.Release(
        name="small", version="1.0.0", licence="x", training_data_statement="x", intended_use="x"
    )
    with pytest.raises(ParityError, match=r"Expected the same label on at least 99\.9%"):
        bundling.export_bundle(checkpoint, tmp_path / "b", release, pictures, replace=False)
    assert not (tmp_path / "b").exists()


def test_agreement_counts_pixels(model: ModelCheckpoint, pictures: ParityPictures) -> None:
    """The network agrees with itself on every pixel, and not with its shifted self."""
    manifest, engine = manifest_of(model), TorchEngine(model.network)
    assert compare(manifest, engine, engine, pictures).pixel_label_agreement == 1.0
    shifted = compare(manifest, engine, _Shifted(model.network), pictures)
    assert 0 < shifted.pixel_label_agreement < 0.999
    with pytest.raises(ParityError):
        require_agreement(shifted)


def test_existing_bundle_is_kept(checkpoint: Path, tmp_path: Path) -> None:
    """Without --force nothing that is there is replaced."""
    (tmp_path / "bundle").mkdir()
    (tmp_path / "bundle" / "mine.txt").write_text("keep")
    arguments = ["onnx", str(checkpoint), "--out", str(tmp_path / "bundle"), *RELEASE]
    ran = CliRunner().invoke(main, [*arguments, "--picture-count", "1"])
    assert ran.exit_code == 1
    assert "--force" in ran.output
    assert (tmp_path / "bundle" / "mine.txt").read_text() == "keep"


def test_folder_without_pictures_is_named(tmp_path: Path) -> None:
    """A folder of other files says what was expected."""
    (tmp_path / "notes.txt").write_text("no picture")
    with pytest.raises(ParityError, match="Expected readable pictures"):
        load_pictures(tmp_path, 3)


def test_damaged_checkpoint_is_a_sentence(tmp_path: Path) -> None:
    """A file that is no checkpoint gives an error, not a traceback."""
    (tmp_path / "model.pt").write_bytes(b"nothing")
    out = str(tmp_path / "bundle")
    ran = CliRunner().invoke(main, ["onnx", str(tmp_path / "model.pt"), "--out", out, *RELEASE])
    assert ran.exit_code == 1
    assert ran.output.startswith("Error: ")
