"""What the chart and the images pass to the server, the server understands."""

import json
import re
from pathlib import Path
from typing import Any

import click
import jsonschema
import pytest

from hunique_server.cli import main
from hunique_server.model_reference import ModelReference
from hunique_server.security_options import read_security

VALUES: list[dict[str, Any]] = [
    {},
    {"gpu": {"enabled": True}},
    {"model": {"volume": {"emptyDir": {}}}, "server": {"flags": {"max-batch": 16}}},
    {"modelRepository": {"volume": {"emptyDir": {}}, "load": ["hands", "nails:1.2.0-rc.1"]}},
    {"server": {"logLevel": "debug", "logFormat": "text", "device": "cpu"}},
    {"tls": {"secretName": "cert", "clientCertificates": True, "revocationLists": True}},
    {"tls": {"secretName": "cert", "clientCertificates": True}, "auth": {"tokensSecretName": "t"}},
]
FLAGS: dict[str, Any] = {
    "workers": "auto", "max-batch": 3, "max-queue-items": 4_000_000, "max-queue-mib": 5,
    "max-image-mib": 6, "max-image-megapixels": 7, "decoders": "processes",
    "decode-timeout-s": 2.5, "oidc-issuer": "https://issuer.example", "oidc-audience": "hunique",
    "oidc-keys": "https://issuer.example/keys", "oidc-roles-claim": "https://x.example/roles",
    "oidc-algorithm": ["ES256", "PS256"], "reflection": "off", "quota-requests": 1_000_000,
    "quota-megapixels": 123_456_789, "audit-log": "/audit/audit.jsonl", "audit-key": "/key/k.pem",
    "audit-inputs": True, "audit-failure": "continue", "traces": True,
}  # fmt: skip
HAVE_VALUES_OF_THEIR_OWN = {
    "bundle", "model-repository", "load", "listen", "admin-listen", "device", "threads", "drain-s",
    "log-level", "log-format", "tls-cert", "tls-key", "tls-client-ca", "tls-client-crl",
    "insecure", "tokens",
}  # fmt: skip
NOT_FOR_PODS = {"version", "exit-with-parent"}


def _understood(arguments: list[str]) -> dict[str, Any]:
    """The server's options as it reads them, without starting it."""
    assert isinstance(main, click.Command)
    return main.make_context("hunique-server", list(arguments)).params


@pytest.mark.parametrize("values", VALUES)
def test_chart_passes_flags_that_exist(render: Any, values: dict[str, Any]) -> None:
    """Every argument of the rendered container is a flag with a legal value."""
    understood = _understood(render(**values).container()["args"])
    assert understood["listen"] == ("0.0.0.0:50051",)
    assert understood["admin_listen"] == "0.0.0.0:9464"
    repository = values.get("modelRepository", {})
    assert understood["load"] == tuple(repository.get("load", ()))
    assert (understood["model_repository"] is not None) == bool(repository)
    for text in understood["load"]:
        assert str(ModelReference.parse(text)) == text
    encrypts = "tls" in values
    assert understood["insecure"] != encrypts
    security = read_security(understood)["security"]
    assert security.encrypts == encrypts
    security.check_listen(understood["listen"])


def _schema_of_flags(deploy: Path) -> dict[str, Any]:
    schema = json.loads((deploy / "helm/hunique/values.schema.json").read_text(encoding="utf-8"))
    flags = schema["properties"]["server"]["properties"]["flags"]
    assert isinstance(flags, dict)
    return flags


def _options() -> dict[str, click.Option]:
    options = [parameter for parameter in main.params if isinstance(parameter, click.Option)]
    return {option.opts[0].removeprefix("--"): option for option in options}


def test_schema_offers_every_flag_that_has_no_value_of_its_own(deploy: Path) -> None:
    """What pages tell operators to use can be set; whole numbers are whole, choices are ours."""
    offered, options = _schema_of_flags(deploy)["properties"], _options()
    assert set(offered) == set(options) - HAVE_VALUES_OF_THEIR_OWN - NOT_FOR_PODS == set(FLAGS)
    for name, rule in offered.items():
        kind, one = options[name].type, rule.get("items", rule)
        assert (rule.get("type") == "array") == options[name].multiple, name
        assert (rule.get("type") == "boolean") == options[name].is_flag, name
        if isinstance(kind, click.Choice):
            assert one["enum"] == list(kind.choices), name
        elif isinstance(kind, click.IntRange):
            one = rule["anyOf"][0] if name == "workers" else rule
            least = 0 if name == "workers" else kind.min  # 0 is auto
            assert (one["type"], one["minimum"]) == ("integer", least), name


def test_chart_passes_every_flag_as_it_was_meant(render: Any, deploy: Path) -> None:
    """Large numbers, fractions, lists, words and switches reach the server unchanged."""
    jsonschema.validate(FLAGS, _schema_of_flags(deploy))
    understood = _understood(render(server={"flags": FLAGS}).container()["args"])
    options = _options()
    for name, value in FLAGS.items():
        taken = understood[options[name].name or ""]
        assert options[name].type_cast_value(click.Context(main), value) == taken, name
    silent = render(server={"flags": {"traces": False, "max-batch": 3}}).container()["args"]
    assert [a for a in silent if "traces" in a or "batch" in a] == ["--max-batch=3"]


def test_variable_of_the_chart_is_read(render: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The variable that carries the CPU request sets the server's threads."""
    (variable,) = render().container()["env"]
    monkeypatch.setenv(variable["name"], "5")
    assert _understood([])["threads"] == 5


def test_memory_limit_holds_the_largest_pictures(default_values: dict[str, Any]) -> None:
    """What the deployment page reckons for the defaults of chart and server fits the limit."""
    resources, default = default_values["resources"], _understood([])
    cores = int(resources["requests"]["cpu"])
    largest_mb = (2 * cores + 1) * default["max_image_megapixels"] * 6.5
    needed_mb = 500 + default["max_queue_mib"] * 1.05 + largest_mb
    limit = resources["limits"]["memory"]
    assert limit.endswith("Gi")
    assert needed_mb < int(limit.removesuffix("Gi")) * 1074


def test_images_pass_flags_that_exist(deploy: Path) -> None:
    """Every CMD of the container file is understood."""
    text = (deploy / "container" / "Containerfile").read_text(encoding="utf-8")
    commands = re.findall(r"^CMD (\[.*\])$", text, flags=re.MULTILINE)
    assert len(commands) == 2
    for command in commands:
        understood = _understood(json.loads(command))
        assert understood["listen"] == ("0.0.0.0:50051",)
        read_security(understood)["security"].check_listen(understood["listen"])
