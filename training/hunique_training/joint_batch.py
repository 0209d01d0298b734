"""The joint batch of a step: what several forward passes, and several processes, learn together.

    share of this process -> assignment network, part by part -> maps -> labels of the share
                          -> parts, one forward pass each; counts over all parts and ranks

The losses divide by counts of the whole batch, such as the pixels of a class. They are counted
here, before any backward pass, so that the losses of parts add up to that of one joint batch:
accumulating gradients over parts, or summing them over ranks, changes nothing but rounding, and
which noise on features a picture meets.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch

from hunique_training.config import TrainConfig
from hunique_training.data.batch import Batch
from hunique_training.losses.cam_to_segmentation import IGNORE, label_counts
from hunique_training.pseudo_labels.assigner import Assigner, Assignment
from hunique_training.pseudo_labels.cam_labeller import PixelLabels
from hunique_training.ranks import rank, rank_count, sum_over_ranks


class JointCounts(NamedTuple):
    """What the losses of a joint batch divide by, int64."""

    pictures: torch.Tensor
    """() pictures."""
    known: torch.Tensor
    """() labels that are known."""
    guided: torch.Tensor
    """() pairs of a picture and a class that the segmentation guides."""
    ignored: torch.Tensor
    """() pixels that the CAM leaves undecided and the segmentation is sure of."""
    main: torch.Tensor
    """(256,) pixels by label of the main CAM."""
    auxiliary: torch.Tensor
    """(256,) pixels by label of the auxiliary CAM."""
    marked: torch.Tensor
    """(256,) cells by label of points and scribbles."""


class Part(NamedTuple):
    """The pictures of one forward pass."""

    batch: Batch
    """The pictures."""
    assignment: Assignment | None
    """What they were assigned; None before pseudo-labels begin."""


@dataclass(frozen=True, kw_only=True)
class JointBatch:
    """This process's share of a step."""

    parts: tuple[Part, ...]
    """In the order of the passes."""
    counts: JointCounts
    """Of all parts of all processes."""
    main: PixelLabels | None
    """Labels of the whole share from the main CAM."""


def joint_batch(assigner: Assigner, batch: Batch, config: TrainConfig, step: int) -> JointBatch:
    """Assign pseudo-labels to this process's share of `step` (from 0) and cut it in parts."""
    size = -(-len(batch.labels) // config.accumulate)
    places = [slice(start, start + size) for start in range(0, len(batch.labels), size)]
    parts = [batch.part(each) for each in places]
    if step < config.loss_warm_up_steps or config.method != "cosa":
        alone = tuple(Part(part, None) for part in parts)
        return JointBatch(parts=alone, counts=joint_counts(batch, None), main=None)
    assignment = assigner.assign(parts, batch)
    assigned = zip(parts, map(assignment.part, places), strict=True)
    return JointBatch(
        parts=tuple(Part(*pair) for pair in assigned),
        counts=joint_counts(batch, assignment),
        main=assignment.main,
    )


def joint_counts(batch: Batch, assignment: Assignment | None) -> JointCounts:
    """Count a process's share, and add up the counts of all."""
    none = torch.zeros(IGNORE + 1, dtype=torch.int64, device=batch.known.device)
    main, auxiliary, guided, ignored = none, none, none.sum(), none.sum()
    marked = none if batch.marks is None else label_counts(batch.marks.labels)
    if assignment is not None:
        main, guided = label_counts(assignment.main.labels), assignment.guided.sum()
        ignored = assignment.ignored.sum()
        if assignment.auxiliary is not None:
            auxiliary = label_counts(assignment.auxiliary.labels)
    scalars = torch.stack([none.sum() + len(batch.known), batch.known.sum(), guided, ignored])
    counted = sum_over_ranks(torch.cat([scalars, main, auxiliary, marked]))
    return JointCounts(*counted[:4].unbind(), *counted[4:].chunk(3))


def mean_foreground_weight(pixels: PixelLabels) -> torch.Tensor:
    """() float: mean weight of the pixels labelled foreground on all ranks, 0 without any."""
    foreground = (pixels.labels > 0) & (pixels.labels != IGNORE)
    weights = foreground if pixels.weights is None else pixels.weights
    total = sum_over_ranks((weights * foreground).sum())
    return total / sum_over_ranks(foreground.sum()).clamp(min=1)


def own_places(config: TrainConfig) -> Sequence[int]:
    """Which pictures of a joint batch this process works on: its share of every part.

    Raises:
        ValueError: a part cannot be shared evenly.
    """
    size, share = config.batch_size, config.batch_size // rank_count()
    if size % rank_count():
        raise ValueError(
            f"expected a batch_size that divides by the {rank_count()} processes, found {size}"
        )
    starts = [part * size + rank() * share for part in range(config.accumulate)]
    return [start + place for start in starts for place in range(share)]
