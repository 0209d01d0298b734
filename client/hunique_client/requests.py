"""What is asked of the server: pictures and wishes as messages."""

import io
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, TypeVar

from hunique_client.errors import InvalidRequestError
from hunique_client.results import Detail, Output
from hunique_proto.v1 import hand_features_pb2 as pb

Choice = TypeVar("Choice", Detail, Output)
Source = bytes | str | Path | BinaryIO
"""A picture: encoded bytes, a path, or a binary stream."""
MESSAGE_BYTES = 2_000_000_000
"""Most bytes of a picture that a message can hold."""


@dataclass(frozen=True, kw_only=True)
class Wish:
    """What is wanted of pictures."""

    classes: tuple[str, ...] = ()
    """Classes to assess; empty: all."""
    outputs: tuple[Output, ...] = ()
    """What to return; empty: masks as PNG and polygons."""
    detail: Detail | None = None
    """How closely to look; None: the server's default."""
    model: str = ""
    """NAME, NAME:VERSION or an alias; empty: the server's default model."""


def make_wish(
    classes: Iterable[str] | None,
    outputs: Iterable[str] | None,
    detail: str | None,
    model: str = "",
) -> Wish:
    """Understand what a caller wants.

    Raises:
        ValueError: an unknown output or detail.
    """
    return Wish(
        classes=_names(classes),
        outputs=tuple(_choice(Output, output) for output in _names(outputs)),
        detail=None if detail is None else _choice(Detail, detail),
        model=model,
    )


def _names(given: Iterable[str] | None) -> tuple[str, ...]:
    """A name alone is one name, not its letters."""
    return (given,) if isinstance(given, str) else tuple(given or ())


def _choice(kind: type[Choice], given: str) -> Choice:
    try:
        return kind(given)
    except ValueError:
        known = ", ".join(one.value for one in kind)
        raise ValueError(f"expected {kind.__name__.lower()} {known}; found {given!r}") from None


def make_request(
    source: Source, wish: Wish, request_id: str = "", max_bytes: int = MESSAGE_BYTES
) -> pb.SegmentRequest:
    """The message for one picture.

    Args:
        source: the picture.
        wish: what is wanted of it.
        request_id: comes back with the answer.
        max_bytes: the largest picture that can be sent.

    Raises:
        InvalidRequestError: the picture cannot be read from its place, or is too large.
        TypeError: the stream does not give bytes.
    """
    return pb.SegmentRequest(
        image=_read(source, max_bytes),
        request_id=request_id,
        classes=wish.classes,
        outputs=[f"OUTPUT_{output.name}" for output in wish.outputs],
        detail="DETAIL_UNSPECIFIED" if wish.detail is None else f"DETAIL_{wish.detail.name}",
        model=wish.model,
    )


def _read(source: Source, max_bytes: int) -> bytes:
    try:
        data = source if isinstance(source, bytes) else _load(source, max_bytes)
    except (OSError, ValueError) as error:  # a path with a zero byte, a closed stream
        reason = getattr(error, "strerror", None) or str(error)
        raise InvalidRequestError(f"the picture cannot be read: {reason}") from error
    if not isinstance(data, bytes):
        raise TypeError(
            f"expected a stream of bytes, found one of {type(data).__name__}: open it with 'rb'"
        )
    _check_size(len(data), max_bytes)
    return data


def _load(source: str | Path | BinaryIO, max_bytes: int) -> bytes:
    if isinstance(source, io.TextIOBase):
        raise TypeError("expected a stream of bytes, found one of text: open it with 'rb'")
    if not hasattr(source, "read") and not isinstance(source, str | Path):
        raise TypeError(f"expected bytes, a path or a binary stream, found {type(source).__name__}")
    if not isinstance(source, str | Path):
        return source.read()
    with Path(source).open("rb") as stream:
        _check_size(os.fstat(stream.fileno()).st_size, max_bytes)
        return stream.read()


def _check_size(size_bytes: int, max_bytes: int) -> None:
    if size_bytes > max_bytes:
        raise InvalidRequestError(
            f"the picture has {size_bytes} bytes; expected at most {max_bytes}"
        )
