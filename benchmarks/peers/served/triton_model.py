"""The work behind Triton's Python backend: instances that each answer one picture at a time."""

import os
import sys
from collections.abc import Sequence
from typing import Any

sys.path[:0] = os.environ["PYTHONPATH"].split(os.pathsep)  # Triton's interpreter does not read it

import numpy as np
import triton_python_backend_utils as triton
from work import Work


class TritonPythonModel:
    """An instance, in a process of its own."""

    def initialize(self, args: dict[str, str]) -> None:  # noqa: ARG002 - its signature
        """Open the model."""
        self._work = Work()

    def execute(self, requests: Sequence[Any]) -> list[Any]:
        """Answer pictures."""
        return [self._respond(request) for request in requests]

    def _respond(self, request: Any) -> Any:
        picture = triton.get_input_tensor_by_name(request, "PICTURE").as_numpy()[0]
        answer = np.array([self._work.answer(picture)], dtype=object)
        return triton.InferenceResponse([triton.Tensor("ANSWER", answer)])
