"""What a command of many runs was asked for, kept in its folder so that it goes on as the same."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hunique_training.checkpoint import CheckpointError


def keep_request(
    path: Path, words: Mapping[str, Any] | Sequence[str], *, what: str, way_out: str
) -> None:
    """Write down what was asked for, or check that it is what was asked for before.

    Args:
        path: the file; its folder is made.
        words: plain values; tuples count as lists.
        what: what the folder holds, for the message.
        way_out: what to do if it holds another one.

    Raises:
        CheckpointError: the folder holds one that was asked for in other words.
    """
    text = json.dumps(words, indent=2) + "\n"
    if path.is_file() and json.loads(path.read_text(encoding="utf-8")) != json.loads(text):
        raise CheckpointError(f"{path} tells of {what}. Choose another --out folder, or {way_out}.")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
