"""Marks of pictures that are stored turned: onto the upright picture, which is what is trained on.

Cameras store pictures as their sensor lies and say in an EXIF tag how to turn them. Some
annotation tools show them as stored, others upright. The size that an annotation states tells
which: of a picture that is turned by a quarter, width and height change places.
"""

from collections.abc import Sequence
from math import inf, log
from pathlib import Path

from hunique_models.image import StoredFrame, stored_frame
from hunique_training.data.marks import NamedMark

_SAME_SHAPE = 0.02
"""Logarithms of width : height that differ by less are of one shape, but for rounding."""
_QUARTER_TURNS = (5, 6, 7, 8)
"""EXIF orientations that change width for height."""


def marks_upright(
    marks: Sequence[NamedMark], annotated_size: tuple[float, float], path: Path
) -> tuple[NamedMark, ...] | None:
    """Marks in shares of the upright picture; None where they might be either.

    Args:
        marks: in shares of the picture as the annotator saw it.
        annotated_size: (width, height) of that; 0 where it is not known.
        path: the picture. One that cannot be read keeps its marks: it is left out elsewhere.
    """
    frame = _frame(path) if marks else None
    if frame is None or frame.turned == 1:
        return tuple(marks)
    as_stored = _seen_as_stored(annotated_size, frame)
    if as_stored is None:
        return None
    return tuple(turned(mark, frame.turned) for mark in marks) if as_stored else tuple(marks)


def _frame(path: Path) -> StoredFrame | None:
    try:
        with path.open("rb") as stream:
            return stored_frame(stream)
    except OSError:
        return None


def _seen_as_stored(annotated_size: tuple[float, float], frame: StoredFrame) -> bool | None:
    """Whether the annotator saw a turned picture as it is stored; None where nothing tells."""
    if frame.turned not in _QUARTER_TURNS:
        return None
    width, height = annotated_size
    shape = log(width / height) if width > 0 and height > 0 else inf
    stored = log(frame.width_px / frame.height_px)
    as_stored, upright = (abs(shape - one) < _SAME_SHAPE for one in (stored, -stored))
    return as_stored if as_stored != upright else None


def turned(mark: NamedMark, orientation: int) -> NamedMark:
    """A mark of a stored picture on the upright one, by an EXIF orientation of 5 to 8."""
    places = tuple(_turned_place(x, y, orientation) for x, y in mark.places)
    if mark.kind == "box":
        across, down = zip(*places, strict=True)
        places = ((min(across), min(down)), (max(across), max(down)))
    return mark._replace(places=places)


def _turned_place(x: float, y: float, orientation: int) -> tuple[float, float]:
    return {5: (y, x), 6: (1 - y, x), 7: (1 - y, 1 - x), 8: (y, 1 - x)}[orientation]
