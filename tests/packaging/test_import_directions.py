"""The arrows between packages go one way, and a tool proves it."""

import pkgutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import hunique_training

OPEN_TO_EXPORT = {"network", "checkpoint", "config", "manifest", "evaluation.torch_engine"}


def test_contracts_hold(root: Path) -> None:
    """No package imports against the contracts of pyproject.toml."""
    command = [str(Path(sys.executable).parent / "lint-imports"), "--no-cache"]
    linted = subprocess.run(
        command, cwd=root, capture_output=True, text=True, timeout=120, check=False
    )
    assert linted.returncode == 0, linted.stdout


def test_export_contract_names_every_training_module(pyproject: dict[str, Any]) -> None:
    """A new module of training is closed to export until somebody opens it."""
    contracts = pyproject["tool"]["importlinter"]["contracts"]
    (contract,) = (c for c in contracts if c.get("source_modules") == ["hunique_export"])
    closed = {name.removeprefix("hunique_training.") for name in contract["forbidden_modules"]}
    assert _modules() - OPEN_TO_EXPORT == closed


def _modules() -> set[str]:
    """Modules of training by their names below it; of `evaluation` its own modules."""
    tops = {module.name for module in pkgutil.iter_modules(hunique_training.__path__)}
    nested = pkgutil.iter_modules([str(Path(hunique_training.__path__[0]) / "evaluation")])
    return (tops - {"evaluation", "__main__"}) | {f"evaluation.{m.name}" for m in nested}
