"""CAM pseudo-labels: a class index, background or "ignore" for every pixel.

Two thresholds split the strength of the strongest present class: above `high` it is that
class, below `low` background, between them ignored (COSA section 2, step 4). As in the
release, the maps of the present classes and a constant map of the threshold go through a
softmax together, so that a refinement by colour can move the border before the decision.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch.nn.functional import interpolate

from hunique_training.losses.cam_to_segmentation import IGNORE

Refinement = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
"""(images (1, 3, h, w), maps (1, K, h, w)) to refined maps of the same shape."""


@dataclass(frozen=True, kw_only=True)
class CamThresholds:
    """Where a CAM in [0, 1) becomes foreground and background."""

    high: float = 0.7
    """A class from here on."""
    low: float = 0.25
    """Background up to here."""

    def __post_init__(self) -> None:
        """Check the order."""
        if not 0 < self.low <= self.high < 1:
            raise ValueError(f"expected 0 < low <= high < 1, found {self.low} and {self.high}")


def cam_pseudo_labels(
    cams: torch.Tensor,
    present: torch.Tensor,
    boxes: torch.Tensor,
    *,
    thresholds: CamThresholds,
    downscale: int = 2,
    images: torch.Tensor | None = None,
    refine: Refinement | None = None,
) -> torch.Tensor:
    """Turn activation maps into labels.

    Args:
        cams: (B, C, H, W) in [0, 1).
        present: (B, C), 1 where the image-level label says the class is there.
        boxes: (B, 4) int: rows y0 to y1, columns x0 to x1 that show the picture.
        thresholds: high and low.
        downscale: the decision is taken on a grid so many times smaller; 1 keeps the size.
        images: (B, 3, H, W), what `refine` looks at.
        refine: for example pixel-adaptive refinement; None leaves the maps as they are.

    Returns:
        (B, H, W) int64: 0 background, 1 to C classes, 255 ignored.
    """
    cams = cams * present[:, :, None, None]
    labels = torch.full((cams.shape[0], *cams.shape[-2:]), IGNORE, device=cams.device)
    for index, (cam, box) in enumerate(zip(cams, boxes.tolist(), strict=True)):
        classes = present[index].nonzero().flatten()
        image = None if images is None else images[index : index + 1]
        high, low = _decide(cam[classes][None], classes, thresholds, downscale, image, refine)
        label = torch.where(high == 0, IGNORE, high)
        label[(high == 0) & (low == 0)] = 0
        y0, y1, x0, x1 = box
        labels[index, y0:y1, x0:x1] = label[y0:y1, x0:x1]
    return labels


def _decide(
    cam: torch.Tensor,
    classes: torch.Tensor,
    thresholds: CamThresholds,
    downscale: int,
    image: torch.Tensor | None,
    refine: Refinement | None,
) -> list[torch.Tensor]:
    """Labels (H, W) of one picture at the high and the low threshold.

    At each, the strongest of a constant map of the threshold (background) and the maps
    of the present classes wins. Both are refined in one go: refinement costs most.
    """
    size = (cam.shape[-2], cam.shape[-1])
    if not len(classes):
        return [torch.zeros(size, dtype=torch.int64, device=cam.device)] * 2
    small = (size[0] // downscale, size[1] // downscale)
    levels = (thresholds.high, thresholds.low)
    with_background = [torch.cat([torch.full_like(cam[:, :1], t), cam], dim=1) for t in levels]
    maps = torch.cat([_resize(m, small).softmax(dim=1) for m in with_background], dim=1)
    if refine is not None and image is not None:
        maps = refine(_resize(image, small), maps)
    channel_to_class = torch.cat([classes.new_zeros(1), classes + 1])
    winners = (m.argmax(dim=1)[0] for m in _resize(maps, size).chunk(2, dim=1))
    return [channel_to_class[winner] for winner in winners]


def _resize(x: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    if x.shape[-2:] == size:
        return x
    return interpolate(x, size=size, mode="bilinear", align_corners=False)
