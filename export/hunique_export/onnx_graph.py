"""From a trained network to an ONNX graph.

The graph takes `image` uint8 (N, S, S, 3) and gives `probability` uint8 and `score`
float32, as `hunique_training.network.served` defines. N is free. Opset 18 and plain
operators, so that ONNX Runtime and TensorRT both take it; the first node is a Cast,
because TensorRT transposes no bytes.
"""

import io
import warnings

import onnx
import torch

from hunique_training.checkpoint import ModelCheckpoint
from hunique_training.network.served import ServedNetwork

OPSET = 18


def export_graph(model: ModelCheckpoint) -> bytes:
    """The ONNX graph of a checkpoint, checked, with all weights inside."""
    served = ServedNetwork(model.network).eval()
    size = model.input_size_px
    example = torch.zeros((2, size, size, 3), dtype=torch.uint8)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter warns of its own internals
        program = torch.onnx.export(
            served,
            (example,),
            input_names=["image"],
            output_names=["probability", "score"],
            dynamic_shapes={"image": {0: torch.export.Dim("N", min=1, max=1024)}},
            opset_version=OPSET,
            dynamo=True,
            verbose=False,
        )
    if program is None:
        raise RuntimeError("the ONNX exporter gave no program")
    graph = program.model_proto
    _forget_origin(graph)
    onnx.checker.check_model(graph, full_check=True)
    buffer = io.BytesIO()
    onnx.save_model(graph, buffer)
    return buffer.getvalue()


def _forget_origin(graph: onnx.ModelProto) -> None:
    """Drop what the exporter notes of source files: paths of a machine and nothing else."""
    del graph.metadata_props[:]
    for node in graph.graph.node:
        node.doc_string = ""
        del node.metadata_props[:]
    for value in [*graph.graph.input, *graph.graph.output, *graph.graph.value_info]:
        del value.metadata_props[:]
    for function in graph.functions:
        del function.metadata_props[:]
