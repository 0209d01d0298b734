"""Boxes constrain pseudo-labels: nothing outside, the CAM inside, and a least share of it."""

import dataclasses
from typing import cast

import torch

from hunique_training.config import TrainConfig
from hunique_training.data.batch import Batch
from hunique_training.data.mark_views import MarkedPlaces
from hunique_training.losses.cam_to_segmentation import IGNORE
from hunique_training.network.cosa import CosaNetwork
from hunique_training.pseudo_labels.assigner import Assigner, Assignment
from hunique_training.pseudo_labels.box_constraints import (
    claim_in_boxes,
    confine_cams,
    confine_logits,
    lost_by_marks,
)
from hunique_training.pseudo_labels.multi_scale import AssignedMaps

SIDE_PX = 32
BOX = torch.tensor([[[1, 8, 24, 4, 16], [0, 0, 0, 0, 0]]])
"""Of the first class, on cells of 4 px: rows 2 to 5, columns 1 to 3."""


def _inside() -> torch.Tensor:
    inside = torch.zeros(8, 8, dtype=torch.bool)
    inside[2:6, 1:4] = True
    return inside


def test_a_boxed_cam_ends_at_its_box_and_peaks_inside() -> None:
    """A class without a box keeps its map."""
    cams = torch.rand(1, 2, 8, 8, generator=torch.Generator().manual_seed(0)) * 0.4
    cams[0, 0, 7, 7] = 0.99  # the peak of the picture, outside the box
    confined = confine_cams(cams, BOX, SIDE_PX)
    assert torch.equal(confined[:, 1], cams[:, 1])
    assert not confined[0, 0][~_inside()].any()
    within = cams[0, 0][_inside()]
    torch.testing.assert_close(confined[0, 0][_inside()], within / (within.max() + 1e-5))


def test_each_box_has_its_own_peak_and_overlaps_take_the_larger() -> None:
    """Two things of a class, one of which the network hardly sees."""
    boxes = torch.tensor([[[1, 0, 16, 0, 16], [1, 12, 32, 12, 32]]])
    cams = torch.zeros(1, 1, 8, 8)
    cams[0, 0, 1, 1], cams[0, 0, 6, 6], cams[0, 0, 3, 3] = 0.9, 0.1, 0.05
    confined = confine_cams(cams, boxes, SIDE_PX)[0, 0]
    assert confined[1, 1] > 0.99
    assert confined[6, 6] > 0.99
    torch.testing.assert_close(confined[3, 3], torch.tensor(0.05 / (0.1 + 1e-5)))


def test_segmentation_outside_the_box_is_forbidden() -> None:
    """Only for the boxed class."""
    logits = torch.randn(1, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    confined = confine_logits(logits, BOX, SIDE_PX)
    assert torch.equal(confined[:, [0, 2]], logits[:, [0, 2]])
    assert torch.equal(confined[0, 1][_inside()], logits[0, 1][_inside()])
    assert (confined[0, 1][~_inside()] == -1e5).all()


def test_a_box_gives_its_class_a_least_share() -> None:
    """Where the CAM is strongest, from what no other class has, and never where it is 0."""
    cams = torch.zeros(1, 2, 8, 8)
    cams[0, 0, 2:6, 1:4] = torch.arange(12.0).view(4, 3) / 100
    labels = torch.zeros(1, 8, 8, dtype=torch.int64)
    labels[0, 5, 3] = 2  # the strongest place belongs to another class
    labels[0, 2, 1] = 1  # the weakest is the class already
    labels[0, 7, 7] = 1  # refinement leaked out of the box
    claimed = claim_in_boxes(labels, cams, BOX, SIDE_PX, 0.25)[0]
    assert claimed[5, 3] == 2
    assert claimed[7, 7] == 0
    assert sorted((claimed == 1).nonzero().tolist()) == [[2, 1], [5, 1], [5, 2]]
    assert int((claim_in_boxes(labels, cams, BOX, SIDE_PX, 1.0)[0] == 1).sum()) == 11
    without = claim_in_boxes(labels, cams * 0, BOX, SIDE_PX, 1.0)[0]
    assert (without == 1).nonzero().tolist() == [[2, 1]]
    assert torch.equal(labels[0, 7, 7], torch.tensor(1)), "labels are not changed in place"


def test_marks_tell_what_a_crop_has_lost() -> None:
    """A box outside the crop says lost whatever the score; a click says there."""
    outside = torch.tensor([[[1, 0, 0, 0, 0]], [[0, 0, 0, 0, 0]]])
    cells = torch.full((2, 2, 2), IGNORE)
    cells[1, 0, 0] = 2
    marks = MarkedPlaces(cells, outside)
    for score in (False, True):
        lost = lost_by_marks(marks, torch.full((2, 3), score))
        assert lost.tolist() == [[True, score, score], [score, False, score]]


def _assigned(marks: MarkedPlaces | None) -> Assignment:
    generator = torch.Generator().manual_seed(1)
    cams = torch.rand(2, 4, 16, 16, generator=generator) * 0.99
    logits = torch.randn(2, 5, 16, 16, generator=generator)
    images = torch.rand(2, 3, 64, 64, generator=generator)
    labels = torch.tensor([[1.0, 0, 0, 0], [1.0, 0, 0, 0]])
    batch = Batch(
        weak=images, strong=images, labels=labels, known=labels >= 0, marks=marks,
        boxes=torch.tensor([[0, 64, 0, 64]] * 2),
    )  # fmt: skip
    config = dataclasses.replace(TrainConfig(), refine_dilations=())
    maps = AssignedMaps(cams, cams, logits, torch.full((2, 4), 3.0))
    return Assigner(cast(CosaNetwork, None), config).label(maps, batch, (4, 4))


def test_pseudo_labels_and_guidance_keep_to_the_boxes() -> None:
    """The picture with a box has its class inside alone; its neighbour is as without marks."""
    boxes = torch.tensor([[[1, 16, 48, 16, 48]], [[0, 0, 0, 0, 0]]])
    unmarked = torch.full((2, 16, 16), IGNORE)
    plain, boxed = _assigned(None), _assigned(MarkedPlaces(unmarked, boxes))
    outside = torch.ones(16, 16, dtype=torch.bool)
    outside[4:12, 4:12] = False
    assert (plain.main.labels[0][outside] == 1).any()
    assert (boxed.main.labels[0][outside] == 0).all()
    assert not boxed.segmentation[0, 1][outside].any()
    assert float((boxed.main.labels[0] == 1).sum()) >= 0.3 * 64
    assert torch.equal(boxed.main.labels[1], plain.main.labels[1])
    assert torch.equal(boxed.segmentation[1], plain.segmentation[1])


def test_a_class_whose_boxes_are_all_outside_the_crop_teaches_nothing() -> None:
    """No pixel of it, and no guidance."""
    boxes = torch.tensor([[[1, 0, 0, 0, 0]], [[0, 0, 0, 0, 0]]])
    boxed = _assigned(MarkedPlaces(torch.full((2, 16, 16), IGNORE), boxes))
    assert not (boxed.main.labels[0] == 1).any()
    assert boxed.guided.tolist()[0][0] is False
