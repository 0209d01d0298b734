"""The convolutional encoder is EfficientNet-Lite0, with stride 16 instead of 32."""

from pathlib import Path

import pytest
import torch
from torch.nn import functional as F

from hunique_training.network.efficientnet_lite import (
    EfficientNetLite0,
    fold_package_weights,
    package_weights,
)
from hunique_training.network.encoder import CheckpointFormatError

# repeats, kernel, stride, expansion: the published table, apart from the one under test
TABLE = (
    (1, 3, 1, 1),
    (2, 3, 2, 6),
    (2, 5, 2, 6),
    (3, 3, 2, 6),
    (3, 5, 1, 6),
    (4, 5, 2, 6),
    (1, 3, 1, 6),
)
State = dict[str, torch.Tensor]


def _normalise(state: State, name: str, x: torch.Tensor) -> torch.Tensor:
    values = [state[f"{name}.{k}"] for k in ("running_mean", "running_var", "weight", "bias")]
    return F.batch_norm(x, *values, eps=1e-3)


def _convolve(x: torch.Tensor, weight: torch.Tensor, stride: int, groups: int) -> torch.Tensor:
    """TensorFlow's SAME padding: the odd pixel goes to the right and to the bottom."""
    pads = []
    for side in (x.shape[3], x.shape[2]):
        total = max((-(-side // stride) - 1) * stride + weight.shape[2] - side, 0)
        pads += [total // 2, total - total // 2]
    return F.conv2d(F.pad(x, pads), weight, stride=stride, groups=groups)


def _published_features(state: State, images: torch.Tensor) -> torch.Tensor:
    """The classifier's last features, straight from the package's arrays."""
    x = _convolve((images * 255 - 127) / 128, state["_conv_stem.weight"], 2, 1)
    x = F.relu6(_normalise(state, "_bn0", x))
    strides = [s if r == 0 else 1 for repeats, _, s, _ in TABLE for r in range(repeats)]
    for index, stride in enumerate(strides):
        block = f"_blocks.{index}."
        inner = x
        if index > 0:
            inner = F.conv2d(x, state[f"{block}_expand_conv.weight"])
            inner = F.relu6(_normalise(state, f"{block}_bn0", inner))
        depthwise = state[f"{block}_depthwise_conv.weight"]
        inner = _convolve(inner, depthwise, stride, len(depthwise))
        inner = F.relu6(_normalise(state, f"{block}_bn1", inner))
        out = F.conv2d(inner, state[f"{block}_project_conv.weight"])
        out = _normalise(state, f"{block}_bn2", out)
        x = x + out if stride == 1 and out.shape == x.shape else out
    return x


def test_features_equal_the_published_network() -> None:
    """Folded, with the classifier's own strides, it computes what the weights were made for."""
    ours = EfficientNetLite0.from_pretrained("package", dilated=False).eval()
    state = torch.load(package_weights(), weights_only=True)
    torch.manual_seed(0)
    images = torch.rand(2, 3, 96, 64)
    with torch.no_grad():
        torch.testing.assert_close(
            ours(images).final, _published_features(state, images), rtol=1e-3, atol=1e-3
        )


def test_grids_of_all_features() -> None:
    """Final, auxiliary and local features have stride 16, the finer ones 8 and 4."""
    network = EfficientNetLite0().eval()
    with torch.no_grad():
        features = network(torch.rand(1, 3, 64, 96))
    shapes = [tuple(f.shape[1:]) for f in features if f is not None]
    assert shapes == [(320, 4, 6), (112, 4, 6), (40, 8, 12), (24, 16, 24), (384, 4, 6)]


def test_folding_keeps_what_normalisation_computes() -> None:
    """A convolution with folded statistics gives what convolution and normalisation gave."""
    state = torch.load(package_weights(), weights_only=True)
    folded = fold_package_weights(state)
    images = torch.rand(1, 3, 16, 16)
    plain = torch.nn.functional.conv2d(images, state["_conv_stem.weight"])
    expected = torch.nn.functional.batch_norm(
        plain,
        state["_bn0.running_mean"],
        state["_bn0.running_var"],
        state["_bn0.weight"],
        state["_bn0.bias"],
        eps=1e-3,
    )
    found = torch.nn.functional.conv2d(images, folded["stem.weight"], folded["stem.bias"])
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)


def test_freezing_takes_the_stem_along() -> None:
    """Frozen stages and the stem before them get no gradient; the next stage does."""
    network = EfficientNetLite0()
    network.freeze_stages(2)
    network(torch.rand(1, 3, 32, 32)).final.sum().backward()
    assert all(p.grad is None for p in network.stem.parameters())
    assert all(p.grad is None for p in network.stages[1].parameters())
    assert all(p.grad is not None for p in network.stages[2].parameters())


def test_other_weights_are_refused(tmp_path: Path) -> None:
    """A file of another network says what was expected."""
    path = tmp_path / "other.pth"
    torch.save({"conv1.weight": torch.zeros(1)}, path)
    with pytest.raises(CheckpointFormatError, match="_conv_stem"):
        EfficientNetLite0.from_pretrained(str(path))
    with pytest.raises(CheckpointFormatError, match="found none"):
        EfficientNetLite0.from_pretrained(str(path.with_name("absent.pth")))
