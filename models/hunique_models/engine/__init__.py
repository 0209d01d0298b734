"""Engines: what runs a bundle's network, each behind one small protocol.

ONNX Runtime on the CPU, on CUDA or through its TensorRT provider, a native TensorRT
engine, and a fake one for tests. A device that is not there is an error, never a silent
fallback.
"""

from hunique_models.engine.fake import FakeEngine
from hunique_models.engine.opening import open_engine
from hunique_models.engine.protocol import Engine, EngineInfo, EngineOutput

__all__ = ["Engine", "EngineInfo", "EngineOutput", "FakeEngine", "open_engine"]
