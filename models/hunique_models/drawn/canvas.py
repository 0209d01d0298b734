"""What the parts of a drawing paint on, in turn. A leaf but for the surface."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hunique_models.drawn.skeleton import Capsule
from hunique_models.drawn.surface import Surface


@dataclass(frozen=True, kw_only=True)
class Canvas:
    """Layers of one picture; painters change the arrays in place."""

    surface: Surface
    """Shape of the hand."""
    capsules: list[Capsule]
    """Its bones, in pixels."""
    colours: NDArray[np.float32]
    """(H, W, 3) unlit colours, 0 to 255."""
    gloss: NDArray[np.float32]
    """(H, W) 0 skin to 1 varnish or metal."""
    unit_px: float
    """Width of the palm."""

    def bone(self, finger: int, phalanx: int) -> Capsule:
        """One phalanx of one finger."""
        return next(c for c in self.capsules if (c.finger, c.phalanx) == (finger, phalanx))

    def paint(self, alpha: NDArray[np.float32], colour: NDArray[np.float32]) -> None:
        """Lay a colour (3,) or (H, W, 3) over the layers by (H, W) alpha, 0 to 1."""
        self.colours[:] = self.colours * (1 - alpha[..., None]) + colour * alpha[..., None]

    def darken(self, share: NDArray[np.float32]) -> None:
        """Take (H, W) `share` of the light away, 0 to 1."""
        self.colours[:] = self.colours * (1 - share[..., None])

    def local(self, bone: Capsule) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Pixels in the frame of a bone: distance from its end along it, and across, in px.

        Along is 0 at the end of the bone and negative towards its start.
        """
        height, width = self.surface.height.shape
        y, x = np.mgrid[0:height, 0:width].astype(np.float32)
        axis = bone.end - bone.start
        direction = (axis / (np.hypot(*axis) or 1.0)).astype(np.float32)
        px, py = x - np.float32(bone.end[0]), y - np.float32(bone.end[1])
        along = px * direction[0] + py * direction[1]
        across = py * direction[0] - px * direction[1]
        return along.astype(np.float32), across.astype(np.float32)
