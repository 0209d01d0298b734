"""How many objects a message will become: counted in its bytes, before protobuf makes them.

A field of two bytes becomes an object of a hundred, so that a message below the limit of its
size could take gigabytes, and seconds in which nobody else is answered. What is passed over
by its length (strings, bytes, the elements of a tensor) costs nothing to count.
"""

from dataclasses import dataclass, field
from functools import cache

from google.protobuf.descriptor import Descriptor, FieldDescriptor

MOST_FIELDS = 10_000
"""Of one message, those of the messages in it and elements of number rows included."""
_MASSES = frozenset(("inference.InferTensorContents",))
"""Messages whose rows of numbers are the payload, and kept as such."""
_BYTES = (FieldDescriptor.TYPE_STRING, FieldDescriptor.TYPE_BYTES)
_VARINT, _EIGHT_BYTES, _BY_LENGTH, _FOUR_BYTES = 0, 1, 2, 5
_OF_NO_LENGTH = (3, 4)  # the ends of a group, which counts as part of what holds it
_MOST_VARINT_BYTES = 10


@dataclass(frozen=True, eq=False)
class MessageKind:
    """What has to be known of a kind of message to count its fields."""

    messages: dict[int, "MessageKind"] = field(default_factory=dict)
    """Kinds of the messages in it, by their field's number."""
    rows: set[int] = field(default_factory=set)
    """Fields of numbers, by their own number: there may be many in a row, and they are counted."""


@cache
def kind_of_message(descriptor: Descriptor) -> MessageKind:
    """The kind that a descriptor describes."""
    return _kind_of(descriptor, {})


def has_too_many_fields(data: bytes, kind: MessageKind) -> bool:
    """Whether a message has more than `MOST_FIELDS`; of bytes that are none, up to the fault."""
    count, ahead = 0, [(0, len(data), kind)]
    while ahead and count <= MOST_FIELDS:
        at, end, kind = ahead.pop()
        while at < end and count <= MOST_FIELDS:
            tag, at = _varint(data, at)
            count += 1
            number, wire_type = tag >> 3, tag & 7
            if wire_type != _BY_LENGTH:
                at = _after_value(data, at, end, wire_type)
                continue
            length, at = _varint(data, at)
            if at + length > end:
                break
            if number in kind.messages:
                ahead.append((at, at + length, kind.messages[number]))
            elif number in kind.rows:
                count += length
            at += length
    return count > MOST_FIELDS


def _kind_of(descriptor: Descriptor, known: dict[str, MessageKind]) -> MessageKind:
    """The same; `known` are those that were met on the way, for messages that hold their own kind."""
    if descriptor.full_name in known:
        return known[descriptor.full_name]
    kind = known[descriptor.full_name] = MessageKind()
    for one in descriptor.fields:
        if one.message_type is not None:
            kind.messages[one.number] = _kind_of(one.message_type, known)
        elif one.type not in _BYTES and descriptor.full_name not in _MASSES:
            kind.rows.add(one.number)
    return kind


def _after_value(data: bytes, at: int, end: int, wire_type: int) -> int:
    """Where the next field begins; the end where protobuf would go no further."""
    if wire_type == _VARINT:
        return _varint(data, at)[1]
    if wire_type == _EIGHT_BYTES:
        return at + 8
    if wire_type == _FOUR_BYTES:
        return at + 4
    return at if wire_type in _OF_NO_LENGTH else end


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """A number and where the next one begins: beyond the end where it is none."""
    value = 0
    for place, byte in enumerate(data[at : at + _MOST_VARINT_BYTES]):
        value |= (byte & 0x7F) << 7 * place
        if byte < 0x80:
            return value, at + place + 1
    return 0, len(data) + 1
