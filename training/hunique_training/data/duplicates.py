"""The same picture twice: by content, and perhaps by its looks."""

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from hunique_models.errors import InputError
from hunique_models.image import DecodeLimits, decode
from hunique_training.data.labels import DataError, LabelledPicture

_THUMBNAIL_PX = 16
_ALIKE_LEVELS = 6.0
"""Mean difference of thumbnails, of 255, up to which two pictures may be one saved twice. A hand
with a ring and the same one without differ by 0.04 to 2."""


def content_digests(paths: Iterable[Path]) -> dict[Path, str]:
    """SHA-256 of each file; of one that cannot be read, its path stands in."""
    return {path: _digest(path) for path in dict.fromkeys(paths)}


def _digest(path: Path) -> str:
    try:
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError:
        return str(path)


def look_alike(first: Path, second: Path) -> bool:
    """Whether two files may be the same picture, compressed anew or scaled; it proves nothing."""
    try:
        thumbnails = [_thumbnail(first), _thumbnail(second)]
    except (InputError, OSError):
        return False
    return float(np.abs(thumbnails[0] - thumbnails[1]).mean()) <= _ALIKE_LEVELS


def _thumbnail(path: Path) -> NDArray[np.float32]:
    pixels = decode(path.read_bytes(), DecodeLimits()).pixels
    size = (_THUMBNAIL_PX, _THUMBNAIL_PX)
    return cv2.resize(pixels, size, interpolation=cv2.INTER_AREA).astype(np.float32)


def copies_across_splits(
    pictures: Iterable[LabelledPicture], digests: Mapping[Path, str]
) -> list[Sequence[LabelledPicture]]:
    """Pictures whose content stands in more than one split, copies together."""
    return [same for same in _copies(pictures, digests) if len({p.split for p in same}) > 1]


def contradicting_copies(
    pictures: Iterable[LabelledPicture], digests: Mapping[Path, str]
) -> list[Sequence[LabelledPicture]]:
    """Pictures of the same content of which one shows a class and another does not."""
    return [
        same
        for same in _copies(pictures, digests)
        if any(
            {True, False} <= set(labels) for labels in zip(*(p.labels for p in same), strict=True)
        )
    ]


def _copies(
    pictures: Iterable[LabelledPicture], digests: Mapping[Path, str]
) -> list[Sequence[LabelledPicture]]:
    by_content: dict[str, list[LabelledPicture]] = defaultdict(list)
    for picture in pictures:
        by_content[digests[picture.path]].append(picture)
    return [same for same in by_content.values() if len(same) > 1]


def refuse_duplicates(pictures: Sequence[LabelledPicture], digests: Mapping[Path, str]) -> None:
    """Refuse the same content in two splits, or under labels that contradict each other.

    Raises:
        DataError: names the first such files.
    """
    across = copies_across_splits(pictures, digests)
    if across:
        raise DataError(
            f"{len(across)} pictures stand in more than one split under different names, e.g. "
            f"{_names(across[0])}. The same picture on both sides makes every figure too good: "
            "keep one copy."
        )
    contradicting = contradicting_copies(pictures, digests)
    if contradicting:
        raise DataError(
            f"{len(contradicting)} pictures stand twice under labels that contradict each other, "
            f"e.g. {_names(contradicting[0])}. Keep the right one."
        )


def _names(pictures: Sequence[LabelledPicture]) -> str:
    return " and ".join(str(picture.path) for picture in pictures[:2])
