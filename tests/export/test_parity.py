"""No bundle is written unless the graph was seen to agree with the network."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from numpy.typing import NDArray
from PIL import Image

from hunique_export import bundling
from hunique_export.cli import main
from hunique_export.errors import ParityError
from hunique_export.parity import (
    Comparison,
    ParityPictures,
    compare,
    load_pictures,
    require_agreement,
)
from hunique_models.bundle import Bundle
from hunique_models.engine import EngineOutput
from hunique_models.manifest import Parity
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
    same = compare(manifest, engine, engine, pictures)
    assert same.parity.pixel_label_agreement == same.feature_agreement == 1.0
    shifted = compare(manifest, engine, _Shifted(model.network), pictures)
    assert 0 < shifted.feature_agreement < shifted.parity.pixel_label_agreement < 0.999
    with pytest.raises(ParityError):
        require_agreement(shifted)


class _Elsewhere(TorchEngine):
    """A candidate with other scores, or with another map at one place."""

    def __init__(self, model: ModelCheckpoint, score: float = 0, probability: int = 0) -> None:
        super().__init__(model.network)
        self.score, self.probability = np.float32(score), probability

    def run(self, images: NDArray[np.uint8]) -> EngineOutput:
        output = super().run(images)
        maps = output.probability.copy()
        maps[0, 0, 0, 0] += -self.probability if maps[0, 0, 0, 0] > 128 else self.probability
        return EngineOutput(maps, output.score + self.score)


@pytest.mark.parametrize(
    ("apart", "told"),
    [
        ({"score": 0.01}, "scores that differ by at most 0.001, found 0.01"),
        ({"score": float("nan")}, "scores that differ by at most 0.001, found nan"),
        ({"probability": 40}, "probabilities that differ by at most 4/255, found 40/255"),
    ],
)
def test_scores_and_probabilities_are_part_of_the_proof(
    model: ModelCheckpoint, pictures: ParityPictures, apart: dict[str, Any], told: str
) -> None:
    """Labels that agree do not excuse a score that says something else."""
    one = ParityPictures(pixels=pictures.pixels[:1], kind=pictures.kind)
    candidate = _Elsewhere(model, **apart)
    compared = compare(manifest_of(model), TorchEngine(model.network), candidate, one)
    with pytest.raises(ParityError, match=told):
        require_agreement(compared)


def test_small_features_are_counted_by_themselves() -> None:
    """A feature on one of 3,000 pixels that only the network finds is no rounding."""
    parity = Parity(
        reference="network",
        candidate="graph",
        pictures=2,
        picture_kind="drawn hands",
        pixel_label_agreement=0.9997,
        max_probability_difference=1,
        max_score_difference=2e-6,
    )
    require_agreement(Comparison(parity=parity, feature_agreement=0.999))
    with pytest.raises(
        ParityError, match=r"at least 99\.0% of pixels that either finds a class on"
    ):
        require_agreement(Comparison(parity=parity, feature_agreement=0.4))


def test_pictures_are_spread_over_the_folder(tmp_path: Path) -> None:
    """The first, the last and those between, also where the count does not divide them."""
    for shade in range(7):
        Image.new("RGB", (40, 40), (shade, 0, 0)).save(tmp_path / f"{shade}.png")
    chosen = load_pictures(tmp_path, 4).pixels
    assert [int(pixels[0, 0, 0]) for pixels in chosen] == [0, 2, 4, 6]
    assert len(load_pictures(tmp_path, 20).pixels) == 7


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
