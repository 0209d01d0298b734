"""Tensors of the Open Inference Protocol: between the wire and arrays.

Elements come raw, as one run of bytes, or typed, in the field of `InferTensorContents` that
fits their type. A raw BYTES tensor has each element behind its length in 4 bytes,
little-endian. What is sent is always raw.
"""

import struct
from collections.abc import Sequence
from math import prod

import numpy as np
from numpy.typing import NDArray

from hunique_proto.inference import open_inference_pb2 as pb
from hunique_server.errors import RequestError

InputTensor = pb.ModelInferRequest.InferInputTensor
Value = NDArray[np.uint8] | NDArray[np.float32] | Sequence[bytes]
"""Of an output: numbers of any shape, or a row of byte strings."""

_TYPED = {"UINT8": "uint_contents", "BYTES": "bytes_contents"}
_DATATYPES = {np.dtype(np.uint8): "UINT8", np.dtype(np.float32): "FP32"}
_LENGTH = struct.Struct("<I")


def read_uint8(tensor: InputTensor, raw: bytes | None) -> NDArray[np.uint8]:
    """The elements of a UINT8 tensor, in its shape, 0 to 255.

    Args:
        tensor: its shape, and its elements where they are typed.
        raw: its elements where they are raw.

    Raises:
        RequestError: not as many elements as the shape says, or not of the type.
    """
    shape, count = tuple(tensor.shape), prod(tensor.shape)
    if raw is not None:
        if len(raw) != count:
            raise RequestError(
                f"expected {count} bytes for {tensor.name} of shape {list(shape)}, found {len(raw)}"
            )
        return np.frombuffer(raw, np.uint8).reshape(shape)
    typed = tensor.contents.uint_contents
    _check_count(tensor, len(typed))
    values = np.fromiter(typed, np.uint32, count)
    if values.max(initial=0) > 255:
        raise RequestError(f"expected UINT8 in {tensor.name}, 0 to 255, found {values.max()}")
    return values.astype(np.uint8).reshape(shape)


def read_bytes(tensor: InputTensor, raw: bytes | None) -> tuple[bytes, ...]:
    """The elements of a BYTES tensor [N].

    Args:
        tensor: its shape, and its elements where they are typed.
        raw: its elements where they are raw.

    Raises:
        RequestError: not as many elements as the shape says.
    """
    if raw is not None:
        return _split(tensor, raw)
    _check_count(tensor, len(tensor.contents.bytes_contents))
    return tuple(tensor.contents.bytes_contents)


def check_contents(tensor: InputTensor, *, is_raw: bool) -> None:
    """Let pass a tensor whose elements are where they belong.

    Raises:
        RequestError: they are typed beside raw ones, or in the field of another type.
    """
    found = {field.name for field, _ in tensor.contents.ListFields()}
    expected = set() if is_raw else {_TYPED[tensor.datatype]}
    if found - expected:
        place = "raw_input_contents alone" if is_raw else _TYPED[tensor.datatype]
        raise RequestError(
            f"expected the elements of {tensor.name} in {place}, found {', '.join(sorted(found))}"
        )


def write_tensor(response: pb.ModelInferResponse, name: str, value: Value) -> None:
    """Add an output to a response."""
    if isinstance(value, np.ndarray):
        response.outputs.add(name=name, datatype=_DATATYPES[value.dtype], shape=value.shape)
        raw = value.tobytes()
        del value  # of masks there are hundreds of megabytes, which are copied once more
        response.raw_output_contents.append(raw)
        return
    response.outputs.add(name=name, datatype="BYTES", shape=[len(value)])
    response.raw_output_contents.append(
        b"".join(_LENGTH.pack(len(element)) + element for element in value)
    )


def _check_count(tensor: InputTensor, found: int) -> None:
    if found != prod(tensor.shape):
        raise RequestError(
            f"expected {prod(tensor.shape)} elements in {tensor.name} of shape "
            f"{list(tensor.shape)}, found {found}"
        )


def _split(tensor: InputTensor, raw: bytes) -> tuple[bytes, ...]:
    """As many elements as the shape says: what is small beyond, there may be millions of."""
    elements: list[bytes] = []
    start = 0
    while start < len(raw):
        end = start + _LENGTH.size
        if end <= len(raw):
            end += _LENGTH.unpack_from(raw, start)[0]
        if not start + _LENGTH.size <= end <= len(raw):
            raise RequestError(
                f"expected each element of {tensor.name} behind its length in 4 bytes, "
                f"little-endian; found {len(raw) - start} bytes for element {len(elements)} that "
                "are not so"
            )
        if len(elements) == tensor.shape[0]:
            raise RequestError(
                f"expected {len(elements)} elements in {tensor.name} of shape "
                f"{list(tensor.shape)}, found {len(raw) - start} bytes more"
            )
        elements.append(raw[start + _LENGTH.size : end])
        start = end
    _check_count(tensor, len(elements))
    return tuple(elements)
