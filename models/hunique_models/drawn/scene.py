"""One drawn hand: pose, surface, skin, features, background, light, camera faults.

    pose -> surface -> skin -> tattoos -> nails -> rings -> light -> before a background -> noise

Every part has random numbers of its own, so leaving a feature out changes nothing else.
"""

from collections.abc import Collection
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from hunique_models.drawn.backgrounds import paint_background
from hunique_models.drawn.canvas import Canvas
from hunique_models.drawn.nails import NailStyle, paint_nails
from hunique_models.drawn.rings import paint_bracelet, paint_rings
from hunique_models.drawn.skeleton import Camera, Pose, capsules, random_pose
from hunique_models.drawn.skin import paint_skin, random_light, random_tone, shade
from hunique_models.drawn.surface import build_surface
from hunique_models.drawn.tattoos import paint_tattoos

CLASS_NAMES = ("tattoo", "ring", "lunule", "polished_nail")
"""Features that can be drawn, in the order of the default model's classes."""
VIEWS = ("hand", "close-up")
"""The whole back of a hand, or one nail that fills the picture."""


@dataclass(frozen=True, kw_only=True, eq=False)
class DrawnHand:
    """A picture and what is on it."""

    pixels: NDArray[np.uint8]
    """(H, W, 3) sRGB."""
    masks: dict[str, NDArray[np.bool_]]
    """By class: (H, W), what of the feature can be seen."""
    view: str
    """Which of `VIEWS`."""

    @property
    def labels(self) -> dict[str, bool]:
        """By class: whether it is on the picture."""
        return {name: bool(mask.any()) for name, mask in self.masks.items()}


def draw_hand(
    seed: int,
    *,
    size_px: tuple[int, int] = (768, 1024),
    features: Collection[str] | None = None,
    view: str | None = None,
) -> DrawnHand:
    """Draw one hand.

    Args:
        seed: same seed and arguments, same bytes.
        size_px: (height, width).
        features: classes to show, by `CLASS_NAMES`; None draws lots. A polished nail shows
            no lunule, and in a close-up no rings or tattoos are in sight: what cannot be
            seen is not drawn, and its mask is empty.
        view: one of `VIEWS`; None draws lots.

    Raises:
        ValueError: an unknown feature or view, or a side below 32 pixels.
    """
    _check(size_px, features, view)
    parts = [np.random.default_rng((seed, part)) for part in range(10)]
    chosen_view = view or ("close-up" if parts[0].random() < 0.25 else "hand")
    wanted = set(features) if features is not None else _random_features(parts[1])
    canvas = _bare_hand(parts[2], parts[3], size_px, chosen_view)
    masks = {name: np.zeros(size_px, np.bool_) for name in CLASS_NAMES}
    if "tattoo" in wanted and chosen_view == "hand":
        masks["tattoo"] = paint_tattoos(canvas, parts[4])
    style = NailStyle(
        lunule="lunule" in wanted,
        polish="polished_nail" in wanted,
        length=float(parts[5].uniform(0.0, 0.55)),
    )
    nails = paint_nails(canvas, style, parts[5])
    masks["lunule"], masks["polished_nail"] = nails.lunule, nails.polished
    if "ring" in wanted and chosen_view == "hand":
        masks["ring"] = paint_rings(canvas, parts[6])
        masks["tattoo"] &= ~masks["ring"]
    elif parts[6].random() < 0.2 and chosen_view == "hand":
        paint_bracelet(canvas, parts[6])
    pixels = _photograph(canvas, parts[7], parts[8], parts[9])
    return DrawnHand(pixels=pixels, masks=masks, view=chosen_view)


def _check(size_px: tuple[int, int], features: Collection[str] | None, view: str | None) -> None:
    unknown = sorted(set(features or ()) - set(CLASS_NAMES))
    if unknown:
        raise ValueError(f"expected features out of {CLASS_NAMES}, found {', '.join(unknown)}")
    if view not in (None, *VIEWS):
        raise ValueError(f"expected a view out of {VIEWS}, found {view!r}")
    if min(size_px) < 32:
        raise ValueError(f"expected sides of at least 32 pixels, found {size_px}")


def _random_features(rng: np.random.Generator) -> set[str]:
    wanted = {name for name in ("tattoo", "ring") if rng.random() < 0.4}
    return wanted | {str(rng.choice(["lunule", "polished_nail", "bare"]))} - {"bare"}


def _bare_hand(
    pose_rng: np.random.Generator,
    skin_rng: np.random.Generator,
    size_px: tuple[int, int],
    view: str,
) -> Canvas:
    pose = random_pose(pose_rng)
    camera = _camera(pose, pose_rng, size_px, view)
    bones = capsules(pose, camera)
    surface = build_surface(bones, *size_px)
    colours = paint_skin(surface, random_tone(skin_rng), camera.scale_px, skin_rng)
    gloss = np.zeros(size_px, np.float32)
    return Canvas(
        surface=surface, capsules=bones, colours=colours, gloss=gloss, unit_px=camera.scale_px
    )


def _camera(pose: Pose, rng: np.random.Generator, size_px: tuple[int, int], view: str) -> Camera:
    height, width = size_px
    centre = (width / 2 + rng.normal(0, 0.02) * width, height / 2 + rng.normal(0, 0.02) * height)
    mirrored = bool(rng.random() < 0.5)
    if view == "close-up":
        finger = int(rng.integers(1, 5))
        tip, joint = pose.joints[finger, 3], pose.joints[finger, 2]
        focus = joint + (tip - joint) * rng.uniform(0.7, 1.0)
        scale = min(size_px) * rng.uniform(2.0, 3.4)
        turn = rng.uniform(-0.6, 0.6)
    else:
        focus = np.array([0.0, -0.30])
        scale = min(size_px) * rng.uniform(0.36, 0.50)
        turn = rng.uniform(-0.5, 0.5) + (np.pi if rng.random() < 0.3 else 0)
    return Camera(
        scale_px=float(scale),
        turn_rad=float(turn),
        mirrored=mirrored,
        focus=(float(focus[0]), float(focus[1])),
        centre_px=centre,
    )


def _photograph(
    canvas: Canvas,
    light_rng: np.random.Generator,
    background_rng: np.random.Generator,
    noise_rng: np.random.Generator,
) -> NDArray[np.uint8]:
    """Light the hand, lay it before a background, add the faults of a camera."""
    light = random_light(light_rng)
    lit = shade(canvas.colours, canvas.surface, light, canvas.unit_px, canvas.gloss)
    background = paint_background(canvas.surface.coverage, canvas.unit_px, background_rng)
    alpha = cv2.GaussianBlur(canvas.surface.coverage, (0, 0), 0.7)[..., None]
    picture = lit * alpha + background * light.tint * (1 - alpha)
    picture = cv2.GaussianBlur(picture, (0, 0), float(noise_rng.uniform(0.4, 1.0)))
    picture = picture + noise_rng.normal(0, noise_rng.uniform(1, 4), picture.shape)
    return np.clip(np.rint(picture), 0, 255).astype(np.uint8)
