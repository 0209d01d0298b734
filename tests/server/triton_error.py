"""How a call of tritonclient failed; for the programs that call it."""

from collections.abc import Callable
from typing import Any

import tritonclient.grpc as triton


def error_of(call: Callable[[], Any]) -> tuple[str, str]:
    """Code and sentence of the refusal, or "none"."""
    try:
        call()
    except triton.InferenceServerException as error:
        return str(error.status()), str(error.message())
    return "none", ""
