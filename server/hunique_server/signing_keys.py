"""Public keys of an issuer of tokens (JWKS): from a file, or from the issuer itself."""

import json
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
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
_OF_RSA = frozenset(("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"))


@dataclass(frozen=True)
class SigningKey:
    """A public key that signatures of tokens are verified with."""

    key_id: str | None
    """What tokens call it."""
    public: Any
    """Itself, as `jwt.decode` takes it."""
    algorithms: frozenset[str]
    """Signatures that may be its own: the one that it names, or all that its kind can make."""


class KeysUnavailableError(Exception):
    """The issuer does not give its keys, and gave none before."""


class SigningKeys(Protocol):
    """Finds keys."""

    def find(self, key_id: str | None) -> SigningKey | None:
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

    def find(self, key_id: str | None) -> SigningKey | None:
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
        self._keys: tuple[SigningKey, ...] = ()
        self._read_s = self._tried_s = float("-inf")

    def find(self, key_id: str | None) -> SigningKey | None:
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
            keys = _keys_of(self._fetch())
        except Exception as error:  # noqa: BLE001 - whatever the issuer answers, callers get theirs
            logger.warning("the issuer does not give its keys: %s", error)
            return
        if not keys:
            logger.warning("the issuer gives no key that verifies signatures")
        self._keys, self._read_s = keys, now_s


def _read(file: Path) -> tuple[SigningKey, ...]:
    try:
        keys = _keys_of(json.loads(file.read_bytes()))
    except (jwt.PyJWTError, ValueError, TypeError, KeyError) as error:
        raise ConfigError(f"expected a JWKS of public keys in {file}") from error
    if not keys:
        raise ConfigError(f"expected a JWKS in {file} with a key to verify signatures, found none")
    return keys


def _keys_of(document: Any) -> tuple[SigningKey, ...]:
    """Those that verify signatures; others, of use for something else or none, are passed over."""
    keys = (_key_of(entry) for entry in document["keys"])
    return tuple(key for key in keys if key is not None)


def _key_of(entry: Any) -> SigningKey | None:
    """A key, unless it is for something else, a shared or a private one, or of no known form."""
    try:
        if entry["kty"] not in _ASYMMETRIC or entry.get("use", "sig") != "sig":
            return None
        key = PyJWK(entry)
    except Exception:  # noqa: BLE001 - keys that nobody here understands are none (RFC 7517, 5)
        return None
    if not hasattr(key.key, "verify"):
        return None
    is_any_of_rsa = key.key_type == "RSA" and not entry.get("alg")
    algorithms = _OF_RSA if is_any_of_rsa else frozenset((key.algorithm_name,))
    return SigningKey(key.key_id, key.key, algorithms)


def _pick(keys: tuple[SigningKey, ...], key_id: str | None) -> SigningKey | None:
    if key_id is None:
        return keys[0] if len(keys) == 1 else None
    return next((key for key in keys if key.key_id == key_id), None)
