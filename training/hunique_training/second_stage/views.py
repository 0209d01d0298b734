"""One crop of a picture together with the labels of its pixels.

The same turns, scales, crops and colours as in the first stage (`data.views`), with labels
carried along: never mixed by interpolation, ignored where the crop shows no picture. Pixels are
not taken away beforehand, as the first stage may (`ViewConfig.degrade_probability`).
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from hunique_training.data.views import (
    Pixels,
    ViewConfig,
    random_crop,
    sometimes_blurred,
    strong_colour,
)
from hunique_training.losses.cam_to_segmentation import IGNORE


class LabelledCrop(NamedTuple):
    """One crop and its labels."""

    weak: Pixels
    """(S, S, 3) uint8 sRGB."""
    strong: Pixels
    """(S, S, 3) uint8 sRGB, same geometry, other colours."""
    labels: NDArray[np.uint8]
    """(S, S): 0 background, 1 to C, 255 ignored."""
    box: tuple[int, int, int, int]
    """Rows y0 to y1 and columns x0 to x1 that show the picture, as (y0, y1, x0, x1)."""


def labelled_crop(
    pixels: Pixels, labels: NDArray[np.uint8], config: ViewConfig, rng: np.random.Generator
) -> LabelledCrop:
    """Cut one random crop of (H, W, 3) uint8 pixels and of their (H, W) uint8 labels."""
    crop = random_crop(pixels.shape[0], pixels.shape[1], config, rng)
    weak = sometimes_blurred(crop.of_picture(pixels, config.pad_value), config, rng)
    return LabelledCrop(weak, strong_colour(weak, rng), crop.of_labels(labels, IGNORE), crop.box)
