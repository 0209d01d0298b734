"""What a server is told at start: one frozen configuration, checked once."""

import sys
from dataclasses import dataclass, field
from pathlib import Path

from hunique_server.addresses import is_host_and_port, is_unix
from hunique_server.audit_config import AuditConfig
from hunique_server.config_error import ConfigError
from hunique_server.model_reference import ModelNameError, ModelReference
from hunique_server.security_config import SecurityConfig

__all__ = ["ConfigError", "ServerConfig", "is_unix"]


@dataclass(frozen=True, kw_only=True)
class ServerConfig:
    """Everything that can be chosen. Flags and variables are in `hunique_server.cli`."""

    bundles: tuple[Path, ...] = ()
    """Models to begin with; the first one is the default."""
    model_repository: Path | None = None
    """Folder of bundles, NAME/VERSION, from which models may be loaded; None: none may."""
    load: tuple[str, ...] = ()
    """Models of the repository to begin with, NAME or NAME:VERSION."""
    listen: tuple[str, ...] = ("127.0.0.1:50051",)
    """Addresses of the gRPC service: HOST:PORT or unix:PATH."""
    admin_listen: str = "127.0.0.1:9464"
    """HOST:PORT of /metrics, /healthz and /readyz; empty: none."""
    device: str = "cpu"
    """What runs the network."""
    threads: int = 1
    """Cores that runs may use on the CPU."""
    workers: int = 0
    """Runs at once on the CPU, and threads that decode pictures; 0 goes by the load."""
    max_batch: int = 8
    """Most looks of one run."""
    max_queue_items: int = 128
    """Most pictures admitted and not yet answered."""
    max_queue_bytes: int = 512 * 1024 * 1024
    """Most bytes of encoded images admitted and not yet answered."""
    max_image_bytes: int = 64 * 1024 * 1024
    """Largest encoded image."""
    max_image_pixels: int = 80_000_000
    """Most pixels of an image."""
    decoder_processes: bool = False
    """Whether pictures are decoded in processes of their own, which may crash or be killed."""
    decode_timeout_s: float = 60.0
    """How long such a process may take for one picture."""
    drain_s: float = 20.0
    """How long running requests may take after SIGTERM."""
    security: SecurityConfig = field(default_factory=SecurityConfig)
    """Encryption, callers and their shares."""
    audit: AuditConfig = field(default_factory=AuditConfig)
    """Whether an account is kept of what was asked for."""
    traces: bool = False
    """Whether OpenTelemetry traces are sent."""
    exit_with_parent: bool = False
    """End when standard input closes: the private server of a client."""

    def __post_init__(self) -> None:
        """Check limits.

        Raises:
            ConfigError: naming the value.
        """
        if self.workers < 0:
            raise ConfigError(f"workers must be at least 1, or 0 for auto, found {self.workers}")
        for name in _AT_LEAST_ONE:
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} must be at least 1, found {getattr(self, name)}")
        if self.decode_timeout_s <= 0:
            raise ConfigError(f"decode_timeout_s must be above 0, found {self.decode_timeout_s}")
        if self.decoder_processes and sys.platform != "linux":
            raise ConfigError("decoder processes are there on Linux only: choose threads")
        if self.drain_s < 0:
            raise ConfigError(f"drain_s must be at least 0, found {self.drain_s}")
        self._check_models()
        if not self.listen:
            raise ConfigError("expected at least one address to listen on, found none")
        if self.max_queue_bytes < self.max_image_bytes:
            raise ConfigError(
                f"--max-queue-mib must hold at least one image of --max-image-mib: expected "
                f"{self.max_image_bytes / 2**20:g} or more, found {self.max_queue_bytes / 2**20:g}"
            )
        for address in self.listen:
            if not is_unix(address) and not is_host_and_port(address):
                raise ConfigError(f"expected HOST:PORT or unix:PATH, found {address!r}")
        self.security.check_listen(self.listen)
        if self.admin_listen and not is_host_and_port(self.admin_listen):
            raise ConfigError(f"expected HOST:PORT, found {self.admin_listen!r}")

    def _check_models(self) -> None:
        if not self.bundles and self.model_repository is None:
            raise ConfigError("expected a bundle or a model repository, found neither")
        if self.load and self.model_repository is None:
            raise ConfigError("--load names models of a repository: give --model-repository")
        if self.model_repository is not None and not self.model_repository.is_dir():
            raise ConfigError(
                f"expected a folder of bundles, found none at {self.model_repository}"
            )
        for text in self.load:
            try:
                ModelReference.parse(text)
            except ModelNameError as error:
                raise ConfigError(f"--load: {error}") from error

    @property
    def decoders(self) -> int:
        """Pictures that are decoded at once, and threads that draw findings."""
        return max(2, self.workers or self.threads)


_AT_LEAST_ONE = (
    "threads", "max_batch", "max_queue_items", "max_image_bytes", "max_image_pixels",
)  # fmt: skip
