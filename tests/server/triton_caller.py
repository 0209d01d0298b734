"""A program that calls a server with tritonclient as it is, and prints what it saw as JSON.

It runs in a process of its own: tritonclient brings its own definitions of the messages of
package `inference`, and protobuf lets a process have one definition of a message. For the same
reason nothing here imports hunique.

    python triton_caller.py ADDRESS PICTURE.png LOOKS.npy
"""

import base64
import json
import queue
import sys
from pathlib import Path
from typing import Any

import numpy as np
import tritonclient.grpc as triton
from triton_error import error_of
from tritonclient.grpc import service_pb2

LONG_S = 120.0


def main(address: str, picture: str, looks: str) -> None:
    """Call everything and print."""
    client = triton.InferenceServerClient(address)
    encoded = np.array([Path(picture).read_bytes()], np.object_)
    seen = {
        "descriptor": base64.b64encode(service_pb2.DESCRIPTOR.serialized_pb).decode(),
        "described": _described(client),
        "looks": _looks(client, np.load(looks)),
        "pictures": _pictures(client, encoded),
        "errors": _errors(client, encoded),
        "stream": _stream(client, encoded),
    }
    client.close()
    print(json.dumps(seen))


def _input(name: str, values: np.ndarray, kind: str) -> Any:
    tensor = triton.InferInput(name, values.shape, kind)
    tensor.set_data_from_numpy(values)
    return tensor


def _wanted(*names: str) -> list[Any]:
    return [triton.InferRequestedOutput(name) for name in names]


def _described(client: Any) -> dict[str, Any]:
    return {
        "live": client.is_server_live(),
        "ready": client.is_server_ready(),
        "model_ready": [client.is_model_ready(name) for name in ("tiny", "default", "other")],
        "server": client.get_server_metadata(as_json=True),
        "model": client.get_model_metadata("tiny", as_json=True),
        "index": client.get_model_repository_index(as_json=True),
    }


def _looks(client: Any, looks: np.ndarray) -> dict[str, Any]:
    answer = client.infer("tiny", [_input("image", looks, "UINT8")], request_id="exhibit 7")
    response = answer.get_response()
    return {
        "id": response.id,
        "version": response.model_version,
        "probability": answer.as_numpy("probability").tolist(),
        "score": answer.as_numpy("score").tolist(),
    }


def _pictures(client: Any, encoded: np.ndarray) -> dict[str, Any]:
    tensor = _input("encoded_image", encoded, "BYTES")
    names = ("findings", "labels", "masks")
    answer = client.infer("default", [tensor], outputs=_wanted(*names), client_timeout=LONG_S)
    two = _input("encoded_image", np.concatenate([encoded, encoded]), "BYTES")
    fast = client.infer("tiny", [two], parameters={"detail": "fast", "classes": "ring"})
    return {
        "findings": json.loads(answer.as_numpy("findings")[0]),
        "labels": answer.as_numpy("labels").tolist(),
        "masks": answer.as_numpy("masks").tolist(),
        "two": [json.loads(found) for found in fast.as_numpy("findings")],
    }


def _errors(client: Any, encoded: np.ndarray) -> dict[str, Any]:
    tensor = _input("encoded_image", encoded, "BYTES")
    small = _input("image", np.zeros((1, 8, 8, 3), np.uint8), "UINT8")
    floats = _input("image", np.zeros((1, 64, 64, 3), np.float32), "FP32")
    broken = _input("encoded_image", np.array([b"no image"], np.object_), "BYTES")
    return {
        "other model": error_of(lambda: client.infer("other", [tensor])),
        "other version": error_of(lambda: client.infer("tiny", [tensor], model_version="9")),
        "shape": error_of(lambda: client.infer("tiny", [small])),
        "datatype": error_of(lambda: client.infer("tiny", [floats])),
        "no input": error_of(lambda: client.infer("tiny", [])),
        "no image": error_of(lambda: client.infer("tiny", [broken])),
        "output": error_of(lambda: client.infer("tiny", [tensor], outputs=_wanted("depth"))),
        "late": error_of(lambda: client.infer("tiny", [tensor], timeout=1)),
        "load": error_of(lambda: client.load_model("tiny")),
        "unload": error_of(lambda: client.unload_model("tiny")),
    }


def _stream(client: Any, encoded: np.ndarray) -> list[Any]:
    """Ids of the answers, and messages of the errors, as they came."""
    tensor = _input("encoded_image", encoded, "BYTES")
    came: queue.SimpleQueue[tuple[Any, Any]] = queue.SimpleQueue()
    client.start_stream(lambda result, error: came.put((result, error)))
    for request_id, parameters in (("a", {}), ("b", {"detail": "finest"}), ("c", {})):
        client.async_stream_infer("tiny", [tensor], request_id=request_id, parameters=parameters)
    answers = [came.get(timeout=LONG_S) for _ in range(3)]
    client.stop_stream()
    return [error.message() if error else result.get_response().id for result, error in answers]


if __name__ == "__main__":
    main(*sys.argv[1:])
