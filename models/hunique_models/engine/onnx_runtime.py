"""ONNX Runtime on the CPU, on CUDA, or through its TensorRT provider.

On the CPU every look is run on its own: a larger batch is no faster there (it often is
slower), and so an answer cannot depend on its neighbours. On a GPU the batch is one run.

Newer builds of ONNX Runtime report to their makers from the moment they are loaded, and
keep an identifier of the machine in the user's cache. Nothing may leave this process but
answers, so that is turned off, in the one way that works: before the import.
"""

import ctypes
import os
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hunique_models.bundle import Bundle
from hunique_models.engine.protocol import EngineInfo, EngineOutput, require_numbers
from hunique_models.errors import EngineRunError, EngineUnavailableError

os.environ["ORT_DISABLE_TELEMETRY"] = "1"
try:
    import onnxruntime as ort
except ImportError as error:  # pragma: no cover - the extra is not installed
    raise EngineUnavailableError(
        "ONNX Runtime is not installed: pip install 'hunique[server]'"
    ) from error

_PROVIDERS = {
    "cpu": "CPUExecutionProvider",
    "cuda": "CUDAExecutionProvider",
    "tensorrt": "TensorrtExecutionProvider",
}
_OUTPUTS = ["probability", "score"]


class OnnxRuntimeEngine:
    """Runs a bundle's `model.onnx`.

    Args:
        bundle: the model.
        kind: `cpu`, `cuda` or `tensorrt`.
        device_index: which GPU.
        threads: threads of one run on the CPU.

    Raises:
        EngineUnavailableError: the provider is not there, or would hand the graph to the CPU.
    """

    def __init__(
        self, bundle: Bundle, *, kind: str = "cpu", device_index: int = 0, threads: int = 1
    ) -> None:
        self._kind = kind
        self._size_px = bundle.manifest.geometry.input_size_px
        self._threads = threads
        self._name = "onnxruntime:cpu" if kind == "cpu" else f"onnxruntime:{kind}:{device_index}"
        self._session = _open_session(bundle, kind, device_index, threads)

    def describe(self) -> EngineInfo:
        """Engine, device and version of ONNX Runtime."""
        threads = self._threads if self._kind == "cpu" else 0
        versions = {"onnxruntime": str(ort.__version__)}
        return EngineInfo(
            name=self._name,
            runtime_versions=versions,
            threads=threads,
            overlapping=self._kind == "cpu",
        )

    def run(self, images: NDArray[np.uint8]) -> EngineOutput:
        """Run looks (N, S, S, 3) uint8.

        Raises:
            EngineRunError: the run failed.
        """
        parts = [images[i : i + 1] for i in range(len(images))] if self._kind == "cpu" else [images]
        answers = [self._run(part) for part in parts]
        if len(answers) == 1:
            return answers[0]
        return EngineOutput(
            np.concatenate([a.probability for a in answers]),
            np.concatenate([a.score for a in answers]),
        )

    def _run(self, images: NDArray[np.uint8]) -> EngineOutput:
        try:
            probability, score = self._session.run(_OUTPUTS, {"image": images})
        except Exception as error:  # ONNX Runtime raises its own, undocumented classes
            raise EngineRunError(f"ONNX Runtime could not run {images.shape} looks") from error
        return require_numbers(EngineOutput(probability, score))

    def warm_up(self) -> None:
        """Run one grey look."""
        self.run(np.full((1, self._size_px, self._size_px, 3), 127, np.uint8))

    def close(self) -> None:
        """Let the session go."""
        del self._session


def _open_session(bundle: Bundle, kind: str, device_index: int, threads: int) -> Any:
    provider = _PROVIDERS[kind]
    if provider not in ort.get_available_providers():
        raise EngineUnavailableError(
            f"This ONNX Runtime {ort.__version__} has no {provider}. "
            "On a machine with an NVIDIA GPU: pip install 'hunique[gpu]' in place of onnxruntime."
        )
    options = ort.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    # spinning threads of a waiting session slow whatever else runs on the same cores
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    if kind == "cpu":
        _register_shared_arena()
        options.add_session_config_entry("session.use_env_allocators", "1")
        providers: list[Any] = [provider]
    else:
        options.add_session_config_entry("session.disable_cpu_ep_fallback", "1")
        providers = _gpu_providers(kind, device_index)
    try:
        session = ort.InferenceSession(str(bundle.model_path), options, providers=providers)
    except Exception as error:  # ONNX Runtime raises its own, undocumented classes
        raise EngineUnavailableError(
            f"ONNX Runtime could not open {bundle.manifest.name} on {kind}: "
            f"{str(error).splitlines()[0][:300]}"
        ) from error
    if provider not in session.get_providers():
        raise EngineUnavailableError(
            f"{provider} was asked for, but ONNX Runtime fell back to "
            f"{', '.join(session.get_providers())}. Check the NVIDIA driver and libraries."
        )
    _give_back_freed()
    return session


@cache
def _register_shared_arena() -> None:
    """One arena for what runs on the CPU need meanwhile, whichever session they are of.

    By itself each session keeps as much as its runs ever needed at once.
    """
    memory = ort.OrtMemoryInfo(
        "Cpu", ort.OrtAllocatorType.ORT_ARENA_ALLOCATOR, 0, ort.OrtMemType.DEFAULT
    )
    ort.create_and_register_allocator(memory, None)


def _give_back_freed() -> None:
    """Opening a model leaves more memory freed than it keeps; glibc returns it when told to."""
    try:
        ctypes.CDLL(None).malloc_trim(0)
    except (AttributeError, OSError, TypeError):  # another C library, or Windows
        return


def _gpu_providers(kind: str, device_index: int) -> list[Any]:
    cuda = ("CUDAExecutionProvider", {"device_id": str(device_index), "use_tf32": "0"})
    if kind == "cuda":
        return [cuda]
    tensorrt = {"device_id": str(device_index), "trt_engine_cache_enable": "0"}
    return [("TensorrtExecutionProvider", tensorrt), cuda]
