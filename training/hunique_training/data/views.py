"""Two views of one crop: weak for the assignment network, strong for the online network.

Both show the same geometry (random quarter turn, flip, scale, crop with padding), so
pseudo-labels need no warping; the strong view has one random colour operation more
(COSA: nine operations, magnitude 1 to 9 of 10).
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageEnhance, ImageOps

Pixels = NDArray[np.uint8]


@dataclass(frozen=True, kw_only=True)
class ViewConfig:
    """How crops are cut."""

    size_px: int = 384
    """Side of the square crop."""
    scale_low: float = 0.75
    """Smallest longer side of the picture before cropping, in crop sides."""
    scale_high: float = 2.0
    """Largest longer side before cropping. Above 1 a crop may miss the feature, so a picture
    that has no more pixels to show is not enlarged beyond 1."""
    scale_of_picture: bool = False
    """Whether both are multiples of the picture instead, whatever its size, as in the release:
    then a crop of a large picture shows a small part of it."""
    quarter_turn_probability: float = 0.5
    """How often the picture is turned by a random multiple of 90 degrees."""
    background_probability: float = 0.6
    """How often a picture whose hand has been cut out gets another background."""
    degrade_probability: float = 0.0
    """How often the strong view has fewer pixels than it shows, and, apart from that, how often
    it was compressed. Sources differ in how their pictures were stored, and what was lost
    there would tell the source, and with it the label."""
    blur_probability: float = 0.3
    """How often both views are out of focus."""
    largest_blur_px: float = 1.2
    """Largest deviation of that blur."""
    pad_value: tuple[int, int, int] = (124, 116, 104)
    """sRGB colour around pictures that do not fill the crop; the served geometry's own."""

    def check_strides(self, *strides_px: int) -> None:
        """Refuse a crop that the network's or the labels' stride does not divide.

        Raises:
            ValueError: see `check_side`.
        """
        check_side("--crop-size-px", self.size_px, *strides_px)


def check_side(option: str, side_px: int, *strides_px: int) -> None:
    """Refuse a side of squares that strides do not divide: maps would not lie on the picture.

    Args:
        option: how the side is told to a command.
        side_px: the side.
        strides_px: of the network and of what it is compared with.

    Raises:
        ValueError: with the option, the strides, and sides that would do.
    """
    step_px = math.lcm(*strides_px)
    if side_px % step_px:
        below = side_px // step_px * step_px
        near = f"{below} or {below + step_px}" if below else str(step_px)
        strides = " and ".join(map(str, dict.fromkeys(strides_px)))
        raise ValueError(
            f"expected {option} to divide by the stride {strides} of the network and of its labels, "
            f"found {side_px}: take {near}"
        )


@dataclass(frozen=True, kw_only=True)
class ViewPair:
    """One crop seen twice."""

    weak: Pixels
    """(S, S, 3) uint8 sRGB."""
    strong: Pixels
    """(S, S, 3) uint8 sRGB, same geometry."""
    crop: "Crop"
    """The geometry of both."""

    @property
    def box(self) -> tuple[int, int, int, int]:
        """Rows y0 to y1 and columns x0 to x1 that show the picture, as (y0, y1, x0, x1)."""
        return self.crop.box


@dataclass(frozen=True, kw_only=True)
class Crop:
    """One random turn, scale and crop, to be applied to a picture and to its labels alike."""

    quarter_turns: int
    """Counter-clockwise."""
    mirrored: bool
    """Left to right, after the turns."""
    scaled: tuple[int, int]
    """(height, width) of the turned picture before it is cut."""
    shrinks: bool
    """Whether that is smaller than the picture."""
    taken: tuple[slice, slice]
    """Rows and columns that are taken of the scaled picture."""
    target: tuple[slice, slice]
    """Rows and columns where they go in the crop; the rest is padding."""
    size_px: int
    """Side of the crop."""

    @property
    def box(self) -> tuple[int, int, int, int]:
        """Rows y0 to y1 and columns x0 to x1 that show the picture, as (y0, y1, x0, x1)."""
        rows, columns = self.target
        return rows.start, rows.stop, columns.start, columns.stop

    def of_picture(self, pixels: Pixels, pad_value: tuple[int, int, int]) -> Pixels:
        """(H, W, 3) uint8 to (S, S, 3), padded with a colour."""
        padding = np.full((self.size_px, self.size_px, 3), pad_value, np.uint8)
        return self._cut(pixels, padding, cv2.INTER_AREA if self.shrinks else cv2.INTER_LINEAR)

    def of_labels(self, labels: NDArray[np.uint8], pad_value: int) -> NDArray[np.uint8]:
        """(H, W) uint8 to (S, S), never mixed by interpolation."""
        padding = np.full((self.size_px, self.size_px), pad_value, np.uint8)
        return self._cut(labels, padding, cv2.INTER_NEAREST)

    def of_places(self, shares: NDArray[np.floating]) -> NDArray[np.float64]:
        """Places (N, 2) of the picture to places of the crop, which may lie outside of it.

        Args:
            shares: (x, y) in shares of the picture's width and height.

        Returns:
            (N, 2): (x, y) in pixels of the crop; 0 is the left or upper edge of the first one.
        """
        x, y = np.asarray(shares, np.float64).T
        for _ in range(self.quarter_turns % 4):
            x, y = y, 1 - x
        x = 1 - x if self.mirrored else x
        height, width = self.scaled
        (rows, columns), (rows_there, columns_there) = self.taken, self.target
        return np.stack(
            [
                x * width - columns.start + columns_there.start,
                y * height - rows.start + rows_there.start,
            ],
            axis=1,
        )

    def _cut(
        self, plane: NDArray[np.uint8], padding: NDArray[np.uint8], method: int
    ) -> NDArray[np.uint8]:
        turned = np.rot90(plane, k=self.quarter_turns)
        turned = np.ascontiguousarray(turned[:, ::-1] if self.mirrored else turned)
        scaled = cv2.resize(turned, self.scaled[::-1], interpolation=method)
        padding[self.target] = scaled[self.taken]
        return padding


def random_crop(height: int, width: int, config: ViewConfig, rng: np.random.Generator) -> Crop:
    """A crop of a picture of (height, width) pixels."""
    turns = 0
    if rng.random() < config.quarter_turn_probability:
        turns = int(rng.integers(1, 4))
    mirrored = bool(rng.random() < 0.5)
    if turns % 2:
        height, width = width, height
    size = config.size_px
    scale = _scale(max(height, width), config, rng)
    scaled = (max(1, round(height * scale)), max(1, round(width * scale)))
    rows, rows_there = _place(scaled[0], size, rng)
    columns, columns_there = _place(scaled[1], size, rng)
    return Crop(
        quarter_turns=turns,
        mirrored=mirrored,
        scaled=scaled,
        shrinks=scale < 1,
        taken=(rows, columns),
        target=(rows_there, columns_there),
        size_px=size,
    )


def _scale(longer_px: int, config: ViewConfig, rng: np.random.Generator) -> float:
    """By how much a picture of that longer side is enlarged before it is cut."""
    if config.scale_of_picture:
        return float(rng.uniform(config.scale_low, config.scale_high))
    scale_high = min(config.scale_high, max(1.0, longer_px / config.size_px))
    return float(rng.uniform(config.scale_low, scale_high) * config.size_px / longer_px)


def _place(length: int, size: int, rng: np.random.Generator) -> tuple[slice, slice]:
    """Which part of a side of `length` is taken, and where it goes in a crop of `size`."""
    offset = int(rng.integers(0, abs(length - size) + 1))
    first, there = (offset, 0) if length > size else (0, offset)
    shown = min(length, size)
    return slice(first, first + shown), slice(there, there + shown)


def make_views(pixels: Pixels, config: ViewConfig, rng: np.random.Generator) -> ViewPair:
    """Cut one random crop of (H, W, 3) uint8 pixels and make its weak and strong view."""
    crop = random_crop(pixels.shape[0], pixels.shape[1], config, rng)
    weak = sometimes_blurred(crop.of_picture(pixels, config.pad_value), config, rng)
    strong = strong_colour(degraded(weak, config.degrade_probability, rng), rng)
    return ViewPair(weak=weak, strong=strong, crop=crop)


def degraded(pixels: Pixels, probability: float, rng: np.random.Generator) -> Pixels:
    """(S, S, 3) pixels sampled down and up again, then compressed, each with `probability`."""
    side = pixels.shape[0]
    if rng.random() < probability:
        fewer = max(16, round(side * rng.uniform(0.4, 1.0)))
        small = cv2.resize(pixels, (fewer, fewer), interpolation=cv2.INTER_AREA)
        pixels = cv2.resize(small, (side, side), interpolation=cv2.INTER_LINEAR).astype(np.uint8)
    if rng.random() < probability:
        quality = [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(30, 96))]
        _, encoded = cv2.imencode(".jpg", pixels, quality)
        pixels = np.asarray(cv2.imdecode(encoded, cv2.IMREAD_COLOR), np.uint8)
    return pixels


def sometimes_blurred(pixels: Pixels, config: ViewConfig, rng: np.random.Generator) -> Pixels:
    """(S, S, 3) pixels, out of focus as often and as much as the configuration says."""
    if rng.random() >= config.blur_probability:
        return pixels
    blurred = cv2.GaussianBlur(pixels, (0, 0), rng.uniform(0.1, config.largest_blur_px))
    return blurred.astype(np.uint8, copy=False)


def strong_colour(pixels: Pixels, rng: np.random.Generator) -> Pixels:
    """One random colour operation at a random magnitude of 1 to 9 of 10."""
    operation = _OPERATIONS[int(rng.integers(len(_OPERATIONS)))]
    return np.asarray(operation(Image.fromarray(pixels), int(rng.integers(1, 10))), np.uint8)


def _enhance(
    kind: Callable[[Image.Image], ImageEnhance._Enhance],
) -> Callable[[Image.Image, int], Image.Image]:
    def apply(image: Image.Image, magnitude: int) -> Image.Image:
        return kind(image).enhance(magnitude * 1.8 / 10 + 0.1)

    return apply


_OPERATIONS: tuple[Callable[[Image.Image, int], Image.Image], ...] = (
    lambda image, _: image,
    lambda image, _: ImageOps.autocontrast(image),
    lambda image, _: ImageOps.equalize(image),
    lambda image, magnitude: ImageOps.solarize(image, min(int(magnitude * 25.6), 255)),
    lambda image, magnitude: ImageOps.posterize(image, max(2, 4 - int(magnitude * 4 / 10))),
    _enhance(ImageEnhance.Color),
    _enhance(ImageEnhance.Contrast),
    _enhance(ImageEnhance.Brightness),
    _enhance(ImageEnhance.Sharpness),
)
