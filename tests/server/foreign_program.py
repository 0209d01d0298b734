"""Programs with libraries of others, run in processes of their own: they bring their own stubs."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

LONG_S = 300.0


def run_program(name: str, *arguments: object) -> Any:
    """What a program of this folder printed, as JSON; that it failed is a failure of the test."""
    program = Path(__file__).with_name(name)
    ran = subprocess.run(
        [sys.executable, str(program), *map(str, arguments)],
        capture_output=True, text=True, timeout=LONG_S, check=False,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    return json.loads(ran.stdout)
