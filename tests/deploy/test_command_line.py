"""What the chart and the images pass to the server, the server understands."""

import json
import re
from pathlib import Path
from typing import Any

import click
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


def test_schema_offers_flags_that_exist(deploy: Path) -> None:
    """`server.flags` takes the flags that have no value of their own, and no other."""
    schema = json.loads((deploy / "helm/hunique/values.schema.json").read_text(encoding="utf-8"))
    offered = schema["properties"]["server"]["properties"]["flags"]["propertyNames"]["enum"]
    options = [parameter for parameter in main.params if isinstance(parameter, click.Option)]
    numbers = {
        option.opts[0].removeprefix("--")
        for option in options
        if isinstance(option.type, click.IntRange) and option.name != "threads"
    }
    assert set(offered) == numbers


def test_variable_of_the_chart_is_read(render: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The variable that carries the CPU request sets the server's threads."""
    (variable,) = render().container()["env"]
    monkeypatch.setenv(variable["name"], "5")
    assert _understood([])["threads"] == 5


def test_images_pass_flags_that_exist(deploy: Path) -> None:
    """Every CMD of the container file is understood."""
    text = (deploy / "container" / "Containerfile").read_text(encoding="utf-8")
    commands = re.findall(r"^CMD (\[.*\])$", text, flags=re.MULTILINE)
    assert len(commands) == 2
    for command in commands:
        understood = _understood(json.loads(command))
        assert understood["listen"] == ("0.0.0.0:50051",)
        read_security(understood)["security"].check_listen(understood["listen"])
