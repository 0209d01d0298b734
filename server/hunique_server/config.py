"""What a server is told at start: one frozen configuration, checked once."""

from dataclasses import dataclass
from pathlib import Path


class ConfigError(Exception):
    """The configuration cannot work; the message says what to change."""


@dataclass(frozen=True, kw_only=True)
class ServerConfig:
    """Everything that can be chosen. Flags and variables are in `hunique_server.cli`."""

    bundle: Path
    """The model."""
    listen: tuple[str, ...] = ("127.0.0.1:50051",)
    """Addresses of the gRPC service: HOST:PORT or unix:PATH."""
    admin_listen: str = "127.0.0.1:9464"
    """HOST:PORT of /metrics, /healthz and /readyz; empty: none."""
    device: str = "cpu"
    """What runs the network."""
    threads: int = 1
    """Threads of one run on the CPU."""
    workers: int = 2
    """Threads that decode pictures and draw findings."""
    max_batch: int = 8
    """Most looks of one run."""
    max_queue_items: int = 64
    """Most pictures admitted and not yet answered."""
    max_queue_bytes: int = 512 * 1024 * 1024
    """Most bytes of encoded images admitted and not yet answered."""
    max_image_bytes: int = 64 * 1024 * 1024
    """Largest encoded image."""
    max_image_pixels: int = 80_000_000
    """Most pixels of an image."""
    drain_s: float = 20.0
    """How long running requests may take after SIGTERM."""
    exit_with_parent: bool = False
    """End when standard input closes: the private server of a client."""

    def __post_init__(self) -> None:
        """Check limits.

        Raises:
            ConfigError: naming the value.
        """
        for name in _AT_LEAST_ONE:
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} must be at least 1, found {getattr(self, name)}")
        if self.drain_s < 0:
            raise ConfigError(f"drain_s must be at least 0, found {self.drain_s}")
        if not self.listen:
            raise ConfigError("expected at least one address to listen on, found none")
        if self.max_queue_bytes < self.max_image_bytes:
            raise ConfigError(
                f"max_queue_bytes ({self.max_queue_bytes}) must hold at least one image of "
                f"max_image_bytes ({self.max_image_bytes})"
            )
        for address in self.listen:
            if not is_unix(address) and not _is_host_and_port(address):
                raise ConfigError(f"expected HOST:PORT or unix:PATH, found {address!r}")
        if self.admin_listen and not _is_host_and_port(self.admin_listen):
            raise ConfigError(f"expected HOST:PORT, found {self.admin_listen!r}")


_AT_LEAST_ONE = (
    "threads", "workers", "max_batch", "max_queue_items", "max_image_bytes", "max_image_pixels",
)  # fmt: skip


def is_unix(address: str) -> bool:
    """Whether an address is unix:PATH."""
    return address.startswith("unix:") and len(address) > len("unix:")


def _is_host_and_port(address: str) -> bool:
    host, _, port = address.rpartition(":")
    return host not in ("", "unix") and port.isdecimal() and int(port) <= 65535
