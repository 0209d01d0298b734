"""Who may call, and how: one frozen configuration, checked once."""

from dataclasses import dataclass
from pathlib import Path

from hunique_server.addresses import is_local
from hunique_server.config_error import ConfigError

ALGORITHMS = (
    "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA",
)  # fmt: skip
"""Signatures that a bearer token of an issuer may have: those of key pairs."""


@dataclass(frozen=True, kw_only=True)
class OidcConfig:
    """Whose JSON Web Tokens are believed."""

    issuer: str = ""
    """What `iss` must be; empty: no such token is taken."""
    audience: str = ""
    """What `aud` must hold."""
    keys: str = ""
    """The issuer's keys (JWKS): https://... or a file."""
    roles_claim: str = "roles"
    """Where a token says `segment` and `admin`."""
    algorithms: tuple[str, ...] = ("RS256", "ES256")
    """Signatures that are taken."""

    def __post_init__(self) -> None:
        """Check that it is all there, or nothing.

        Raises:
            ConfigError: naming the flag.
        """
        if bool(self.issuer) != bool(self.keys) or bool(self.issuer) != bool(self.audience):
            raise ConfigError("--oidc-issuer, --oidc-audience and --oidc-keys go together")
        if self.keys.startswith("http:"):
            raise ConfigError(f"expected keys by https:// or from a file, found {self.keys!r}")
        for name in self.algorithms:
            if name not in ALGORITHMS:
                raise ConfigError(f"expected one of {', '.join(ALGORITHMS)}, found {name!r}")


@dataclass(frozen=True, kw_only=True)
class SecurityConfig:
    """Encryption, callers and their shares. Flags are in `hunique_server.security_options`."""

    tls_cert: Path | None = None
    """Certificate chain, PEM."""
    tls_key: Path | None = None
    """Its private key, PEM."""
    tls_client_ca: Path | None = None
    """Who signs certificates of callers, PEM; None: callers show none."""
    tls_client_crl: Path | None = None
    """Which of those certificates were taken back, PEM; None: none."""
    insecure: bool = False
    """Whether to listen in the clear beyond this machine."""
    tokens: Path | None = None
    """Hashes of bearer tokens; see `hunique_server.token_file`."""
    oidc: OidcConfig = OidcConfig()
    """Bearer tokens of an issuer."""
    reflection: str = "open"
    """Who may ask which methods there are: open, protected, off."""
    quota_requests_per_minute: int = 0
    """Pictures a minute of one identity; 0: any number."""
    quota_pixels_per_minute: int = 0
    """Pixels a minute of one identity; 0: any number."""

    def __post_init__(self) -> None:
        """Check that the parts fit together.

        Raises:
            ConfigError: naming the flag.
        """
        if (self.tls_cert is None) != (self.tls_key is None):
            raise ConfigError("--tls-cert and --tls-key go together")
        if self.tls_client_ca is not None and self.tls_cert is None:
            raise ConfigError("--tls-client-ca needs --tls-cert and --tls-key")
        if self.tls_client_crl is not None and self.tls_client_ca is None:
            raise ConfigError("--tls-client-crl needs --tls-client-ca")
        if min(self.quota_requests_per_minute, self.quota_pixels_per_minute) < 0:
            raise ConfigError("quotas must be at least 0")
        if self.reflection not in ("open", "protected", "off"):
            raise ConfigError(
                f"expected open, protected or off as reflection, found {self.reflection!r}"
            )

    @property
    def encrypts(self) -> bool:
        """Whether TCP connections are encrypted."""
        return self.tls_cert is not None

    @property
    def asks_for_tokens(self) -> bool:
        """Whether callers must show a bearer token."""
        return self.tokens is not None or bool(self.oidc.issuer)

    def check_listen(self, listen: tuple[str, ...]) -> None:
        """Refuse to be heard in the clear beyond this machine, unless told to.

        Raises:
            ConfigError: naming the address and the ways out.
        """
        if self.encrypts or self.insecure:
            return
        for address in listen:
            if not is_local(address):
                raise ConfigError(
                    f"listening on {address} would carry pictures in the clear beyond this "
                    "machine. Give --tls-cert and --tls-key, or --insecure where a private "
                    "network or a mesh encrypts."
                )
