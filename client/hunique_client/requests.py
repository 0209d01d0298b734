"""What is asked of the server: pictures and wishes as messages."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from hunique_client.errors import InvalidRequestError
from hunique_client.results import Detail, Output
from hunique_proto.v1 import hand_features_pb2 as pb

Source = bytes | str | Path | BinaryIO
"""A picture: encoded bytes, a path, or a binary stream."""


@dataclass(frozen=True, kw_only=True)
class Wish:
    """What is wanted of pictures."""

    classes: tuple[str, ...] = ()
    """Classes to assess; empty: all."""
    outputs: tuple[Output, ...] = ()
    """What to return; empty: masks as PNG and polygons."""
    detail: Detail | None = None
    """How closely to look; None: the server's default."""


def make_wish(
    classes: Iterable[str] | None, outputs: Iterable[str] | None, detail: str | None
) -> Wish:
    """Understand what a caller wants.

    Raises:
        ValueError: an unknown output or detail.
    """
    return Wish(
        classes=tuple(classes or ()),
        outputs=tuple(Output(output) for output in outputs or ()),
        detail=None if detail is None else Detail(detail),
    )


def make_request(source: Source, wish: Wish, request_id: str = "") -> pb.SegmentRequest:
    """The message for one picture.

    Raises:
        InvalidRequestError: the picture cannot be read from its place.
    """
    return pb.SegmentRequest(
        image=_read(source),
        request_id=request_id,
        classes=wish.classes,
        outputs=[f"OUTPUT_{output.name}" for output in wish.outputs],
        detail="DETAIL_UNSPECIFIED" if wish.detail is None else f"DETAIL_{wish.detail.name}",
    )


def _read(source: Source) -> bytes:
    if isinstance(source, bytes):
        return source
    try:
        if isinstance(source, str | Path):
            return Path(source).read_bytes()
        return source.read()
    except OSError as error:
        raise InvalidRequestError(f"the picture cannot be read: {error.strerror}") from error
