"""Between the Open Inference Protocol and the domain.

    image          UINT8 [N, S, S, 3]  ->  LooksCall     ->  probability, score
    encoded_image  BYTES [N]           ->  PicturesCall  ->  findings, labels, masks

A request has one of the two inputs. `docs/server.md` describes the contract.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hunique_models.geometry import Detail
from hunique_models.manifest import Manifest
from hunique_models.pipeline import PictureFindings
from hunique_proto.inference import open_inference_pb2 as pb
from hunique_proto.v1 import hand_features_pb2 as v1
from hunique_server.convert import Wish
from hunique_server.errors import Failure, RequestError
from hunique_server.oip_metadata import LOOKS, OUTPUTS, PICTURES, TensorMetadata, inputs
from hunique_server.oip_tensors import (
    InputTensor,
    Value,
    check_contents,
    read_bytes,
    read_uint8,
    write_tensor,
)

_USUAL = {LOOKS: ("probability", "score"), PICTURES: ("findings",)}
_OF_ONE_PICTURE = frozenset(("labels", "masks"))
_PARAMETERS = {LOOKS: ("timeout",), PICTURES: ("classes", "detail", "timeout")}
# they would change what a tensor is or where it lies
_REFUSED_SETTINGS = (
    "classification", "shared_memory_byte_size", "shared_memory_offset", "shared_memory_region",
)  # fmt: skip
_IGNORED_PREFIX = "triton_"
_MOST_CHARACTERS = 10_000
MAX_MASKS_BYTES = 2**30
"""Of one answer; protobuf carries less than twice as much."""
Parameters = Mapping[str, pb.InferParameter]


@dataclass(frozen=True, kw_only=True, eq=False)
class LooksCall:
    """What the network is to see, cut by the caller."""

    tensor: InputTensor
    """Its shape, and its elements where they are typed."""
    raw: bytes | None
    """Its elements where they are raw."""
    outputs: tuple[str, ...]
    """Names, in the order asked for."""
    timeout_s: float | None
    """How long the caller will wait; None: as long as gRPC's deadline says."""

    @property
    def count(self) -> int:
        """How many looks."""
        return int(self.tensor.shape[0])

    @property
    def size_bytes(self) -> int:
        """Of all elements, as they are held: typed ones in four bytes each."""
        if self.raw is not None:
            return len(self.raw)
        return 4 * len(self.tensor.contents.uint_contents)

    def looks(self) -> NDArray[np.uint8]:
        """(N, S, S, 3) uint8 sRGB; where they are typed it takes its time.

        Raises:
            RequestError: not as many elements as the shape says, or not of the type.
        """
        return read_uint8(self.tensor, self.raw)


@dataclass(frozen=True, kw_only=True, eq=False)
class PicturesCall:
    """Encoded pictures to examine."""

    images: tuple[bytes, ...]
    """As files."""
    wish: Wish
    """What is wanted of each."""
    outputs: tuple[str, ...]
    """Names, in the order asked for."""
    timeout_s: float | None
    """How long the caller will wait; None: as long as gRPC's deadline says."""

    @property
    def count(self) -> int:
        """How many pictures."""
        return len(self.images)

    @property
    def size_bytes(self) -> int:
        """Of all pictures."""
        return sum(map(len, self.images))

    @property
    def wants_labels(self) -> bool:
        """Whether anything is wanted that has the picture's size."""
        return not _OF_ONE_PICTURE.isdisjoint(self.outputs)


def read_call(
    request: pb.ModelInferRequest, manifest: Manifest, most_items: int
) -> LooksCall | PicturesCall:
    """Understand a request to the model of a manifest.

    Args:
        request: as it was sent.
        manifest: says what its tensors must be.
        most_items: pictures or looks that one request may have.

    Raises:
        RequestError: it cannot be served.
    """
    tensor = _only_input(request, manifest)
    if tensor.shape[0] > most_items:
        raise RequestError(
            f"expected at most {most_items} pictures in a request (--max-queue-items), "
            f"found {tensor.shape[0]}"
        )
    raw = request.raw_input_contents[0] if request.raw_input_contents else None
    check_contents(tensor, is_raw=raw is not None)
    outputs = _outputs(request, tensor.name)
    parameters = _parameters(request.parameters, tensor.name)
    timeout_s = _timeout_s(parameters)
    if tensor.name == LOOKS:
        return LooksCall(tensor=tensor, raw=raw, outputs=outputs, timeout_s=timeout_s)
    images = read_bytes(tensor, raw)
    if len(images) > 1 and not _OF_ONE_PICTURE.isdisjoint(outputs):
        raise RequestError(
            f"expected one picture where labels or masks are asked for, found {len(images)}; "
            "send a request for each"
        )
    wish = _wish(parameters)
    return PicturesCall(images=images, wish=wish, outputs=outputs, timeout_s=timeout_s)


def _only_input(request: pb.ModelInferRequest, manifest: Manifest) -> InputTensor:
    names = [tensor.name[:64] for tensor in request.inputs]
    if len(names) != 1 or names[0] not in OUTPUTS:
        raise RequestError(
            f"expected one input, {LOOKS} or {PICTURES}, found {', '.join(names[:8]) or 'none'}"
        )
    if len(request.raw_input_contents) not in (0, 1):
        raise RequestError(
            f"expected raw_input_contents for the one input or none, "
            f"found {len(request.raw_input_contents)}"
        )
    tensor = request.inputs[0]
    _refuse_settings(tensor.name, tensor.parameters)
    _check_kind(tensor, inputs(manifest)[tensor.name])
    return tensor


def _check_kind(tensor: InputTensor, expected: TensorMetadata) -> None:
    if tensor.datatype != expected.datatype:
        raise RequestError(
            f"expected {tensor.name} as {expected.datatype}, "
            f"found {tensor.datatype[:16] or 'no datatype'}"
        )
    found, shape = list(tensor.shape), list(expected.shape)
    if len(found) != len(shape) or found[0] < 1 or found[1:] != shape[1:]:
        sides = ", ".join(["N", *map(str, shape[1:])])
        raise RequestError(
            f"expected {tensor.name} of shape [{sides}], N at least 1, found {found[:8]}"
        )


def _outputs(request: pb.ModelInferRequest, way: str) -> tuple[str, ...]:
    for output in request.outputs:
        if output.name not in OUTPUTS[way]:
            raise RequestError(
                f"expected outputs of {way} out of {', '.join(OUTPUTS[way])}; "
                f"found {output.name[:64]!r}"
            )
        _refuse_settings(output.name, output.parameters)
    return tuple(dict.fromkeys(output.name for output in request.outputs)) or _USUAL[way]


def _refuse_settings(name: str, parameters: Parameters) -> None:
    refused = [setting for setting in _REFUSED_SETTINGS if setting in parameters]
    if refused:
        raise RequestError(
            f"expected {name} without {', '.join(refused)}: tensors travel in the message, "
            "and no classification is made of them here"
        )


def _parameters(parameters: Parameters, way: str) -> Parameters:
    meant = {k: v for k, v in parameters.items() if not k.startswith(_IGNORED_PREFIX)}
    unknown = sorted(set(meant) - set(_PARAMETERS[way]))
    if unknown:
        raise RequestError(
            f"expected parameters of {way} out of {', '.join(_PARAMETERS[way])}; "
            f"found {', '.join(unknown)[:200]}"
        )
    return meant


def _wish(parameters: Parameters) -> Wish:
    detail = _text(parameters, "detail") or Detail.STANDARD
    if detail not in list(Detail):
        raise RequestError(f"expected detail out of {', '.join(Detail)}; found {detail[:64]!r}")
    classes = [name.strip() for name in _text(parameters, "classes").split(",")]
    return Wish(
        request_id="",
        classes=tuple(name for name in classes if name),
        outputs=frozenset((v1.OUTPUT_SCORES_ONLY,)),
        detail=Detail(detail),
    )


def _text(parameters: Parameters, name: str) -> str:
    value = parameters.get(name, pb.InferParameter(string_param=""))
    if value.WhichOneof("parameter_choice") != "string_param":
        raise RequestError(f"expected {name} as text (string_param), found another type")
    text = value.string_param
    if len(text) > _MOST_CHARACTERS:
        raise RequestError(
            f"expected {name} of at most {_MOST_CHARACTERS} characters, found {len(text)}"
        )
    return text


def _timeout_s(parameters: Parameters) -> float | None:
    value = parameters.get("timeout", pb.InferParameter(int64_param=0))
    if value.WhichOneof("parameter_choice") not in ("int64_param", "uint64_param"):
        raise RequestError("expected timeout as a whole number (int64_param), found another type")
    timeout_us = value.int64_param or value.uint64_param
    if timeout_us < 0:
        raise RequestError(f"expected timeout in microseconds, 0 for none, found {timeout_us}")
    return timeout_us / 1e6 or None


def draw_labels(found: PictureFindings) -> NDArray[np.uint8]:
    """(H, W) uint8 of the upright picture: the class's number from 1, 0 where there is none."""
    labels = np.zeros(found.picture.pixels.shape[:2], np.uint8)
    for number, finding in enumerate(found.findings, start=1):
        for instance in finding.instances:
            x, y, width, height = instance.mask.box
            labels[y : y + height, x : x + width][instance.mask.crop != 0] = number
    return labels


def masks_of(labels: NDArray[np.uint8], class_count: int) -> NDArray[np.uint8]:
    """(C, H, W) uint8, 1 where a class is: no pixel belongs to two.

    Raises:
        RequestError: more than one message can carry.
    """
    if class_count * labels.size > MAX_MASKS_BYTES:
        raise RequestError(
            f"expected masks of at most {MAX_MASKS_BYTES} bytes, found "
            f"{class_count * labels.size}; ask for labels instead"
        )
    numbers = np.arange(1, class_count + 1, dtype=np.uint8)
    return (labels == numbers[:, None, None]).view(np.uint8)


def write_response(
    request_id: str, model: v1.ModelIdentity, values: dict[str, Value]
) -> pb.ModelInferResponse:
    """The answer with its outputs in the order given, which are taken out of `values`."""
    response = pb.ModelInferResponse(
        model_name=model.name, model_version=model.version, id=request_id
    )
    response.parameters["model_sha256"].string_param = model.sha256
    for name in tuple(values):
        write_tensor(response, name, values.pop(name))
    return response


def write_stream_response(
    request_id: str, outcome: pb.ModelInferResponse | Failure
) -> pb.ModelStreamInferResponse:
    """One answer of a stream; beside an error only the id, so that it can be told whose it is."""
    if isinstance(outcome, Failure):
        return pb.ModelStreamInferResponse(
            error_message=outcome.message, infer_response=pb.ModelInferResponse(id=request_id)
        )
    outcome.parameters["triton_final_response"].bool_param = True
    return pb.ModelStreamInferResponse(infer_response=outcome)
