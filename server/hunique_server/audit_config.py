"""Whether and how an audit log is kept: one frozen configuration, checked once."""

from dataclasses import dataclass
from pathlib import Path

from hunique_server.config_error import ConfigError

AUDIT_FAILURES = ("refuse", "continue")
"""What to do while the log cannot be written."""


@dataclass(frozen=True, kw_only=True)
class AuditConfig:
    """Flags are in `hunique_server.security_options`."""

    log: Path | None = None
    """The log; None: none is kept."""
    key: Path | None = None
    """Ed25519 private key, PEM, that signs its head."""
    inputs: bool = False
    """Whether digests of pictures are recorded."""
    on_failure: str = "refuse"
    """One of `AUDIT_FAILURES`."""

    def __post_init__(self) -> None:
        """Check that it is all there, or nothing.

        Raises:
            ConfigError: naming the flag.
        """
        if (self.log is None) != (self.key is None):
            raise ConfigError(
                "--audit-log and --audit-key go together; "
                "openssl genpkey -algorithm ed25519 -out FILE makes a key"
            )
        if self.inputs and self.log is None:
            raise ConfigError("--audit-inputs needs --audit-log and --audit-key")
        if self.on_failure not in AUDIT_FAILURES:
            raise ConfigError(f"expected one of {AUDIT_FAILURES}, found {self.on_failure!r}")
