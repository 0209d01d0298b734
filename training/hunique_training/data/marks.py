"""Marks: points, scribbles and boxes that say where a class is on a picture.

A click takes an examiner 2.4 s, a box 10 s, all pixels of a class 78 s (the talk). Each
picture of a data set may have marks of any kind or none, beside its image-level labels.

* point, scribble: the class is there; nothing is said of other places. The class may be
  `background`: none of the model's classes is there.
* box: the class is nowhere outside of its boxes, so that a picture with one box of a class
  must have a box around each of that class.

In a label file they stand in the column `marks`, as JSON, in shares of the width and height
of the upright picture:

    [{"class": "ring", "point": [0.41, 0.52]},
     {"class": "background", "scribble": [[0.1, 0.1], [0.3, 0.1]]},
     {"class": "tattoo", "box": [0.2, 0.3, 0.6, 0.9]}]
"""

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

MARK_KINDS = ("point", "scribble", "box")
"""What `Mark.kind` may be."""
BACKGROUND = "background"
"""The name that says: here is no class of the model."""

Places = tuple[tuple[float, float], ...]
"""(x, y) each, in shares of the picture's width and height, 0 to 1."""


class MarkError(ValueError):
    """A mark cannot be read, or contradicts a label; the message says what is wrong."""


class NamedMark(NamedTuple):
    """A mark in the words of its source."""

    name: str
    """Of the class, or `background`."""
    kind: str
    """One of `MARK_KINDS`."""
    places: Places
    """One of a point, two or more of a scribble, two opposite corners of a box."""


@dataclass(frozen=True, kw_only=True)
class Mark:
    """A mark of a class of the model."""

    kind: str
    """One of `MARK_KINDS`."""
    label: int
    """0 background, 1 to C: one more than the class's index."""
    places: Places
    """One of a point, two or more of a scribble, two opposite corners of a box."""


def parse_marks(text: str) -> tuple[NamedMark, ...]:
    """The marks in a cell of a label file; none if it is empty.

    Raises:
        MarkError: it is no such list, or a place is not on the picture.
    """
    if not text.strip():
        return ()
    try:
        entries = json.loads(text)
    except ValueError as error:
        raise MarkError(f"expected marks as JSON, found a fault: {error}") from error
    if not isinstance(entries, list):
        raise MarkError(f"expected a list of marks, found {text[:40]!r}")
    return tuple(map(_parse_entry, entries))


def _parse_entry(entry: Any) -> NamedMark:
    kinds = [kind for kind in MARK_KINDS if isinstance(entry, dict) and kind in entry]
    if len(kinds) != 1 or not isinstance(entry.get("class"), str):
        raise MarkError(f"expected a class and one of {', '.join(MARK_KINDS)}; found {entry!r}")
    (kind,) = kinds
    try:
        places = _places(kind, entry[kind])
    except (TypeError, ValueError):
        places = ()
    if len(places) < (1 if kind == "point" else 2) or not all(map(_on_picture, places)):
        raise MarkError(
            f"expected a {kind} in shares of width and height, 0 to 1; found {entry[kind]!r}"
        )
    return NamedMark(entry["class"], kind, places)


def _places(kind: str, values: Any) -> Places:
    if kind == "scribble":
        return tuple((float(x), float(y)) for x, y in values)
    numbers = [float(value) for value in values]
    if len(numbers) != (2 if kind == "point" else 4):
        raise ValueError(kind)
    return tuple(zip(numbers[::2], numbers[1::2], strict=True))


def _on_picture(place: tuple[float, float]) -> bool:
    return all(0 <= share <= 1 for share in place)


def marks_in_pixels(
    name: str, kind: str, corners: Iterable[tuple[float, float]], size: tuple[float, float]
) -> Iterator[NamedMark]:
    """One mark from places in pixels, as annotation tools keep them; none without a size.

    Args:
        name: of the class.
        kind: one of `MARK_KINDS`.
        corners: (x, y) each; what lies beyond the picture is moved to its edge.
        size: (width, height) of the picture in the same unit; 0 where the source does not tell.
    """
    width, height = size
    if width > 0 and height > 0:
        shares = ((x / width, y / height) for x, y in corners)
        places = tuple((min(max(x, 0.0), 1.0), min(max(y, 0.0), 1.0)) for x, y in shares)
        yield NamedMark(name, kind, places)


def marks_as_text(marks: Iterable[Mark], class_names: Sequence[str]) -> str:
    """The inverse of `parse_marks`; empty for none. Places are kept to 1e-5 of the picture."""
    entries = [
        {"class": (BACKGROUND, *class_names)[mark.label], mark.kind: _as_values(mark)}
        for mark in marks
    ]
    return json.dumps(entries) if entries else ""


def _as_values(mark: Mark) -> list[Any]:
    places = [[round(x, 5), round(y, 5)] for x, y in mark.places]
    return places if mark.kind == "scribble" else [value for place in places for value in place]


def resolve_marks(
    named: Iterable[NamedMark], label_of: Callable[[str], int | None]
) -> tuple[Mark, ...]:
    """Marks of the model's classes; others are left out.

    Args:
        named: what a source says.
        label_of: a name's label, 0 for background; None where it means no class.

    Raises:
        MarkError: a box is of the background.
    """
    marks = []
    for name, kind, places in named:
        label = label_of(name)
        if label == 0 and kind == "box":
            raise MarkError("a box holds a class; mark background by points or scribbles")
        if label is not None:
            marks.append(Mark(kind=kind, label=label, places=places))
    return tuple(marks)


def labels_with_marks(
    labels: tuple[bool | None, ...], marks: Iterable[Mark], class_names: Sequence[str]
) -> tuple[bool | None, ...]:
    """Image-level labels, completed: a class that is marked is on the picture.

    Args:
        labels: of each class.
        marks: of the picture; their labels count the classes from 1.
        class_names: as many as there are labels.

    Raises:
        MarkError: a class is marked that is labelled absent.
    """
    completed = list(labels)
    for index in {mark.label - 1 for mark in marks if mark.label}:
        if labels[index] is False:
            raise MarkError(
                f"a mark of {class_names[index]} on a picture labelled without it: take one away"
            )
        completed[index] = True
    return tuple(completed)


def describe_marks(marks: Iterable[Mark]) -> str:
    """How many there are of each kind, such as `12 points, 3 boxes`; empty for none."""
    counts = Counter(mark.kind for mark in marks)
    plural = {"box": "boxes"}
    return ", ".join(
        f"{counts[kind]} {plural.get(kind, kind + 's') if counts[kind] > 1 else kind}"
        for kind in MARK_KINDS
        if counts[kind]
    )
