"""The admin port: /metrics for Prometheus, /healthz and /readyz for probes. Plain HTTP."""

import socket
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder


class AdminServer:
    """Answers probes and scrapes from threads of its own.

    Args:
        address: HOST:PORT; port 0 takes any free one.
        registry: what /metrics shows.
        is_ready: what /readyz asks.
    """

    def __init__(
        self, address: str, registry: CollectorRegistry, is_ready: Callable[[], bool]
    ) -> None:
        host, _, port = address.rpartition(":")
        handler = _handler(registry, is_ready)
        kind = _IPv6Server if host.startswith("[") else ThreadingHTTPServer
        self._server = kind((host.strip("[]"), int(port)), handler)
        self._server.daemon_threads = True
        self._thread = Thread(target=self._server.serve_forever, name="admin", daemon=True)

    @property
    def address(self) -> str:
        """HOST:PORT that it listens on."""
        host, port = self._server.server_address[:2]
        return f"[{host!s}]:{port}" if ":" in str(host) else f"{host!s}:{port}"

    def start(self) -> None:
        """Begin to answer."""
        self._thread.start()

    def close(self) -> None:
        """Stop answering."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _IPv6Server(ThreadingHTTPServer):
    address_family = socket.AF_INET6


def _handler(
    registry: CollectorRegistry, is_ready: Callable[[], bool]
) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        timeout = 10

        def do_GET(self) -> None:
            path = self.path.partition("?")[0]
            if path == "/metrics":
                encode, content_type = choose_encoder(self.headers.get("Accept") or "")
                self._answer(200, encode(registry), content_type)
            elif path == "/healthz":
                self._answer(200, b"alive\n")
            elif path == "/readyz":
                ready = is_ready()
                self._answer(200 if ready else 503, b"ready\n" if ready else b"not ready\n")
            else:
                self._answer(404, b"expected /metrics, /healthz or /readyz\n")

        def _answer(self, code: int, body: bytes, content_type: str = "text/plain") -> None:
            self.send_response(code)
            self.send_header("Content-Type", content_type)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """Probes are not worth a line."""

    return Handler
