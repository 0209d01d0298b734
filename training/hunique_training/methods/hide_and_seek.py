"""Method `hide_and_seek`: cells of the picture are hidden, so that no part alone is enough.

Singh and Lee, ICCV 2017: a grid is laid over each training picture, each cell is hidden
with probability 1/2 and filled with the mean colour, and the size of the grid changes from
picture to picture. Nothing is hidden when the trained classifier looks.

Cells follow from seed and step; where a step passes the network in parts, pictures at the
same place of two parts have the same cells.
"""

import numpy as np
import torch

from hunique_training.config import TrainConfig
from hunique_training.joint_batch import JointCounts, Part
from hunique_training.methods.classification import Online, classification_alone, mean_colour
from hunique_training.step import PartLosses

HIDE_PROBABILITY = 0.5
"""Share of cells that are hidden."""
CELL_SIDES_PX = (0, 16, 32, 44, 56)
"""Sides of cells on a picture of 224 px, one drawn for each picture; 0 hides nothing."""
PUBLISHED_SIDE_PX = 224
"""The picture's side that they are published for."""


def hide_and_seek_losses(
    online: Online, part: Part, counts: JointCounts, config: TrainConfig, step: int
) -> PartLosses:
    """Classification of pictures with hidden cells."""
    images = part.batch.strong
    hidden = hidden_places(
        len(images), images.shape[-1], np.random.default_rng((config.seed, step))
    )
    seen = torch.where(hidden.to(images.device), mean_colour(config, images), images)
    return classification_alone(online(seen), part.batch, counts, config)


def hidden_places(count: int, side_px: int, rng: np.random.Generator) -> torch.Tensor:
    """(count, 1, side, side) bool: True where a picture is hidden."""
    return torch.stack([_hidden(side_px, rng) for _ in range(count)])[:, None]


def _hidden(side_px: int, rng: np.random.Generator) -> torch.Tensor:
    cell = round(int(rng.choice(CELL_SIDES_PX)) * side_px / PUBLISHED_SIDE_PX)
    if cell == 0:
        return torch.zeros((side_px, side_px), dtype=torch.bool)
    cells = -(-side_px // cell)
    drawn = torch.from_numpy(rng.random((cells, cells)) < HIDE_PROBABILITY)
    rows = drawn.repeat_interleave(cell, dim=0)[:side_px]
    return rows.repeat_interleave(cell, dim=1)[:, :side_px]
