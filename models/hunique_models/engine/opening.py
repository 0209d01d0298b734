"""From a device name to an engine."""

from hunique_models.bundle import Bundle
from hunique_models.engine.protocol import Engine
from hunique_models.errors import EngineUnavailableError

DEVICES = "cpu, cuda, cuda:N, tensorrt, tensorrt:N, native-tensorrt, native-tensorrt:N"
"""Device names understood by `open_engine`."""


def open_engine(bundle: Bundle, device: str = "cpu", threads: int = 1) -> Engine:
    """Open the engine for a device.

    Args:
        bundle: the model.
        device: one of `DEVICES`; `cuda` and `tensorrt` run in ONNX Runtime,
            `native-tensorrt` runs an engine file made by `hunique-export tensorrt`.
        threads: threads of one run on the CPU.

    Raises:
        EngineUnavailableError: the device, its driver or its runtime is not there.
    """
    kind, _, index = device.partition(":")
    if (index and not (index.isascii() and index.isdigit())) or (kind == "cpu" and index):
        raise EngineUnavailableError(f"expected a device out of {DEVICES}; found {device!r}")
    if kind in ("cpu", "cuda", "tensorrt"):
        from hunique_models.engine.onnx_runtime import OnnxRuntimeEngine

        return OnnxRuntimeEngine(bundle, kind=kind, device_index=int(index or 0), threads=threads)
    if kind == "native-tensorrt":
        from hunique_models.engine.tensorrt import TensorRTEngine

        return TensorRTEngine(bundle, device_index=int(index or 0))
    raise EngineUnavailableError(f"expected a device out of {DEVICES}; found {device!r}")
