"""The container file: linted, and the promises that the chart relies on."""

import re
import subprocess
import sysconfig
import tomllib
from pathlib import Path
from typing import Any

import pytest

TARGETS = ("cpu", "gpu")


def _stages(deploy: Path) -> dict[str, str]:
    text = (deploy / "container" / "Containerfile").read_text(encoding="utf-8")
    parts = re.split(r"^FROM (\S+) AS (\S+)$", text, flags=re.MULTILINE)
    return {parts[at + 1]: parts[at + 2] for at in range(1, len(parts), 3)}


def test_linter_finds_nothing(deploy: Path) -> None:
    """The linter of container files has no objection."""
    hadolint = Path(sysconfig.get_path("scripts")) / "hadolint"
    if not hadolint.is_file():
        pytest.skip("hadolint is not here (extra dev, Linux x86-64)")
    ran = subprocess.run(
        [str(hadolint), str(deploy / "container" / "Containerfile")],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout


@pytest.mark.parametrize("target", TARGETS)
def test_image_runs_as_the_chart_says(deploy: Path, render: Any, target: str) -> None:
    """User, ports and command of image and chart are the same."""
    stage = _stages(deploy)[target]
    spec = render().one("Deployment")["spec"]["template"]["spec"]
    user = spec["securityContext"]["runAsUser"]
    group = spec["securityContext"]["runAsGroup"]
    assert f"USER {user}:{group}\n" in stage
    ports = [str(port["containerPort"]) for port in render().container()["ports"]]
    assert f"EXPOSE {' '.join(ports)}\n" in stage
    assert 'ENTRYPOINT ["hunique-server"]' in stage
    assert "command" not in render().container()
    assert "HEALTHCHECK" in stage


def test_bases_are_pinned(deploy: Path) -> None:
    """No image is built on whatever is newest today."""
    text = (deploy / "container" / "Containerfile").read_text(encoding="utf-8")
    bases = re.findall(r"^ARG \w+_IMAGE=(\S+)$", text, flags=re.MULTILINE)
    assert len(bases) == len(TARGETS)
    for base in bases:
        tag = base.rpartition(":")[2]
        assert re.match(r"\d+\.\d+", tag), base


@pytest.mark.parametrize("target", TARGETS)
def test_build_sees_every_package(deploy: Path, target: str) -> None:
    """The build copies all that pyproject.toml packs, and the ignore file lets it through."""
    root = deploy.parent
    stage = _stages(deploy)[f"{target}-build"]
    ignore = (deploy / "container" / "Containerfile.dockerignore").read_text(encoding="utf-8")
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))
    packages = project["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
    assert len(packages) == 6
    for folder in (package.split("/")[0] for package in packages):
        assert f"COPY {folder} {folder}\n" in stage
        assert f"\n!{folder}\n" in ignore
    for name in ("pyproject.toml", "constraints.txt", "README.md", "LICENSE"):
        assert re.search(rf"^COPY .*\b{re.escape(name)}\b", stage, re.MULTILINE)
        assert f"!{name}\n" in ignore
