"""Method `equivariant_cam`: the map of a moved picture is the moved map of the picture.

The talk: "activation maps should be equivariant to the input",

    R_ER = || F(A(I)) - A(F(I)) ||_1,

with A a random scale and mirror image, and F the activation maps of the classes that are
there, rectified and divided by their maximum (as SEAM, Wang et al., CVPR 2020, takes them).
The mean absolute difference over pictures, classes and places is added to classification.
"""

import numpy as np
import torch
from torch.nn.functional import interpolate, relu

from hunique_training.config import TrainConfig
from hunique_training.joint_batch import JointCounts, Part
from hunique_training.methods.classification import Online, classification_alone, with_regulariser
from hunique_training.step import PartLosses

SCALES = (0.4, 0.9)
"""Range of A's scale. Below 1: the second pass is cheaper than the first."""
WEIGHT = 1.0
"""Factor of R_ER, as in SEAM."""


def equivariant_cam_losses(
    online: Online, part: Part, counts: JointCounts, config: TrainConfig, step: int
) -> PartLosses:
    """Classification, and R_ER as `regulariser`."""
    batch = part.batch
    output = online(batch.strong)
    losses = classification_alone(output, batch, counts, config)
    rng = np.random.default_rng((config.seed, step))
    places, mirrored = output.cam.shape[-1], bool(rng.random() < 0.5)
    target = max(1, round(places * rng.uniform(*SCALES)))
    stride_px = batch.strong.shape[-1] // places
    moved = online(move(batch.strong, target * stride_px, mirrored)).cam
    first, second = (present_maps(cam, batch.labels) for cam in (moved, output.cam))
    each = (first - move(second, target, mirrored)).abs().mean(dim=(1, 2, 3))
    return with_regulariser(losses, each.sum() / counts.pictures, WEIGHT)


def move(maps: torch.Tensor, side: int, mirrored: bool) -> torch.Tensor:
    """A: (B, K, H, W) to (B, K, side, side), bilinear, mirrored or not."""
    scaled = interpolate(maps, size=(side, side), mode="bilinear", align_corners=False)
    return scaled.flip(-1) if mirrored else scaled


def present_maps(cams: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """F: CAMs (B, C, h, w) to [0, 1), 0 for classes not labelled present."""
    positive = relu(cams)
    largest = positive.amax(dim=(2, 3), keepdim=True)
    return positive / (largest + 1e-5) * labels[:, :, None, None]
