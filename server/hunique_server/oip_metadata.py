"""What the Open Inference Protocol tells of a model: its inputs and outputs."""

from collections.abc import Iterable

from hunique_models.manifest import Manifest
from hunique_proto.inference import open_inference_pb2 as pb

PLATFORM = "hunique_bundle"
LOOKS = "image"
"""The input for looks that the caller cut itself."""
PICTURES = "encoded_image"
"""The input for pictures as files."""
OUTPUTS = {LOOKS: ("probability", "score"), PICTURES: ("findings", "labels", "masks")}
"""By input, what can be asked for."""

TensorMetadata = pb.ModelMetadataResponse.TensorMetadata


def inputs(manifest: Manifest) -> dict[str, TensorMetadata]:
    """The inputs by name; -1 where the number is the request's."""
    size = manifest.geometry.input_size_px
    return _by_name(
        TensorMetadata(name=LOOKS, datatype="UINT8", shape=(-1, size, size, 3)),
        TensorMetadata(name=PICTURES, datatype="BYTES", shape=(-1,)),
    )


def outputs(manifest: Manifest) -> dict[str, TensorMetadata]:
    """The outputs by name; -1 where the number is the request's or the size the picture's."""
    count, planes = len(manifest.classes), manifest.plane_count
    side = manifest.geometry.input_size_px // manifest.geometry.output_stride_px
    return _by_name(
        TensorMetadata(name="probability", datatype="UINT8", shape=(-1, planes, side, side)),
        TensorMetadata(name="score", datatype="FP32", shape=(-1, count)),
        TensorMetadata(name="findings", datatype="BYTES", shape=(-1,)),
        TensorMetadata(name="labels", datatype="UINT8", shape=(-1, -1)),
        TensorMetadata(name="masks", datatype="UINT8", shape=(count, -1, -1)),
    )


def model_metadata(manifest: Manifest, versions: Iterable[str]) -> pb.ModelMetadataResponse:
    """Name, versions that are served, inputs and outputs."""
    return pb.ModelMetadataResponse(
        name=manifest.name,
        versions=versions,
        platform=PLATFORM,
        inputs=inputs(manifest).values(),
        outputs=outputs(manifest).values(),
    )


def _by_name(*tensors: TensorMetadata) -> dict[str, TensorMetadata]:
    return {tensor.name: tensor for tensor in tensors}
