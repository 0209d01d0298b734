"""Public keys of an issuer of tokens (JWKS): from a file, or from the issuer itself."""

import json
import logging
import time
from collections.abc import Callable
from pathlib import Path
from threading import Lock
from typing import Any, Protocol

import jwt
from jwt import PyJWK, PyJWKClient

from hunique_server.config_error import ConfigError
from hunique_server.watched import Watched

logger = logging.getLogger(__name__)

_FRESH_S = 300.0
_BETWEEN_TRIES_S = 30.0
_ANSWER_S = 5.0
_ASYMMETRIC = ("RSA", "EC", "OKP")


class KeysUnavailableError(Exception):
    """The issuer does not give its keys, and gave none before."""


class SigningKeys(Protocol):
    """Finds keys."""

    def find(self, key_id: str | None) -> PyJWK | None:
        """The key of that id; of no id, the only one there is.

        Raises:
            KeysUnavailableError: nobody can say now.
        """


class KeyFile:
    """Keys in a file, which is read anew when it changes.

    Args:
        file: a JWKS.

    Raises:
        ConfigError: it cannot be read or understood.
    """

    def __init__(self, file: Path) -> None:
        self._keys = Watched((file,), lambda: _read(file))

    def find(self, key_id: str | None) -> PyJWK | None:
        """See `SigningKeys`."""
        return _pick(self._keys.value(), key_id)


class KeyUrl:
    """Keys that the issuer publishes; waits for it, so call it in a thread.

    They are asked for anew after five minutes, and for a key that is not known, but not
    more than every half minute: callers cannot make this server ask at will.

    Args:
        url: https://...
        fetch: gives the JWKS; None: asks the URL.
        clock_s: monotonic.
    """

    def __init__(
        self,
        url: str,
        fetch: Callable[[], Any] | None = None,
        clock_s: Callable[[], float] = time.monotonic,
    ) -> None:
        client = PyJWKClient(url, cache_jwk_set=False, timeout=_ANSWER_S)
        self._fetch: Callable[[], Any] = fetch or client.fetch_data
        self._clock_s = clock_s
        self._lock = Lock()
        self._keys: tuple[PyJWK, ...] = ()
        self._read_s = self._tried_s = float("-inf")

    def find(self, key_id: str | None) -> PyJWK | None:
        """See `SigningKeys`."""
        key = _pick(self._keys, key_id)
        now_s = self._clock_s()
        stale = key is None or now_s - self._read_s > _FRESH_S
        if stale and now_s - self._tried_s > _BETWEEN_TRIES_S:
            # one asks; the others do without, and are not held up by an issuer that is slow
            if self._lock.acquire(blocking=False):
                try:
                    if now_s - self._tried_s > _BETWEEN_TRIES_S:
                        self._ask(now_s)
                        self._tried_s = now_s
                finally:
                    self._lock.release()
            elif key is None:
                raise KeysUnavailableError
            key = _pick(self._keys, key_id)
        if not self._keys:
            raise KeysUnavailableError
        return key

    def _ask(self, now_s: float) -> None:
        try:
            self._keys = _keys_of(self._fetch())
        except (jwt.PyJWTError, OSError, ValueError, TypeError, KeyError) as error:
            logger.warning("the issuer does not give its keys: %s", error)
        else:
            self._read_s = now_s


def _read(file: Path) -> tuple[PyJWK, ...]:
    try:
        keys = _keys_of(json.loads(file.read_bytes()))
    except (jwt.PyJWTError, ValueError, TypeError, KeyError) as error:
        raise ConfigError(f"expected a JWKS of public keys in {file}") from error
    if not keys:
        raise ConfigError(f"expected a JWKS in {file} with a key to verify signatures, found none")
    return keys


def _keys_of(document: Any) -> tuple[PyJWK, ...]:
    """Those that verify signatures; shared secrets are none."""
    return tuple(
        PyJWK(entry)
        for entry in document["keys"]
        if entry.get("kty") in _ASYMMETRIC and entry.get("use", "sig") == "sig"
    )


def _pick(keys: tuple[PyJWK, ...], key_id: str | None) -> PyJWK | None:
    if key_id is None:
        return keys[0] if len(keys) == 1 else None
    return next((key for key in keys if key.key_id == key_id), None)
