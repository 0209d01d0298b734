"""What tests of the validation report read of it."""

import json
from pathlib import Path
from typing import Any


def read_report(folder: Path) -> dict[str, Any]:
    """The report in the folder `out`."""
    report: dict[str, Any] = json.loads((folder / "out" / "report.json").read_text())
    return report


def class_of(report: dict[str, Any], name: str) -> dict[str, Any]:
    """What it says of one class."""
    found: dict[str, Any] = next(one for one in report["classes"] if one["name"] == name)
    return found
