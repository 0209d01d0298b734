"""All that stands between callers and the services, put together for one server.

Parts that were not asked for are not even imported.
"""

from collections.abc import Callable
from contextlib import ExitStack

import grpc

from hunique_server.access import Access
from hunique_server.addresses import is_local, is_unix
from hunique_server.config import ServerConfig
from hunique_server.config_error import ConfigError
from hunique_server.interceptor import Door, Gate
from hunique_server.metrics import Metrics
from hunique_server.open_calls import OpenCalls
from hunique_server.picture_record import Observer
from hunique_server.quota import Quotas


class Guards:
    """The door of a server, and the way it listens.

    Args:
        config: who may call, and what is kept of it.
        metrics: what is counted.
        model_sha256: says the digest of the default model.

    Raises:
        ConfigError: a file cannot be used, or a package is missing.
    """

    def __init__(
        self, config: ServerConfig, metrics: Metrics, model_sha256: Callable[[], str]
    ) -> None:
        security = config.security
        self._credentials = _credentials(config, metrics)
        with ExitStack() as begun:
            access = Access(security, only_local=all(map(is_local, config.listen)))
            begun.callback(access.close)
            traces = _traces(config, begun)
            audit, gate = _audit(config, metrics, model_sha256, begun)
            quotas = Quotas(security.quota_requests_per_minute, security.quota_pixels_per_minute)
            calls = OpenCalls(config.max_queue_items)
            metrics.open_calls.set_function(lambda: calls.count)
            self.door = Door(access, quotas, calls, metrics, (*traces, *audit), gate)
            """Every call passes it."""
            self._undo = begun.pop_all()

    def listen(self, server: grpc.aio.Server, address: str) -> int:
        """Have a server listen, encrypted where that is asked for; the port.

        Raises:
            RuntimeError: it cannot listen there.
        """
        if self._credentials is None or is_unix(address):
            return server.add_insecure_port(address)
        return server.add_secure_port(address, self._credentials)

    def close(self) -> None:
        """Write down and send what is left."""
        self._undo.close()


def _credentials(config: ServerConfig, metrics: Metrics) -> grpc.ServerCredentials | None:
    if not config.security.encrypts:
        return None
    from hunique_server.tls import Certificates

    certificates = Certificates(config.security)
    metrics.certificate_expiry.set_function(lambda: certificates.expires().timestamp())
    return certificates.credentials()


def _traces(config: ServerConfig, begun: ExitStack) -> tuple[Observer, ...]:
    if not config.traces:
        return ()
    try:
        from hunique_server.tracing import Traces
    except ImportError as error:
        raise ConfigError(f"--traces needs {error.name}: pip install 'hunique[otel]'") from error
    traces = Traces()
    begun.callback(traces.close)
    return (traces,)


def _audit(
    config: ServerConfig, metrics: Metrics, model_sha256: Callable[[], str], begun: ExitStack
) -> tuple[tuple[Observer, ...], Gate | None]:
    if config.audit.log is None:
        return (), None
    from hunique_server.audit_log import AuditLog

    log = AuditLog(config.audit, model_sha256)
    begun.callback(log.close)
    metrics.audit_entries.set_function(lambda: log.entries)
    metrics.audit_failing.set_function(lambda: log.failing)
    return (log,), log.gate
