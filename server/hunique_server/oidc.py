"""Bearer tokens of an OpenID Connect issuer: JSON Web Tokens, verified by PyJWT."""

from pathlib import Path
from typing import Any

import jwt

from hunique_server.identity import Identity, Role
from hunique_server.security_config import OidcConfig
from hunique_server.signing_keys import KeyFile, KeyUrl, SigningKeys

_LEEWAY_S = 30
_REQUIRED = ["exp", "iss", "aud", "sub"]
_NAME_LENGTH = 200


class IssuedTokens:
    """Says whose a token is.

    Args:
        config: issuer, audience, keys, algorithms.

    Raises:
        ConfigError: the file of keys cannot be used.
    """

    def __init__(self, config: OidcConfig) -> None:
        self._config = config
        self.waits = config.keys.startswith("https:")
        """Whether `identity` may wait for the issuer and belongs into a thread."""
        self._keys: SigningKeys = KeyUrl(config.keys) if self.waits else KeyFile(Path(config.keys))

    def identity(self, token: str) -> Identity | None:
        """Whose token it is; None: nobody's that this server believes.

        Raises:
            KeysUnavailableError: the issuer's keys cannot be had.
        """
        try:
            header = jwt.get_unverified_header(token)
            key_id = header.get("kid")
            key = self._keys.find(key_id if isinstance(key_id, str) else None)
            if key is None:
                return None
            claims = jwt.decode(
                token,
                key.public,
                algorithms=[name for name in self._config.algorithms if name in key.algorithms],
                audience=self._config.audience,
                issuer=self._config.issuer,
                leeway=_LEEWAY_S,
                options={"require": _REQUIRED},
            )
        except (jwt.PyJWTError, ValueError, TypeError):
            return None
        return Identity(f"oidc:{claims['sub']}"[:_NAME_LENGTH], self._roles(claims))

    def _roles(self, claims: dict[str, Any]) -> frozenset[Role]:
        """Roles that it knows, of a list or of words; nested claims by dots between names."""
        name = self._config.roles_claim
        value = claims.get(name)
        if value is None:
            value = claims
            for part in name.split("."):
                value = value.get(part) if isinstance(value, dict) else None
        words = value.split() if isinstance(value, str) else value
        if not isinstance(words, list):
            return frozenset()
        return frozenset(Role(word) for word in words if word in tuple(Role))
