"""A real, untrained model, small enough to export within seconds."""

from pathlib import Path

import numpy as np
import pytest
import torch

from hunique_export.parity import ParityPictures
from hunique_models.drawn import draw_hand
from hunique_training.checkpoint import ClassOperatingPoint, ModelCheckpoint, save_model
from hunique_training.evaluation.torch_engine import TorchEngine
from hunique_training.network.cosa import CosaNetwork, NetworkConfig

INPUT_SIZE_PX = 128


@pytest.fixture(scope="session")
def pictures() -> ParityPictures:
    """Two drawn hands."""
    hands = [draw_hand(seed, size_px=(150, 200)).pixels for seed in (1, 2)]
    return ParityPictures(pixels=hands, kind="drawn hands")


@pytest.fixture(scope="session")
def model(pictures: ParityPictures) -> ModelCheckpoint:
    """An untrained network, with thresholds in the middle of what it says of the pictures."""
    torch.manual_seed(0)
    network = CosaNetwork(NetworkConfig(), "package").eval()
    network.decoder.logits.weight.data *= 50  # maps that vary, as trained ones do
    tile = np.ascontiguousarray(pictures.pixels[0][:INPUT_SIZE_PX, :INPUT_SIZE_PX])
    middle = np.median(TorchEngine(network).run(tile[None]).probability[0], axis=(1, 2)) / 255
    points = {
        name: ClassOperatingPoint(presence_threshold=0.001, pixel_threshold=float(middle[index]))
        for index, name in enumerate(network.config.class_names)
    }
    return ModelCheckpoint(
        network=network, operating_point=points, input_size_px=INPUT_SIZE_PX, training={"steps": 0}
    )


@pytest.fixture(scope="session")
def checkpoint(model: ModelCheckpoint, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The model as a file."""
    path = tmp_path_factory.mktemp("run") / "model.pt"
    save_model(path, model)
    return path
