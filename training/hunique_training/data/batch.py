"""The pictures of one training step."""

from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from typing import Self

import torch

from hunique_training.data.mark_views import MarkedPlaces


@dataclass(frozen=True, kw_only=True)
class Batch:
    """B pictures of H x W pixels, seen twice, with their labels."""

    weak: torch.Tensor
    """(B, 3, H, W) float in [0, 1]."""
    strong: torch.Tensor
    """(B, 3, H, W) float in [0, 1], same geometry."""
    labels: torch.Tensor
    """(B, C) float: 1 present, 0 absent or unknown."""
    known: torch.Tensor
    """(B, C) bool: False where the label is unknown."""
    boxes: torch.Tensor
    """(B, 4) int: rows y0 to y1, columns x0 to x1 that show the picture."""
    marks: MarkedPlaces | None = None
    """Points, scribbles and boxes, on the labels' grid; None where the data have none."""

    def boxes_on(self, width: int) -> torch.Tensor:
        """Boxes (B, 4) int on a coarser grid, so many places wide."""
        return self.boxes // (self.weak.shape[-1] // width)

    def part(self, places: slice) -> Self:
        """Some of the pictures."""
        return self._mapped(lambda values: values[places])

    def to(self, device: torch.device) -> Self:
        """The same on `device`."""
        return self._mapped(lambda values: values.to(device))

    def _mapped(self, change: Callable[[torch.Tensor], torch.Tensor]) -> Self:
        parts = {part.name: getattr(self, part.name) for part in fields(self)}
        marks = parts.pop("marks")
        changed = {name: change(values) for name, values in parts.items()}
        return type(self)(**changed, marks=marks and MarkedPlaces(*map(change, marks)))

    def without(self, lost: torch.Tensor) -> Self:
        """The same pictures with labels unknown where `lost` (B, C) bool."""
        return replace(self, labels=self.labels.masked_fill(lost, 0.0), known=self.known & ~lost)

    def inside(self, size: tuple[int, int]) -> torch.Tensor:
        """(B, h, w) bool on a grid of `size` = (h, w): places that show the picture."""
        y0, y1, x0, x1 = self.boxes_on(size[1]).T[:, :, None, None]
        rows = torch.arange(size[0], device=self.boxes.device)[:, None]
        columns = torch.arange(size[1], device=self.boxes.device)
        return (rows >= y0) & (rows < y1) & (columns >= x0) & (columns < x1)
