"""Flags about callers and accounts: each does what its variable does, and ends in its place."""

from operator import attrgetter
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from hunique_server import cli
from hunique_server.config import ServerConfig

ISSUER = {
    "OIDC_ISSUER": "https://issuer.example", "OIDC_AUDIENCE": "hunique", "OIDC_KEYS": "/keys.json",
}  # fmt: skip
PAIR = {"TLS_CERT": "/c", "TLS_KEY": "/k"}
AUDIT = {"AUDIT_LOG": "/log", "AUDIT_KEY": "/key"}
CHOICES: list[tuple[dict[str, str], str, Any]] = [
    (PAIR, "security.tls_cert", Path("/c")),
    (PAIR, "security.tls_key", Path("/k")),
    ({**PAIR, "TLS_CLIENT_CA": "/a"}, "security.tls_client_ca", Path("/a")),
    (
        {**PAIR, "TLS_CLIENT_CA": "/a", "TLS_CLIENT_CRL": "/r"},
        "security.tls_client_crl",
        Path("/r"),
    ),
    ({"INSECURE": "1"}, "security.insecure", True),
    ({"TOKENS": "/tokens"}, "security.tokens", Path("/tokens")),
    (ISSUER, "security.oidc.issuer", "https://issuer.example"),
    (ISSUER, "security.oidc.audience", "hunique"),
    (ISSUER, "security.oidc.keys", "/keys.json"),
    ({"OIDC_ROLES_CLAIM": "scope"}, "security.oidc.roles_claim", "scope"),
    ({"OIDC_ALGORITHM": "EdDSA PS256"}, "security.oidc.algorithms", ("EdDSA", "PS256")),
    ({"REFLECTION": "off"}, "security.reflection", "off"),
    ({"QUOTA_REQUESTS": "7"}, "security.quota_requests_per_minute", 7),
    ({"QUOTA_MEGAPIXELS": "9"}, "security.quota_pixels_per_minute", 9_000_000),
    (AUDIT, "audit.log", Path("/log")),
    (AUDIT, "audit.key", Path("/key")),
    ({**AUDIT, "AUDIT_INPUTS": "1"}, "audit.inputs", True),
    ({"AUDIT_FAILURE": "continue"}, "audit.on_failure", "continue"),
    ({"TRACES": "1"}, "traces", True),
]


@pytest.fixture
def configured(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Run the command; gives what it would have served, and what it said."""

    def run(*arguments: str, **variables: str) -> tuple[ServerConfig | None, str]:
        seen: list[ServerConfig] = []

        async def serve(config: ServerConfig) -> None:
            seen.append(config)

        monkeypatch.setattr(cli, "serve", serve)
        env = {f"HUNIQUE_SERVER_{name}": value for name, value in variables.items()}
        result = CliRunner().invoke(cli.main, arguments, env=env)
        assert "Traceback" not in result.output
        return (seen[0] if seen else None), result.output

    return run


@pytest.mark.parametrize(("variables", "field", "expected"), CHOICES)
def test_variable_and_flag_do_the_same(
    configured: Any, variables: dict[str, str], field: str, expected: Any
) -> None:
    """Each can be given either way, and is where it belongs."""
    config, said = configured(**variables)
    assert config is not None, said
    assert attrgetter(field)(config) == expected
    arguments = []
    for name, value in variables.items():
        flag = f"--{name.lower().replace('_', '-')}"
        arguments += [flag] if value == "1" else [f"{flag}={part}" for part in value.split()]
    config, said = configured(*arguments)
    assert config is not None, said
    assert attrgetter(field)(config) == expected


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--listen", "0.0.0.0:50051"), "--insecure"),
        (("--tls-cert", "/c"), "--tls-cert and --tls-key go together"),
        (("--oidc-issuer", "i"), "go together"),
        (("--oidc-algorithm", "none"), "--oidc-algorithm"),
        (("--audit-log", "/l"), "openssl genpkey"),
    ],
)
def test_half_a_choice_is_explained(configured: Any, arguments: tuple[str, ...], said: str) -> None:
    """The command ends with a sentence that says what is missing."""
    config, output = configured(*arguments)
    assert config is None
    assert said in " ".join(output.split())


def test_default_is_closed_to_the_network(configured: Any) -> None:
    """Loopback, nothing kept, nothing sent."""
    config, _ = configured()
    assert config.listen == ("127.0.0.1:50051",)
    assert not config.security.insecure
    assert config.audit.log is None
    assert not config.traces


@pytest.mark.parametrize("command", ["token", "audit-verify"])
def test_commands_start_no_server(configured: Any, command: str) -> None:
    """A command explains itself and nothing is served."""
    config, output = configured(command, "--help")
    assert config is None
    assert "Usage" in output
