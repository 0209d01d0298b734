"""Boxes as constraints on pseudo-labels: nothing of a class outside of its boxes.

* Outside of all boxes of a class the class is not: its CAM and its segmentation are taken
  away there, so that the place becomes background or another class.
* Inside of a box the CAM decides. It is scaled to a maximum of 1 within each box, because
  every box holds the class; and a box whose CAM stays below the threshold nearly everywhere
  still gives a least share of its area to the class, the places where the CAM is strongest.

Classes without a box on a picture are left as they are.
"""

import math
from collections.abc import Iterator

import torch

from hunique_training.data.mark_views import MarkedPlaces
from hunique_training.losses.cam_to_segmentation import IGNORE
from hunique_training.pseudo_labels.segmentation_labels import ABSENT_LOGIT

Place = tuple[int, int, slice, slice]
"""Picture, class index, rows and columns."""


def confine_cams(cams: torch.Tensor, class_boxes: torch.Tensor, side_px: int) -> torch.Tensor:
    """Activation maps of boxed classes, 0 outside their boxes and up to 1 in each.

    Args:
        cams: (B, C, h, w) in [0, 1).
        class_boxes: (B, K, 5) int, `MarkedPlaces.class_boxes`.
        side_px: side of the crop that the boxes are in pixels of.

    Returns:
        (B, C, h, w) in [0, 1). Where boxes overlap the larger value stands.
    """
    confined = cams.masked_fill(boxed_classes(class_boxes, cams.shape[1])[:, :, None, None], 0)
    for picture, index, rows, columns in _places(class_boxes, cams.shape[-1], side_px):
        within = cams[picture, index, rows, columns]
        scaled = within / (within.max() + 1e-5)
        target = confined[picture, index, rows, columns]
        torch.maximum(target, scaled, out=target)
    return confined


def confine_logits(logits: torch.Tensor, class_boxes: torch.Tensor, side_px: int) -> torch.Tensor:
    """Segmentation logits (B, C+1, h, w) with -1e5 for boxed classes outside their boxes."""
    boxed = boxed_classes(class_boxes, logits.shape[1] - 1)
    outside = boxed[:, :, None, None].expand_as(logits[:, 1:]).clone()
    for picture, index, rows, columns in _places(class_boxes, logits.shape[-1], side_px):
        outside[picture, index, rows, columns] = False
    classes = logits[:, 1:].masked_fill(outside, ABSENT_LOGIT)
    return torch.cat([logits[:, :1], classes], dim=1)


def claim_in_boxes(
    labels: torch.Tensor,
    cams: torch.Tensor,
    class_boxes: torch.Tensor,
    side_px: int,
    least_share: float,
) -> torch.Tensor:
    """Pixel labels in which a box's class has at least a share of it and nothing outside.

    Args:
        labels: (B, h, w) int64: 0 background, 1 to C, 255 ignored.
        cams: (B, C, h, w), the maps they were made of.
        class_boxes: (B, K, 5) int, `MarkedPlaces.class_boxes`.
        side_px: side of the crop that the boxes are in pixels of.
        least_share: of each box, 0 to 1; fewer where other classes leave less, and never
            where the map is 0.

    Returns:
        (B, h, w) int64.
    """
    inside = torch.zeros_like(cams, dtype=torch.bool)
    claimed = labels.clone()
    for picture, index, rows, columns in _places(class_boxes, labels.shape[-1], side_px):
        inside[picture, index, rows, columns] = True
        region = claimed[picture, rows, columns]
        _claim(region, cams[picture, index, rows, columns], index + 1, least_share)
    outside = boxed_classes(class_boxes, cams.shape[1])[:, :, None, None] & ~inside
    numbers = torch.arange(1, cams.shape[1] + 1, device=labels.device)[None, :, None, None]
    leaked = ((claimed[:, None] == numbers) & outside).any(dim=1)
    return claimed.masked_fill(leaked, 0)


def _claim(region: torch.Tensor, cam: torch.Tensor, label: int, least_share: float) -> None:
    """Give the class its least share of a box (h, w), in place."""
    wanted = math.ceil(least_share * region.numel())
    if int((region == label).sum()) >= wanted:
        return
    free = (region == label) | (region == 0) | (region == IGNORE)
    strength = cam.masked_fill(~free, -1).flatten()
    strength = torch.where((region == label).flatten(), strength + 2, strength)  # these first
    values, places = strength.topk(min(wanted, int(free.sum())))
    flat = region.flatten().clone()
    flat[places[values > 0]] = label
    region.copy_(flat.view_as(region))


def boxed_classes(class_boxes: torch.Tensor, class_count: int) -> torch.Tensor:
    """(B, C) bool: classes that have a box on the picture, be it outside the crop."""
    numbers = torch.arange(1, class_count + 1, device=class_boxes.device)
    return (class_boxes[:, :, :1] == numbers).any(dim=1)


def shown_in_boxes(class_boxes: torch.Tensor, class_count: int) -> torch.Tensor:
    """(B, C) bool: classes of which the crop shows a box or a part of one."""
    shown = class_boxes[:, :, 2] > class_boxes[:, :, 1]
    return boxed_classes(class_boxes * shown[:, :, None], class_count)


def lost_by_marks(marks: MarkedPlaces, lost: torch.Tensor) -> torch.Tensor:
    """Which classes a crop has lost, where its marks know better than a score.

    Args:
        marks: on the crop.
        lost: (B, C) bool: what the score says.

    Returns:
        (B, C) bool: a boxed class is lost where no box is seen, any class is not where it is
        clicked.
    """
    count = lost.shape[1]
    boxed = boxed_classes(marks.class_boxes, count)
    numbers = torch.arange(1, count + 1, device=lost.device)
    clicked = (marks.labels.flatten(1)[:, :, None] == numbers).any(dim=1)
    lost = torch.where(boxed, ~shown_in_boxes(marks.class_boxes, count), lost)
    return lost & ~clicked


def _places(class_boxes: torch.Tensor, width: int, side_px: int) -> Iterator[Place]:
    """Every box on the crop, on a grid so many cells wide: all cells that it touches."""
    cell_px = side_px / width
    for picture, boxes in enumerate(class_boxes.tolist()):
        for label, y0, y1, x0, x1 in boxes:
            if label and y1 > y0:
                rows = slice(int(y0 // cell_px), math.ceil(y1 / cell_px))
                yield picture, label - 1, rows, slice(int(x0 // cell_px), math.ceil(x1 / cell_px))
