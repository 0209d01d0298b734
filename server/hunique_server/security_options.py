"""Flags of `hunique-server` about who may call, what is kept of it, and how it is watched."""

from pathlib import Path
from typing import Any

import click

from hunique_server.audit_config import AUDIT_FAILURES, AuditConfig
from hunique_server.option_group import option_group
from hunique_server.security_config import ALGORITHMS, OidcConfig, SecurityConfig

_FILE = click.Path(dir_okay=False, path_type=Path)
security_options = option_group(
    click.option("--tls-cert", type=_FILE, show_envvar=True, show_default=False,
                 help="Certificate chain, PEM. With it TCP is encrypted (TLS 1.2 or newer), Unix "
                 "sockets are not. New files are taken at the next connection."),
    click.option("--tls-key", type=_FILE, show_envvar=True, show_default=False,
                 help="Private key of that certificate, PEM without password."),
    click.option("--tls-client-ca", type=_FILE, show_envvar=True, show_default=False,
                 help="Certificates, PEM, whose holders sign those of callers. With it callers "
                 "without such a certificate are not connected."),
    click.option("--tls-client-crl", type=_FILE, show_envvar=True, show_default=False,
                 help="Revocation lists of those authorities, PEM. Calls with a certificate on one "
                 "are refused, on open connections too; a new file counts from the next call on."),
    click.option("--insecure", is_flag=True, show_envvar=True,
                 help="Listen in the clear beyond this machine all the same: for a private network, "
                 "a mesh, or a container whose port goes nowhere else."),
    click.option("--tokens", type=_FILE, show_envvar=True, show_default=False,
                 help="File of hashes of bearer tokens; `hunique-server token` adds to it. With it "
                 "callers must show one."),
    click.option("--oidc-issuer", default="", show_envvar=True, show_default=False,
                 help="Issuer (iss) whose JSON Web Tokens are taken as bearer tokens."),
    click.option("--oidc-audience", default="", show_envvar=True, show_default=False,
                 help="Audience (aud) that such a token must be for."),
    click.option("--oidc-keys", default="", show_envvar=True, show_default=False,
                 help="The issuer's keys (JWKS): a file, read anew when it changes, or https://..., "
                 "which the server then calls."),
    click.option("--oidc-roles-claim", default="roles", show_envvar=True,
                 help="Claim that lists `segment` and `admin`; dots lead into nested ones."),
    click.option("--oidc-algorithm", multiple=True,
                 type=click.Choice(ALGORITHMS), default=("RS256", "ES256"), show_envvar=True,
                 help="Signature that such a token may have; repeat it for several."),
    click.option("--reflection", type=click.Choice(["open", "protected", "off"]), default="open",
                 show_envvar=True,
                 help="Who may ask which methods there are: anybody, whoever may call them, nobody."),
    click.option("--quota-requests", type=click.IntRange(min=0), default=0, show_envvar=True,
                 help="Pictures a minute of one caller. 0: any number. Choose what the busiest "
                 "caller should get when all are busy."),
    click.option("--quota-megapixels", type=click.IntRange(min=0), default=0, show_envvar=True,
                 help="Megapixels a minute of one caller. 0: any number."),
    click.option("--audit-log", type=_FILE, show_envvar=True, show_default=False,
                 help="Keep an audit log in this file: time, caller, method, outcome, model; "
                 "`hunique-server audit-verify` checks it."),
    click.option("--audit-key", type=_FILE, show_envvar=True, show_default=False,
                 help="Ed25519 private key, PEM, that signs it; `openssl genpkey -algorithm ed25519` "
                 "makes one."),
    click.option("--audit-inputs", is_flag=True, show_envvar=True,
                 help="Also record the SHA-256 of each picture: it says who sent which one to "
                 "whoever has both."),
    click.option("--audit-failure", type=click.Choice(AUDIT_FAILURES), default="refuse",
                 show_envvar=True,
                 help="While the audit log cannot be written, as on a full disk: refuse pictures, "
                 "or serve them and say how many entries were lost."),
    click.option("--traces", is_flag=True, show_envvar=True,
                 help="Send OpenTelemetry traces; where to and how many is chosen by the OTEL_* "
                 "variables."),
)  # fmt: skip
"""Gives a command the flags about callers, accounts and traces."""


def read_security(values: dict[str, Any]) -> dict[str, Any]:
    """Fields of `ServerConfig`, of the flags' values, which are taken out of `values`.

    Raises:
        ConfigError: they do not fit together.
    """
    taken = {name: values.pop(name) for name in _NAMES}
    oidc = OidcConfig(
        issuer=taken["oidc_issuer"],
        audience=taken["oidc_audience"],
        keys=taken["oidc_keys"],
        roles_claim=taken["oidc_roles_claim"],
        algorithms=taken["oidc_algorithm"],
    )
    security = SecurityConfig(
        tls_cert=taken["tls_cert"],
        tls_key=taken["tls_key"],
        tls_client_ca=taken["tls_client_ca"],
        tls_client_crl=taken["tls_client_crl"],
        insecure=taken["insecure"],
        tokens=taken["tokens"],
        oidc=oidc,
        reflection=taken["reflection"],
        quota_requests_per_minute=taken["quota_requests"],
        quota_pixels_per_minute=taken["quota_megapixels"] * 1_000_000,
    )
    audit = AuditConfig(
        log=taken["audit_log"],
        key=taken["audit_key"],
        inputs=taken["audit_inputs"],
        on_failure=taken["audit_failure"],
    )
    return {"security": security, "audit": audit, "traces": taken["traces"]}


_NAMES = (
    "tls_cert", "tls_key", "tls_client_ca", "tls_client_crl", "insecure", "tokens", "oidc_issuer",
    "oidc_audience", "oidc_keys", "oidc_roles_claim", "oidc_algorithm", "reflection",
    "quota_requests", "quota_megapixels", "audit_log", "audit_key", "audit_inputs",
    "audit_failure", "traces",
)  # fmt: skip
