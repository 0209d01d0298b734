"""TensorRT engines: built on the GPU that will run them, or ahead of time for RTX GPUs.

Precision lives in the ONNX graph (TensorRT 11 knows no precision flags), so nothing is
chosen here. `DISTRIBUTIVE_INDEPENDENCE` asks for answers that do not depend on the batch.
"""

import dataclasses
from pathlib import Path
from types import ModuleType
from typing import Any

from hunique_export.errors import BuildError
from hunique_models.bundle import MODEL_NAME, Bundle, write_bundle
from hunique_models.engine.tensorrt import ENGINE_NAME, require_driver

AHEAD_OF_TIME_NAME = "model.rtx.engine"
"""An engine built ahead of time runs in TensorRT for RTX only."""


def add_engine(
    bundle_path: Path, out: Path, *, max_batch: int, ahead_of_time: bool, replace: bool
) -> Bundle:
    """Write a bundle that holds the engine beside the graph.

    Raises:
        BundleError: the bundle does not open.
        EngineUnavailableError: no driver, where one is needed.
        BuildError: TensorRT is not installed or refused the graph.
    """
    bundle = Bundle.open(bundle_path)
    if not ahead_of_time:
        require_driver()
    trt = _ahead_of_time_library() if ahead_of_time else _native_library()
    graph = bundle.model_path.read_bytes()
    engine = build_engine(trt, graph, bundle.manifest.geometry.input_size_px, max_batch)
    contents = {name: (bundle.path / name).read_bytes() for name in bundle.manifest.files}
    contents[MODEL_NAME] = graph
    contents[AHEAD_OF_TIME_NAME if ahead_of_time else ENGINE_NAME] = engine
    return write_bundle(out, dataclasses.replace(bundle.manifest), contents, replace=replace)


def build_engine(trt: Any, graph: bytes, size_px: int, max_batch: int) -> bytes:
    """Parse an ONNX graph and build its serialized engine.

    Args:
        trt: the `tensorrt` or `tensorrt_rtx` module.
        graph: the ONNX file's bytes.
        size_px: side of the square input.
        max_batch: most looks of one run.

    Raises:
        BuildError: with the parser's first complaint.
    """
    logger = trt.Logger(trt.Logger.WARNING)
    builder = trt.Builder(logger)
    network = builder.create_network(1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED))
    parser = trt.OnnxParser(network, logger)
    if not parser.parse(graph):
        reasons = [str(parser.get_error(i)) for i in range(parser.num_errors)]
        raise BuildError(f"TensorRT refused the graph: {reasons[0][:300] if reasons else '?'}")
    config = builder.create_builder_config()
    flag = getattr(trt.BuilderFlag, "DISTRIBUTIVE_INDEPENDENCE", None)
    if flag is not None:
        config.set_flag(flag)
    profile = builder.create_optimization_profile()
    shapes = [(n, size_px, size_px, 3) for n in (1, min(4, max_batch), max_batch)]
    profile.set_shape("image", *shapes)
    config.add_optimization_profile(profile)
    engine = builder.build_serialized_network(network, config)
    if engine is None:
        raise BuildError("TensorRT could not build an engine of the graph; see its messages above")
    return bytes(engine)


def _native_library() -> ModuleType:
    try:
        import tensorrt
    except ImportError as error:
        raise BuildError(
            f"TensorRT is not installed ({error.name}): pip install 'hunique[gpu]'"
        ) from error
    module: ModuleType = tensorrt
    return module


def _ahead_of_time_library() -> ModuleType:
    """TensorRT for RTX; its bindings are importable under either of two names."""
    for name in ("tensorrt_rtx", "tensorrt_rtx_bindings"):
        try:
            return __import__(name)
        except ImportError:
            continue
    raise BuildError(
        "TensorRT for RTX is not installed: pip install --no-deps tensorrt-rtx-cu13-libs "
        "tensorrt-rtx-cu13-bindings"
    )
