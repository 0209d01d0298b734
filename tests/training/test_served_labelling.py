"""Pseudo-labels from a model as it is served."""

import dataclasses
from math import log

import numpy as np
import pytest
import torch

from hunique_training.checkpoint import ClassOperatingPoint, ModelCheckpoint
from hunique_training.data.labels import DataError
from hunique_training.network.cosa import CosaNetwork, CosaOutput, NetworkConfig
from hunique_training.second_stage.labelling_config import SERVED, LabellingConfig
from hunique_training.second_stage.served_labelling import (
    UNDECIDED_LOG_ODDS,
    ServedLabeller,
    relative_to_borders,
)

RED, GREEN, UNDECIDED = 1, 2, 255


class Coloured(CosaNetwork):
    """A network for which red is class 1 and green class 2, at every fourth pixel."""

    def __init__(self, **serving: tuple[float, ...]) -> None:
        super().__init__(NetworkConfig(class_names=("red", "green"), **serving))

    def forward(self, images: torch.Tensor) -> CosaOutput:
        """Logits of 8 for a full colour, against 4 of the background."""
        cells = torch.nn.functional.avg_pool2d(images, 4)[:, :2]
        logits = torch.cat([torch.full_like(cells[:, :1], 4.0), 8 * cells], dim=1)
        return CosaOutput(cells.amax(dim=(2, 3)), cells.amax(dim=(2, 3)), cells, cells, logits)


def _model(network: CosaNetwork, threshold: float = 0.5) -> ModelCheckpoint:
    point = ClassOperatingPoint(presence_threshold=0.5, pixel_threshold=threshold)
    return ModelCheckpoint(
        network=network.eval(), input_size_px=64, operating_point={"red": point, "green": point}
    )


def _picture() -> np.ndarray:
    """(128, 128, 3): left red, right green, black below."""
    pixels = np.zeros((128, 128, 3), np.uint8)
    pixels[:96, :64, 0] = 255
    pixels[:96, 64:, 1] = 255
    return pixels


def test_labels_are_where_the_served_map_is_sure() -> None:
    """In the picture's size, with what is absent nowhere and what is unknown ignored."""
    labeller = ServedLabeller(_model(Coloured()))
    both = labeller.label(_picture(), (True, True))
    assert both.shape == (128, 128)
    assert (both[8:88, 4:56] == RED).all()
    assert (both[8:88, 72:124] == GREEN).all()
    assert (both[108:] == 0).all()
    unknown = labeller.label(_picture(), (True, None))
    assert (unknown[8:88, 4:56] == RED).all()
    assert (unknown[8:88, 72:124] == UNDECIDED).all()
    absent = labeller.label(_picture(), (False, True))
    assert (absent[8:88, 4:56] == 0).all()
    assert not labeller.label(_picture(), (False, False)).any()


def test_thresholds_are_those_the_model_is_served_with() -> None:
    """A red of three fifths has a probability of 0.69: inside at 0.5, not at 0.9."""
    pixels = (_picture() * 0.6).astype(np.uint8)
    inside, outside = (
        ServedLabeller(_model(Coloured(), threshold)).label(pixels, (True, False))
        for threshold in (0.5, 0.9)
    )
    assert (inside[8:88, 8:48] == RED).all()
    assert (outside[8:88, 8:48] == 0).all()


def test_borders_are_refined_as_the_model_says() -> None:
    """With weights of colour the uncertain band at an edge of colours shrinks."""
    plain, refined = (
        ServedLabeller(_model(Coloured(**serving))).label(_picture(), (True, True))
        for serving in ({}, {"mask_colour_weights": (1.0, 1.0)})
    )
    truth = np.zeros((128, 128), np.uint8)
    truth[:96, :64], truth[:96, 64:] = RED, GREEN
    assert (refined != truth).sum() < (plain != truth).sum() / 2


def test_relative_strength_is_half_at_the_border() -> None:
    """A quarter and three quarters half a log odd below and above it."""
    borders = np.array([log(0.2 / 0.8)], np.float32)
    wanted = [borders[0] - UNDECIDED_LOG_ODDS, borders[0], borders[0] + UNDECIDED_LOG_ODDS]
    steps = np.array([[[256 / (1 + np.exp(-odds)) - 0.5 for odds in wanted]]])
    found = relative_to_borders(np.rint(steps).astype(np.uint8), borders)
    assert found[0, 0] == pytest.approx([0.25, 0.5, 0.75], abs=0.01)


def test_a_classifier_is_not_served() -> None:
    """Its segmentation is random; the way out is named."""
    model = dataclasses.replace(_model(Coloured()), training={"config": {"method": "cam"}})
    with pytest.raises(DataError, match="--from cam"):
        ServedLabeller(model)


def test_what_is_served_takes_no_other_settings() -> None:
    """They would not be heeded; the message names those that were given."""
    with pytest.raises(ValueError, match="leave out scales, refine, high"):
        LabellingConfig(source=SERVED, refine="par", scales=(1.0,), high=0.5)
    assert LabellingConfig(source=SERVED).settings() == {"source": "served"}
