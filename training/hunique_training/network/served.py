"""The network as it is served: bytes of pixels in, bytes of probability out.

Normalisation, softmax and rounding stand inside, so the exported graph and the torch
network that it is compared with are one definition.
"""

import torch
from torch import nn
from torch.nn.functional import interpolate

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
            `probability` (N, C, S/stride, S/stride) uint8: 255 times the pixel probability of
            each class, background left out; `score` (N, C) float32: image-level probability
            as the classifier gives it, not calibrated.
        """
        pixels = image.float().permute(0, 3, 1, 2) / 255
        output = self.network(pixels)
        probability = self._pixel_probability(output)
        quantised = (probability * 255 + 0.5).to(torch.uint8)
        return quantised, output.class_logits.sigmoid()

    def _pixel_probability(self, output: CosaOutput) -> torch.Tensor:
        """(N, C, S/stride, S/stride): the segmentation, mixed with the CAM where that is wanted."""
        segmentation = output.segmentation_logits.softmax(dim=1)[:, 1:]
        shares = self.network.config.cam_mask_shares
        if not any(shares):
            return segmentation
        size = segmentation.shape[-2:]
        cam = interpolate(output.cam, size=size, mode="bilinear", align_corners=False).sigmoid()
        share = segmentation.new_tensor(shares)[None, :, None, None]
        return (1 - share) * segmentation + share * cam
