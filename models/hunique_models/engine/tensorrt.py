"""A native TensorRT engine, built beforehand by `hunique-export tensorrt`.

The engine file `model.engine` stands in the bundle beside `model.onnx`. TensorRT is
touched only once a driver was found: without one, constructing its runtime can end the
process.
"""

import ctypes
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hunique_models.bundle import Bundle
from hunique_models.engine.protocol import EngineInfo, EngineOutput, require_numbers
from hunique_models.errors import EngineRunError, EngineUnavailableError

ENGINE_NAME = "model.engine"


def require_driver() -> None:
    """Make sure that an NVIDIA driver with at least one GPU is there.

    Raises:
        EngineUnavailableError: with what is missing.
    """
    try:
        driver = ctypes.CDLL("libcuda.so.1")
    except OSError as error:
        raise EngineUnavailableError(
            "TensorRT needs an NVIDIA driver (libcuda.so.1), found none on this machine. "
            "Use --device cpu, or start on a machine with a GPU."
        ) from error
    count = ctypes.c_int(0)
    if driver.cuInit(0) != 0 or driver.cuDeviceGetCount(ctypes.byref(count)) != 0 or not count:
        raise EngineUnavailableError("An NVIDIA driver is installed, but it shows no GPU")


class TensorRTEngine:
    """Runs a bundle's `model.engine`.

    Args:
        bundle: the model, with an engine file built for this GPU and TensorRT version.
        device_index: which GPU.

    Raises:
        EngineUnavailableError: no driver, no TensorRT, no engine file, or one for another GPU.
    """

    def __init__(self, bundle: Bundle, *, device_index: int = 0) -> None:
        require_driver()
        self._trt, self._cuda = _libraries()
        path = bundle.path / ENGINE_NAME
        if ENGINE_NAME not in bundle.manifest.files:
            raise EngineUnavailableError(
                f"{bundle.path} has no {ENGINE_NAME}: run `hunique-export tensorrt` on this machine"
            )
        _check(self._cuda.cudaSetDevice(device_index))
        self._runtime = self._trt.Runtime(self._trt.Logger(self._trt.Logger.WARNING))
        self._engine = self._runtime.deserialize_cuda_engine(path.read_bytes())
        if self._engine is None:
            raise EngineUnavailableError(
                f"{path} was built for another GPU or TensorRT version: "
                "run `hunique-export tensorrt` on this machine"
            )
        self._context = self._engine.create_execution_context()
        self._stream = _check(self._cuda.cudaStreamCreate())
        self._device_index = device_index
        geometry = bundle.manifest.geometry
        self._size_px = geometry.input_size_px
        self._map_px = geometry.input_size_px // geometry.output_stride_px
        self._class_count = len(bundle.manifest.classes)
        self._plane_count = bundle.manifest.plane_count
        self._max_batch = int(self._engine.get_tensor_profile_shape("image", 0)[2][0])

    def describe(self) -> EngineInfo:
        """Engine, device and version of TensorRT."""
        return EngineInfo(
            name=f"tensorrt:cuda:{self._device_index}",
            runtime_versions={"tensorrt": str(self._trt.__version__)},
            threads=0,
        )

    def run(self, images: NDArray[np.uint8]) -> EngineOutput:
        """Run looks (N, S, S, 3) uint8, in runs of at most the profile's batch.

        Raises:
            EngineRunError: the run failed.
        """
        step = self._max_batch
        answers = [self._run(images[i : i + step]) for i in range(0, len(images), step)]
        return EngineOutput(
            np.concatenate([a.probability for a in answers]),
            np.concatenate([a.score for a in answers]),
        )

    def _run(self, images: NDArray[np.uint8]) -> EngineOutput:
        count = len(images)
        side = self._map_px
        probability = np.empty((count, self._plane_count, side, side), np.uint8)
        score = np.empty((count, self._class_count), np.float32)
        host: dict[str, NDArray[Any]] = {
            "image": np.ascontiguousarray(images),
            "probability": probability,
            "score": score,
        }
        device = {name: _check(self._cuda.cudaMalloc(array.nbytes)) for name, array in host.items()}
        try:
            self._execute(host, device)
        finally:
            for pointer in device.values():
                self._cuda.cudaFree(pointer)
        return require_numbers(EngineOutput(probability, score))

    def _execute(self, host: dict[str, NDArray[Any]], device: dict[str, int]) -> None:
        kind = self._cuda.cudaMemcpyKind
        self._context.set_input_shape("image", host["image"].shape)
        for name, pointer in device.items():
            self._context.set_tensor_address(name, int(pointer))
        self._copy(device["image"], host["image"].ctypes.data, host["image"].nbytes,
                   kind.cudaMemcpyHostToDevice)  # fmt: skip
        if not self._context.execute_async_v3(int(self._stream)):
            raise EngineRunError("TensorRT could not run the looks")
        for name in ("probability", "score"):
            array = host[name]
            self._copy(array.ctypes.data, device[name], array.nbytes, kind.cudaMemcpyDeviceToHost)
        _check(self._cuda.cudaStreamSynchronize(self._stream))

    def _copy(self, target: int, source: int, size_bytes: int, kind: Any) -> None:
        _check(self._cuda.cudaMemcpyAsync(target, source, size_bytes, kind, self._stream))

    def warm_up(self) -> None:
        """Run one grey look."""
        self.run(np.full((1, self._size_px, self._size_px, 3), 127, np.uint8))

    def close(self) -> None:
        """Give the context, the engine and the stream back."""
        del self._context, self._engine
        self._cuda.cudaStreamDestroy(self._stream)


def _libraries() -> tuple[Any, Any]:
    try:
        import tensorrt
        from cuda.bindings import runtime
    except ImportError as error:
        raise EngineUnavailableError(
            f"TensorRT is not installed ({error.name}): pip install 'hunique[gpu]'"
        ) from error
    return tensorrt, runtime


def _check(result: Any) -> Any:
    """The value of a CUDA call, or an error with its code."""
    code, *values = result
    if int(code) != 0:
        raise EngineRunError(f"CUDA call failed with {code}")
    return values[0] if values else None
