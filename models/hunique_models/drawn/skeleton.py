"""The bones of a drawn hand: tapered capsules in the plane of the picture.

Hand coordinates: origin in the palm, fingers point to -y, the palm is about 1 wide. A pose
jitters lengths, spread and curl; a camera turns, scales and moves it into pixels.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FINGERS = ("thumb", "index", "middle", "ring", "little")
_BASE = {"thumb": (-0.36, 0.10), "index": (-0.29, -0.46), "middle": (-0.09, -0.52),
         "ring": (0.11, -0.49), "little": (0.30, -0.40)}  # fmt: skip
_LENGTH = {"thumb": 0.62, "index": 0.74, "middle": 0.84, "ring": 0.77, "little": 0.60}
_RADIUS = {"thumb": 0.115, "index": 0.100, "middle": 0.104, "ring": 0.098, "little": 0.084}
_ANGLE_DEG = {"thumb": -48.0, "index": -9.0, "middle": -1.0, "ring": 6.0, "little": 16.0}
_PHALANGES = (0.46, 0.28, 0.26)


@dataclass(frozen=True, kw_only=True)
class Capsule:
    """A bone with flesh: a segment whose radius runs from one end to the other. Pixels."""

    start: NDArray[np.float64]
    """(x, y)."""
    end: NDArray[np.float64]
    """(x, y)."""
    radius_start_px: float
    """At the start."""
    radius_end_px: float
    """At the end."""
    finger: int
    """Index into `FINGERS`; -1 for palm and forearm."""
    phalanx: int
    """0 next to the palm, 2 the last; -1 for palm and forearm."""


@dataclass(frozen=True, kw_only=True)
class Camera:
    """From hand coordinates to pixels: p = scale * R(turn) * flip(q - focus) + centre."""

    scale_px: float
    """Pixels for one unit of the hand."""
    turn_rad: float
    """Clockwise on the picture."""
    mirrored: bool
    """Whether the hand is a right hand's back instead of a left one's."""
    focus: tuple[float, float]
    """The point of the hand that is shown at the centre."""
    centre_px: tuple[float, float]
    """Where on the picture."""

    def pixels(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        """Points (N, 2) of the hand as pixels (x, y)."""
        moved = points - np.array(self.focus)
        if self.mirrored:
            moved = moved * np.array([-1.0, 1.0])
        cosine, sine = np.cos(self.turn_rad), np.sin(self.turn_rad)
        turned = moved @ np.array([[cosine, sine], [-sine, cosine]])
        return self.scale_px * turned + np.array(self.centre_px)


@dataclass(frozen=True, kw_only=True)
class Pose:
    """Joints of one hand in hand coordinates."""

    joints: NDArray[np.float64]
    """(5, 4, 2): four joints of each finger, from the palm to the tip."""
    thickness: float
    """Factor on every radius."""


def random_pose(rng: np.random.Generator) -> Pose:
    """A hand with its own proportions, spread and slight curl."""
    spread = rng.uniform(0.4, 1.5)
    joints = np.zeros((5, 4, 2))
    for index, name in enumerate(FINGERS):
        angle = np.radians(_ANGLE_DEG[name] * spread + rng.normal(0, 3))
        bend = np.radians(rng.normal(0, 4))
        length = _LENGTH[name] * rng.uniform(0.9, 1.08)
        joints[index, 0] = np.array(_BASE[name]) + rng.normal(0, 0.008, 2)
        for phalanx, share in enumerate(_PHALANGES):
            step = length * share * np.array([np.sin(angle), -np.cos(angle)])
            joints[index, phalanx + 1] = joints[index, phalanx] + step
            angle += bend
    return Pose(joints=joints, thickness=float(rng.uniform(0.88, 1.14)))


def capsules(pose: Pose, camera: Camera) -> list[Capsule]:
    """Every capsule of the hand in pixels, palm and forearm first."""
    found = [_capsule(camera, line, radii, -1, -1) for line, radii in _palm(pose)]
    for index, name in enumerate(FINGERS):
        thick = _RADIUS[name] * pose.thickness
        radii = (thick * 1.08, thick * 1.0, thick * 0.93, thick * 0.80)
        for phalanx in range(3):
            line = pose.joints[index, phalanx : phalanx + 2]
            found.append(
                _capsule(camera, line, (radii[phalanx], radii[phalanx + 1]), index, phalanx)
            )
    return found


def _palm(pose: Pose) -> list[tuple[NDArray[np.float64], tuple[float, float]]]:
    """Metacarpals, the ball of the thumb and the forearm."""
    thick = pose.thickness
    parts = []
    for index in range(1, 5):
        base = pose.joints[index, 0]
        wrist = np.array([base[0] * 0.55, 0.42])
        parts.append((np.stack([wrist, base]), (0.20 * thick, 0.135 * thick)))
    thumb = np.stack([np.array([-0.10, 0.34]), pose.joints[0, 0]])
    parts.append((thumb, (0.22 * thick, 0.15 * thick)))
    forearm = np.array([[0.0, 0.45], [0.0, 2.6]])
    parts.append((forearm, (0.265 * thick, 0.36 * thick)))
    return parts


def _capsule(
    camera: Camera,
    line: NDArray[np.float64],
    radii: tuple[float, float],
    finger: int,
    phalanx: int,
) -> Capsule:
    start, end = camera.pixels(line)
    return Capsule(
        start=start,
        end=end,
        radius_start_px=radii[0] * camera.scale_px,
        radius_end_px=radii[1] * camera.scale_px,
        finger=finger,
        phalanx=phalanx,
    )
