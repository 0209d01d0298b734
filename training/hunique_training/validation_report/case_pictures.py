"""Worst cases as pictures, side by side: input, truth, result.

Truth and result are drawn in the colour of the class, don't-care areas of the truth in grey.
"""

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from hunique_models.manifest import ClassSpec, Manifest
from hunique_models.overlay import encode_jpeg
from hunique_models.pipeline import PictureFindings
from hunique_training.evaluation.truth import FEATURE, NOT_SCORED, TruthPicture
from hunique_training.validation_report.cases import Case
from hunique_training.validation_report.examining import Examiner
from hunique_training.validation_report.picture_tally import drawn_mask
from hunique_training.validation_report.worst_cases import WorstCase

SIDE_PX = 360
"""Longest side of each of the three."""
_GREY = (160, 160, 160)
_TINT_SHARE = 0.45

Pixels = NDArray[np.uint8]
Colour = tuple[int, int, int]


def draw_cases(
    worst: Sequence[WorstCase], cases: Sequence[Case], examiner: Examiner, manifest: Manifest
) -> list[bytes]:
    """A JPEG of three pictures for each case, examined once more.

    Raises:
        InputError, OSError, DataError: a picture or mask that could be read before cannot now.
        EngineRunError: the network failed.
    """
    by_row = {case.row: case.truth for case in cases}
    drawn = []
    for one in worst:
        truth = by_row[one.row]
        found = examiner.look(truth.picture.path.read_bytes())
        drawn.append(_three(truth, found, manifest, manifest.class_names.index(one.class_name)))
    return drawn


def _three(truth: TruthPicture, found: PictureFindings, manifest: Manifest, c: int) -> bytes:
    pixels, colour = found.picture.pixels, _srgb(manifest.classes[c])
    result = pixels.copy()
    _tint(result, drawn_mask(found.findings[c], *pixels.shape[:2]), colour)
    shown = [_reduced(one) for one in (pixels, _with_truth(pixels, truth, c, colour), result)]
    gap = np.full((shown[0].shape[0], 6, 3), 255, np.uint8)
    return encode_jpeg(np.hstack([shown[0], gap, shown[1], gap, shown[2]]))


def _with_truth(pixels: Pixels, truth: TruthPicture, c: int, colour: Colour) -> Pixels:
    canvas = pixels.copy()
    if truth.scored(c):
        mask = truth.mask(c, *pixels.shape[:2])
        _tint(canvas, mask == NOT_SCORED, _GREY)
        _tint(canvas, mask == FEATURE, colour)
    else:
        _write(canvas, "no mask")
    return canvas


def _tint(canvas: Pixels, inside: NDArray[np.bool_], colour: Colour) -> None:
    mixed = canvas[inside] * (1 - _TINT_SHARE) + np.array(colour) * _TINT_SHARE
    canvas[inside] = mixed.astype(np.uint8)
    lines, _ = cv2.findContours(inside.astype(np.uint8), cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
    cv2.drawContours(canvas, lines, -1, colour, max(1, round(max(canvas.shape) / 500)))


def _write(canvas: Pixels, text: str) -> None:
    scale = max(canvas.shape) / 700
    width_px = max(1, round(2 * scale))
    place = (round(12 * scale), round(28 * scale))
    for colour, width in (((0, 0, 0), width_px + 2), ((255, 255, 255), width_px)):
        cv2.putText(
            canvas, text, place, cv2.FONT_HERSHEY_SIMPLEX, scale, colour, width, cv2.LINE_AA
        )


def _srgb(spec: ClassSpec) -> Colour:
    red, green, blue = (int(spec.colour[at : at + 2], 16) for at in (1, 3, 5))
    return red, green, blue


def _reduced(pixels: Pixels) -> Pixels:
    factor = min(1.0, SIDE_PX / max(pixels.shape[:2]))
    size = (max(1, round(pixels.shape[1] * factor)), max(1, round(pixels.shape[0] * factor)))
    return cv2.resize(pixels, size, interpolation=cv2.INTER_AREA).astype(np.uint8, copy=False)
