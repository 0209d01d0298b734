"""`hunique-train evaluate` as it is typed."""

import json
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner

from hunique_training.checkpoint import ModelCheckpoint, save_model
from hunique_training.cli import main
from hunique_training.network.cosa import CosaNetwork, NetworkConfig


@pytest.fixture(scope="module")
def command(tmp_path_factory: pytest.TempPathFactory, labelled_folder: Path) -> list[str]:
    """Evaluating an untrained model on two drawn hands."""
    path = tmp_path_factory.mktemp("model") / "model.pt"
    torch.manual_seed(0)
    network = CosaNetwork(NetworkConfig()).eval()
    save_model(path, ModelCheckpoint(network=network, input_size_px=64))
    data = str(labelled_folder / "labels.csv")
    return ["evaluate", str(path), "--data", data, "--detail", "fast", "--resamples", "10"]


def test_both_protocols_are_named(command: list[str]) -> None:
    """In the tables, which say of each what it means."""
    table = CliRunner().invoke(main, command).output
    assert "masks, label-free (as served" in table
    assert "masks, label-filtered (image labels forbid absent classes" in table
    assert "presence, label-free" in table


def test_maps_leave_the_json_alone(command: list[str], tmp_path: Path) -> None:
    """JSON holds both protocols, presence label-free alone; --maps writes files beside it."""
    folder = tmp_path / "maps"
    result = CliRunner().invoke(main, [*command, "--json", "--maps", str(folder)])
    assert result.exit_code == 0
    values = json.loads(result.stdout)
    assert len(values) == 4
    for one in values:
        assert {"iou", "dice", "precision", "recall", "boundary_f"} <= set(one["label-filtered"])
        assert {"image_f1", "average_precision", "intervals_95"} <= set(one["label-free"])
        assert "image_f1" not in one["label-filtered"]
        assert one["label-free"]["boundary_f"] is not None
        assert one["groups"] == 2
    assert str(folder / "maps.json") in result.stderr
    assert (folder / "maps.png").is_file()
