"""Keys that an issuer publishes: when it is asked, and what happens while it does not answer."""

import json
import ssl
import threading
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from hunique_server.signing_keys import KeysUnavailableError, KeyUrl

LONG_S = 120.0
PUBLIC = ec.generate_private_key(ec.SECP256R1()).public_key()
JWKS = {"keys": [{**jwt.algorithms.ECAlgorithm.to_jwk(PUBLIC, as_dict=True), "kid": "r"}]}


class Issuer:
    """Publishes keys, or not, and counts who asks."""

    def __init__(self) -> None:
        self.keys: Any = JWKS
        self.asked = 0
        self.now_s = 0.0

    def fetch(self) -> Any:
        """What it says."""
        self.asked += 1
        if isinstance(self.keys, Exception):
            raise self.keys
        return self.keys

    def clock(self) -> float:
        """Its time."""
        return self.now_s


def test_issuer_is_not_asked_at_callers_will() -> None:
    """Once for a key that is known, then not for five minutes; for unknown ones twice a minute."""
    issuer = Issuer()
    keys = KeyUrl("https://issuer.example/keys", issuer.fetch, issuer.clock)
    for _ in range(100):
        assert keys.find("r") is not None
        assert keys.find("unknown") is None
    assert issuer.asked == 1
    issuer.now_s += 31
    for _ in range(100):
        assert keys.find("unknown") is None
    assert issuer.asked == 2
    issuer.now_s += 301
    assert keys.find("r") is not None
    assert issuer.asked == 3


def test_issuer_that_is_away_keeps_those_out_whom_nobody_knows() -> None:
    """Keys that were read stay; without any nobody can say, which is not the caller's fault."""
    issuer = Issuer()
    keys = KeyUrl("https://issuer.example/keys", issuer.fetch, issuer.clock)
    issuer.keys = jwt.PyJWKClientConnectionError("away")
    for _ in range(2):
        with pytest.raises(KeysUnavailableError):
            keys.find("r")
    assert issuer.asked == 1
    issuer.keys, issuer.now_s = JWKS, 31.0
    assert keys.find("r") is not None
    issuer.keys, issuer.now_s = jwt.PyJWKClientConnectionError("away"), 1000.0
    assert keys.find("r") is not None


@pytest.mark.parametrize("answer", [[], {}, {"keys": 5}, {"keys": ["oops"]}, "oops", None])
def test_issuer_that_talks_nonsense_is_not_asked_at_callers_will(answer: Any) -> None:
    """Whatever it answers, callers hear that nobody can say, and it is asked twice a minute."""
    issuer = Issuer()
    issuer.keys = answer
    keys = KeyUrl("https://issuer.example/keys", issuer.fetch, issuer.clock)
    for _ in range(3):
        with pytest.raises(KeysUnavailableError):
            keys.find("r")
    assert issuer.asked == 1
    issuer.keys, issuer.now_s = JWKS, 31.0
    assert keys.find("r") is not None


def test_slow_issuer_holds_nobody_up_but_who_asks() -> None:
    """While one caller waits for it, known keys are found at once and unknown ones are put off."""
    issuer = Issuer()
    asked, answered = threading.Event(), threading.Event()
    answered.set()

    def fetch() -> Any:
        asked.set()
        assert answered.wait(LONG_S)
        return issuer.fetch()

    keys = KeyUrl("https://issuer.example/keys", fetch, issuer.clock)
    assert keys.find("r") is not None
    asked.clear()
    answered.clear()
    issuer.now_s = 301.0
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(keys.find, "unknown")
        assert asked.wait(LONG_S)
        assert keys.find("r") is not None
        with pytest.raises(KeysUnavailableError):
            keys.find("unknown")
        answered.set()
        assert waiting.result(LONG_S) is None


def test_keys_come_by_https(authority: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """From the issuer's own address, whose certificate must be right."""
    cert, key = authority.issue("issuer")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Publisher)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        url = f"https://localhost:{server.server_port}/keys"
        with pytest.raises(KeysUnavailableError):
            KeyUrl(url).find("r")
        monkeypatch.setenv("SSL_CERT_FILE", str(authority.file))
        assert KeyUrl(url).find("r") is not None
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Publisher(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        body = json.dumps(JWKS).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Nothing."""
