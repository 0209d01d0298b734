"""Alerts and dashboard: every query parses, and asks for metrics that exist."""

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import promql_parser
import pytest
import yaml
from prometheus_client import generate_latest

from hunique_server.metrics import Metrics

GRAFANA_VARIABLES = {"$__rate_interval": "5m", "$__range": "1h", "$instance": ".*"}


def _dashboard(deploy: Path) -> dict[str, Any]:
    text = (deploy / "grafana" / "hunique.json").read_text(encoding="utf-8")
    dashboard = json.loads(text)
    assert isinstance(dashboard, dict)
    return dashboard


def _dashboard_queries(deploy: Path) -> list[str]:
    targets = [t["expr"] for panel in _dashboard(deploy)["panels"] for t in panel["targets"]]
    for variable, value in GRAFANA_VARIABLES.items():
        targets = [query.replace(variable, value) for query in targets]
    return targets


def _rules(deploy: Path) -> list[dict[str, Any]]:
    text = (deploy / "prometheus" / "alerts.yaml").read_text(encoding="utf-8")
    return [rule for group in yaml.safe_load(text)["groups"] for rule in group["rules"]]


def _adapter_query(deploy: Path) -> str:
    text = (deploy / "prometheus" / "adapter.yaml").read_text(encoding="utf-8")
    (rule,) = yaml.safe_load(text)["rules"]
    query = rule["metricsQuery"].replace("<<.GroupBy>>", "pod")
    return str(query.replace("<<.LabelMatchers>>", 'namespace="x"'))


def _queries(deploy: Path) -> list[str]:
    alerts = [rule["expr"] for rule in _rules(deploy)]
    return [*_dashboard_queries(deploy), *alerts, _adapter_query(deploy)]


def test_every_query_parses(deploy: Path) -> None:
    """Dashboard, alerts and adapter rule speak PromQL."""
    queries = _queries(deploy)
    assert len(queries) > 20
    for query in queries:
        assert "$" not in query, query
        promql_parser.parse(query)


def test_panels_have_titles_places_and_units(deploy: Path) -> None:
    """No two panels overlap, and each says what it shows in what unit."""
    covered: set[tuple[int, int]] = set()
    for panel in _dashboard(deploy)["panels"]:
        assert panel["title"]
        assert panel["description"]
        assert panel["fieldConfig"]["defaults"]["unit"]
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & covered
        assert place["x"] + place["w"] <= 24
        covered |= cells


def test_every_alert_is_explained(deploy: Path) -> None:
    """Whoever is woken finds the alert in the deployment page."""
    page = (deploy.parent / "docs" / "deploy.md").read_text(encoding="utf-8")
    for rule in _rules(deploy):
        assert rule["annotations"]["summary"]
        assert rule["labels"]["severity"] in {"critical", "warning"}
        assert f"`{rule['alert']}`" in page


def test_every_alert_is_about_one_service(deploy: Path) -> None:
    """What several releases share in one Prometheus is not summed over all of them."""
    for rule in _rules(deploy):
        operators = re.findall(r"\b(?:sum|count|min|max)\b(?!\()(.{0,21})", rule["expr"])
        assert operators, rule
        assert all(text.startswith(" by (namespace, job") for text in operators), rule


def test_every_alert_is_tried(deploy: Path) -> None:
    """Each alert has a test in which it fires and one in which it keeps quiet."""
    text = (deploy / "prometheus" / "alerts_test.yaml").read_text(encoding="utf-8")
    tried = [entry for test in yaml.safe_load(text)["tests"] for entry in test["alert_rule_test"]]
    names = {rule["alert"] for rule in _rules(deploy)}
    assert {entry["alertname"] for entry in tried if entry["exp_alerts"]} == names
    assert {entry["alertname"] for entry in tried if not entry["exp_alerts"]} == names


@pytest.mark.parametrize(
    "arguments",
    [
        ["check", "rules", "alerts.yaml"],
        ["test", "rules", "alerts_test.yaml"],
        ["check", "config", "prometheus.yaml"],
    ],
    ids=" ".join,
)
def test_promtool_agrees(deploy: Path, arguments: list[str]) -> None:
    """Prometheus' own tool accepts the files and runs the alerts' tests."""
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool (part of Prometheus) is not on the PATH")
    ran = subprocess.run(
        [promtool, *arguments],
        cwd=deploy / "prometheus",
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr


def _exposed_names(exposition: str) -> set[str]:
    """Names that queries may use, out of the TYPE lines of a scrape."""
    names: set[str] = set()
    for name, kind in re.findall(r"^# TYPE (\S+) (\S+)$", exposition, flags=re.MULTILINE):
        ends = ("_bucket", "_sum", "_count") if kind == "histogram" else ("",)
        names |= {name + end for end in ends}
    return names


def _asked_names(deploy: Path) -> set[str]:
    found = [re.findall(r"\b((?:hunique|process)_[a-z_]+)\b", q) for q in _queries(deploy)]
    return {name for names in found for name in names}


def test_server_exposes_every_metric_asked_for(deploy: Path) -> None:
    """No panel and no alert waits for a metric that the server does not have."""
    asked = _asked_names(deploy)
    assert len(asked) > 15
    exposed = _exposed_names(generate_latest(Metrics().registry).decode("utf-8"))
    assert asked <= exposed


def test_page_has_every_metric_with_its_kind(deploy: Path) -> None:
    """docs/metrics.md lists what /metrics shows under our name, no more and no less."""
    page = (deploy.parent / "docs" / "metrics.md").read_text(encoding="utf-8")
    listed = dict(re.findall(r"^\| `(hunique_\w+)` \| (\w+)", page, flags=re.MULTILINE))
    families = [family for family in Metrics().registry.collect() if "hunique" in family.name]
    total = {"counter": "_total"}
    assert listed == {family.name + total.get(family.type, ""): family.type for family in families}


def test_promtool_accepts_the_exposition() -> None:
    """Names, units and help texts of the metrics follow Prometheus' own rules."""
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool (part of Prometheus) is not on the PATH")
    exposition = generate_latest(Metrics().registry).decode("utf-8")
    ours = "".join(
        line + "\n" for line in exposition.splitlines() if re.match(r"(# \w+ )?hunique_", line)
    )
    ran = subprocess.run(
        [promtool, "check", "metrics"],
        input=ours,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
