"""A program that asks a server what its models are and have done, with tritonclient as it is.

In a process of its own, as `triton_caller.py` is, and for the same reason.

    python triton_observer.py ADDRESS PICTURE.png LOOKS.npy
"""

import base64
import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import tritonclient.grpc as triton
from triton_error import error_of
from tritonclient.grpc import model_config_pb2, service_pb2


def main(address: str, picture: str, looks: str) -> None:
    """Call everything and print."""
    client = triton.InferenceServerClient(address)
    steps = _Steps(client, Path(picture).read_bytes(), np.load(looks))
    seen = {
        "descriptors": [
            base64.b64encode(file.DESCRIPTOR.serialized_pb).decode()
            for file in (service_pb2, model_config_pb2)
        ],
        "extensions": client.get_server_metadata().extensions[:],
        "metadata": client.get_model_metadata("tiny", as_json=True),
        "config": client.get_model_config("default", as_json=True)["config"],
        "steps": steps.all(),
        "errors": {
            "config": error_of(lambda: client.get_model_config("other")),
            "config of a version": error_of(lambda: client.get_model_config("tiny", "9")),
            "statistics": error_of(lambda: client.get_inference_statistics("other")),
            "statistics of a version": error_of(
                lambda: client.get_inference_statistics("tiny", "9")
            ),
        },
    }
    client.close()
    print(json.dumps(seen))


class _Steps:
    """Requests one after another, and what the statistics say after each."""

    def __init__(self, client: Any, picture: bytes, looks: np.ndarray) -> None:
        self._client = client
        self._picture = picture
        self._looks = looks

    def all(self) -> dict[str, Any]:
        """Statistics by model, after each step."""
        return {
            "start": self._statistics(),
            "picture": self._after("tiny", self._picture),
            "two pictures": self._after("default", self._picture, self._picture, detail="fast"),
            "looks": self._after_looks("tiny", self._looks),
            "no picture": self._after("tiny", b"no picture"),
            "one of two": self._after("tiny", self._picture, b"no picture"),
            "wrong shape": self._after_looks("tiny", self._looks[:, :8]),
            "late": self._after("tiny", self._picture, timeout=1),
            "other model": self._after("other", self._picture),
            "loaded": self._after_load(),
            "loaded picture": self._after("hands", self._picture, detail="fast"),
        }

    def _after(self, model: str, *pictures: bytes, **parameters: Any) -> dict[str, Any]:
        return self._after_infer(model, "encoded_image", np.array(pictures, np.object_), parameters)

    def _after_looks(self, model: str, looks: np.ndarray) -> dict[str, Any]:
        return self._after_infer(model, "image", looks, {})

    def _after_infer(
        self, model: str, name: str, values: np.ndarray, parameters: dict[str, Any]
    ) -> dict[str, Any]:
        tensor = triton.InferInput(name, values.shape, "UINT8" if name == "image" else "BYTES")
        tensor.set_data_from_numpy(values)
        timeout_us = parameters.pop("timeout", None)
        started_ns, looks = time.monotonic_ns(), 0
        try:
            answer = self._client.infer(model, [tensor], timeout=timeout_us, parameters=parameters)
        except triton.InferenceServerException:
            pass
        else:
            looks = len(values) if name == "image" else _look_count(answer)
        took_ns = time.monotonic_ns() - started_ns
        return self._statistics() | {"looks": looks, "took_ns": took_ns}

    def _after_load(self) -> dict[str, Any]:
        self._client.load_model("hands")
        return self._statistics()

    def _statistics(self) -> dict[str, Any]:
        """By NAME:VERSION; read at a time that is said."""
        response = self._client.get_inference_statistics()
        found = {f"{model.name}:{model.version}": _plain(model) for model in response.model_stats}
        one = self._client.get_inference_statistics("tiny", "1.2.3").model_stats
        assert [_plain(model) for model in one] == [found["tiny:1.2.3"]]
        return {"models": found, "now_ms": time.time_ns() // 1_000_000}


def _look_count(answer: Any) -> int:
    documents = [json.loads(text) for text in answer.as_numpy("findings")]
    return sum(document["provenance"]["look_count"] for document in documents)


def _plain(model: Any) -> dict[str, Any]:
    """Counters of one model; durations as [count, ns]."""
    kinds = ("success", "fail", "queue", "compute_input", "compute_infer", "compute_output")
    stats = model.inference_stats
    return {
        **{kind: [getattr(stats, kind).count, getattr(stats, kind).ns] for kind in kinds},
        "inference_count": model.inference_count,
        "execution_count": model.execution_count,
        "last_inference": model.last_inference,
        "batches": [
            [batch.batch_size, batch.compute_infer.count, batch.compute_infer.ns]
            for batch in model.batch_stats
        ],
    }


if __name__ == "__main__":
    main(*sys.argv[1:])
