"""Other backgrounds behind hands: the label stays, the look of the source goes.

Where a source photographs every ring on white, a classifier may learn "white". A hand
that has been cut out is put before another picture, or before a plain colour.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]


def replace_background(pixels: Pixels, matte: Pixels, background: Pixels) -> Pixels:
    """Compose (H, W, 3) pixels over a background of the same size by a (H, W) matte."""
    height, width = pixels.shape[:2]
    soft = cv2.GaussianBlur(cv2.resize(matte, (width, height)), (0, 0), 1.0)
    alpha = (soft.astype(np.float32) / 255)[..., None]
    return (pixels * alpha + background * (1 - alpha)).astype(np.uint8)


def fill_from(picture: Pixels, height: int, width: int, rng: np.random.Generator) -> Pixels:
    """A random part of a picture, enlarged to (height, width), mirrored half the time."""
    share = rng.uniform(0.5, 1.0)
    rows, columns = (max(2, int(side * share)) for side in picture.shape[:2])
    top = int(rng.integers(0, picture.shape[0] - rows + 1))
    left = int(rng.integers(0, picture.shape[1] - columns + 1))
    part = picture[top : top + rows, left : left + columns]
    if rng.random() < 0.5:
        part = np.ascontiguousarray(part[:, ::-1])
    return cv2.resize(part, (width, height), interpolation=cv2.INTER_AREA).astype(np.uint8)


def plain_background(height: int, width: int, rng: np.random.Generator) -> Pixels:
    """A smooth run between two random colours, with a little noise."""
    first, second = rng.uniform(0, 255, (2, 3))
    across = np.linspace(0, 1, width if rng.random() < 0.5 else height)
    ramp = across[None, :, None] if len(across) == width else across[:, None, None]
    colours = np.broadcast_to(first + (second - first) * ramp, (height, width, 3))
    noise = rng.normal(0, 4, (height, width, 1))
    return np.clip(colours + noise, 0, 255).astype(np.uint8)
