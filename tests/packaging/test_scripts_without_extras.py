"""All four commands are always installed; one without its extra says what to install."""

import json
import re
import subprocess
import sys
from importlib.metadata import packages_distributions, requires

import pytest
from packaging.requirements import Requirement

PROGRAM = """
import importlib, json, sys
blocked, module, arguments = json.loads(sys.argv[1])
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in blocked:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Absent())
sys.argv = [module, *arguments]
sys.exit(importlib.import_module(module).main())
"""


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _base_install() -> set[str]:
    """Distributions that `pip install hunique` brings without any extra."""
    known: set[str] = set()
    waiting = ["hunique"]
    while waiting:
        name = _normal(waiting.pop())
        if name in known:
            continue
        known.add(name)
        for text in requires(name) or []:
            requirement = Requirement(text)
            if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
                waiting.append(requirement.name)
    return known


def _modules_of_extras() -> list[str]:
    base = _base_install()
    return [
        module
        for module, owners in packages_distributions().items()
        if not base & {_normal(owner) for owner in owners} and module not in sys.stdlib_module_names
    ]


@pytest.mark.parametrize(
    ("module", "extra", "arguments"),
    [
        ("hunique_client.cli", "client", ["segment", "hand.png"]),
        ("hunique_server.cli", "server", []),
        ("hunique_training.cli", "train", ["fit"]),
        ("hunique_export.cli", "export", ["onnx", "checkpoint.pt"]),
    ],
)
def test_missing_extra_is_a_sentence(module: str, extra: str, arguments: list[str]) -> None:
    """Without its extra a command names the pip command and ends with 1, not with a traceback."""
    job = json.dumps([_modules_of_extras(), module, arguments])
    ended = subprocess.run(
        [sys.executable, "-c", PROGRAM, job],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert "Traceback" not in ended.stderr, ended.stderr
    assert f"pip install 'hunique[{extra}]'" in ended.stderr
    assert ended.returncode == 1
