"""The exported graph: its shape, its freedom, and nothing of the machine that made it."""

import dataclasses
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from hunique_export.onnx_graph import export_graph
from hunique_training.checkpoint import ModelCheckpoint
from hunique_training.evaluation.torch_engine import TorchEngine
from hunique_training.hand_map.fitting import with_hand_map
from hunique_training.network.cosa import CosaNetwork, NetworkConfig


@pytest.fixture(scope="module")
def graph(model: ModelCheckpoint) -> bytes:
    """The graph of the small model."""
    return export_graph(model)


def test_graph_speaks_bytes_and_frees_the_batch(graph: bytes) -> None:
    """uint8 pictures in, uint8 maps and scores out, any number at once; a Cast comes first."""
    parsed = onnx.load_from_string(graph).graph
    shapes = {
        value.name: [d.dim_param or d.dim_value for d in value.type.tensor_type.shape.dim]
        for value in [*parsed.input, *parsed.output]
    }
    assert shapes == {
        "image": ["N", 128, 128, 3],
        "probability": ["N", 4, 32, 32],
        "score": ["N", 4],
    }
    assert parsed.node[0].op_type == "Cast"
    assert {node.domain for node in parsed.node} == {""}


def test_graph_tells_nothing_of_its_maker(graph: bytes) -> None:
    """No source path and no name of a machine's folder stands in the file."""
    for trace in (str(Path.home()), str(Path(__file__).resolve().parents[2]), "hunique_"):
        assert trace.encode() not in graph


@pytest.mark.parametrize("count", [1, 3])
def test_graph_computes_what_torch_computes(
    graph: bytes, model: ModelCheckpoint, count: int
) -> None:
    """ONNX Runtime gives torch's maps within one step of 255, and its scores, for any batch."""
    images = np.random.default_rng(count).integers(0, 256, (count, 128, 128, 3), np.uint8)
    session = onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"])
    probability, score = session.run(["probability", "score"], {"image": images})
    expected = TorchEngine(model.network).run(images)
    gap = np.abs(probability.astype(np.int16) - expected.probability)
    assert gap.max() <= 1
    assert np.ptp(probability) > 1
    np.testing.assert_allclose(score, expected.score, atol=1e-5)


def test_hand_map_is_the_last_plane(model: ModelCheckpoint) -> None:
    """A network that finds hands has a plane more, the same in both; the others do not change."""
    taught = with_hand_map(model.network).eval()
    torch.nn.init.normal_(taught.hand_map_head().weight, std=0.5)
    export = export_graph(dataclasses.replace(model, network=taught))
    session = onnxruntime.InferenceSession(export, providers=["CPUExecutionProvider"])
    images = np.random.default_rng(3).integers(0, 256, (2, 128, 128, 3), np.uint8)
    probability, score = session.run(["probability", "score"], {"image": images})
    expected, before = (TorchEngine(one).run(images) for one in (taught, model.network))
    assert np.abs(probability.astype(np.int16) - expected.probability).max() <= 1
    assert np.ptp(probability[:, -1]) > 20
    np.testing.assert_array_equal(expected.probability[:, :-1], before.probability)
    np.testing.assert_array_equal(expected.score, before.score)
    assert probability.shape == (2, 5, 32, 32)
    assert score.shape == (2, 4)


def test_transformers_export_too() -> None:
    """A vision transformer's graph computes what torch computes."""
    config = NetworkConfig(encoder="vit_tiny_16", decoder="large_fov", cam_head="final")
    vit = ModelCheckpoint(network=CosaNetwork(config).eval(), input_size_px=64)
    session = onnxruntime.InferenceSession(export_graph(vit), providers=["CPUExecutionProvider"])
    images = np.random.default_rng(0).integers(0, 256, (2, 64, 64, 3), np.uint8)
    probability, score = session.run(["probability", "score"], {"image": images})
    expected = TorchEngine(vit.network).run(images)
    assert np.abs(probability.astype(np.int16) - expected.probability).max() <= 1
    np.testing.assert_allclose(score, expected.score, atol=1e-5)
