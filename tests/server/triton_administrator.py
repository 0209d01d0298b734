"""A program that changes what a server serves with tritonclient as it is, and prints what it saw.

In a process of its own, as `triton_caller.py` is, and for the same reason.

    python triton_administrator.py ADDRESS PICTURE.png
"""

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import tritonclient.grpc as triton
from triton_error import error_of

ALIASES = json.dumps({"parameters": {"aliases": {"string_value": "default"}}})


def main(address: str, picture: str) -> None:
    """Load, switch, unload, and print."""
    client = triton.InferenceServerClient(address)
    encoded = np.array([Path(picture).read_bytes()], np.object_)
    seen: dict[str, Any] = {"first": _index(client)}
    client.load_model("hands")
    seen["loaded"] = [_index(client), client.is_model_ready("hands"), _answers(client, encoded)]
    client.load_model("tiny")
    seen["switched"] = [
        client.get_model_metadata("tiny").versions[:], client.is_model_ready("tiny", "1.2.3"),
        _answers(client, encoded),
    ]  # fmt: skip
    seen["broken"] = error_of(lambda: client.load_model("broken"))
    seen["default"] = error_of(lambda: client.unload_model("tiny"))
    seen["files"] = error_of(
        lambda: client.load_model("hands", config="{}", files={"file:1/model.onnx": b"graph"})
    )
    client.load_model("hands", config=ALIASES)
    client.unload_model("tiny", unload_dependents=True)
    seen["last"] = [client.is_model_ready("tiny"), _answers(client, encoded)]
    client.close()
    print(json.dumps(seen))


def _index(client: Any) -> dict[str, str]:
    index = client.get_model_repository_index()
    return {f"{model.name}:{model.version}": model.state for model in index.models}


def _answers(client: Any, encoded: np.ndarray) -> dict[str, str]:
    """Who answers for each of these names."""
    found = {}
    for name in ("default", "tiny", "hands"):
        tensor = triton.InferInput("encoded_image", encoded.shape, "BYTES")
        tensor.set_data_from_numpy(encoded)
        try:
            response = client.infer(name, [tensor]).get_response()
            found[name] = f"{response.model_name}:{response.model_version}"
        except triton.InferenceServerException as error:
            found[name] = str(error.status())
    return found


if __name__ == "__main__":
    main(*sys.argv[1:])
