"""What tallies rest on: where any of it differs, they are of another run."""

from importlib.metadata import version
from pathlib import Path

from hunique_models.bundle import Bundle, digest_file
from hunique_models.engine import Engine
from hunique_models.geometry import Detail

TALLY_FORMAT = 1
"""Grows when what is counted of a picture changes."""


def basis_of(
    bundle: Bundle, engine: Engine, label_file: Path, detail: Detail, tolerance_share: float
) -> dict[str, str]:
    """Everything that decides a tally but the picture itself, by name."""
    described = engine.describe()
    versions = [f"{name} {number}" for name, number in sorted(described.runtime_versions.items())]
    return {
        "tally format": str(TALLY_FORMAT),
        "version of hunique": version("hunique"),
        "bundle": bundle.sha256,
        "label file": digest_file(label_file).sha256,
        "detail": str(detail),
        "border tolerance": f"{tolerance_share:g}",
        "engine": ", ".join([described.name, *versions]),
    }
