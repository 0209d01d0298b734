"""The network as it is served: bytes of pixels in, bytes of probability out.

Normalisation, softmax and rounding stand inside, so the exported graph and the torch
network that it is compared with are one definition.
"""

from collections.abc import Sequence
from math import ceil

import torch
from torch import nn
from torch.nn.functional import conv2d, interpolate

from hunique_training.network.cosa import CosaNetwork, CosaOutput


class ServedNetwork(nn.Module):
    """Wraps a trained network for inference.

    Args:
        network: a trained network; taken over, set to eval mode.
    """

    def __init__(self, network: CosaNetwork) -> None:
        super().__init__()
        self.network = network.eval()

    @property
    def stride_px(self) -> int:
        """Pixels of input for one value of `probability`."""
        return self.network.decoder.stride_px

    def forward(self, image: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Run pictures.

        Args:
            image: (N, S, S, 3) uint8 sRGB.

        Returns:
            `probability` (N, P, S/stride, S/stride) uint8: 255 times the pixel probability of
            each class, background left out, and last that of a hand where the network has a
            hand map; `score` (N, C) float32: image-level probability as the classifier gives
            it, not calibrated.
        """
        pixels = image.float().permute(0, 3, 1, 2) / 255
        output = self.network(pixels)
        probability = self._pixel_probability(output)
        if output.hand_logits is not None:
            size = probability.shape[-2:]
            hand = interpolate(output.hand_logits, size=size, mode="bilinear", align_corners=False)
            probability = torch.cat([probability, hand.sigmoid()], dim=1)
        quantised = (probability * 255 + 0.5).to(torch.uint8)
        return quantised, output.class_logits.sigmoid()

    def _pixel_probability(self, output: CosaOutput) -> torch.Tensor:
        """(N, C, S/stride, S/stride): the segmentation, mixed with the CAM where that is wanted."""
        segmentation = output.segmentation_logits.softmax(dim=1)[:, 1:]
        shares = self.network.config.cam_mask_shares
        if not any(shares):
            return segmentation
        cam = self._cam_probability(output.cam, segmentation.shape[-2:])
        share = segmentation.new_tensor(shares)[None, :, None, None]
        return (1 - share) * segmentation + share * cam

    def _cam_probability(self, cam: torch.Tensor, size: Sequence[int]) -> torch.Tensor:
        """CAM (N, C, h, w), unbounded, to probabilities (N, C, *size), smoothed where wanted."""
        drawn = interpolate(cam, size=size, mode="bilinear", align_corners=False).sigmoid()
        deviations = self.network.config.cam_mask_smoothing
        if not any(deviations):
            return drawn
        smoothed = interpolate(
            smooth(cam.sigmoid(), deviations), size=size, mode="bilinear", align_corners=False
        )
        wanted = torch.tensor([d > 0 for d in deviations], device=cam.device)
        return torch.where(wanted[None, :, None, None], smoothed, drawn)


def smooth(maps: torch.Tensor, deviations: Sequence[float]) -> torch.Tensor:
    """Maps (N, C, h, w) smoothed by a Gaussian of its own for each class, in cells.

    Beyond the border there is nothing, so cells near it are means of fewer.

    Args:
        maps: what is smoothed.
        deviations: C of them; 0 leaves a class as it is.
    """
    kernels = _gaussians(deviations).to(maps)
    rows, columns = kernels[:, None, :, None], kernels[:, None, None, :]
    radius, count = kernels.shape[1] // 2, maps.shape[1]

    def spread(x: torch.Tensor) -> torch.Tensor:
        across = conv2d(x, columns, padding=(0, radius), groups=count)
        return conv2d(across, rows, padding=(radius, 0), groups=count)

    return spread(maps) / spread(torch.ones_like(maps[:1]))


def _gaussians(deviations: Sequence[float]) -> torch.Tensor:
    """(C, K): one row a deviation, each with sum 1, cut off at three of the largest."""
    radius = ceil(3 * max(deviations))
    squares = torch.arange(-radius, radius + 1).square().float()
    rows = [(-squares / (2 * max(d, 1e-3) ** 2)).exp() for d in deviations]
    return torch.stack([row / row.sum() for row in rows])
