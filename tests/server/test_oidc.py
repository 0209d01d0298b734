"""Tokens of an issuer: what is believed, and what is not."""

import base64
import datetime
import hmac
import json
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from hunique_server.config import ConfigError
from hunique_server.identity import Role
from hunique_server.oidc import IssuedTokens
from hunique_server.security_config import OidcConfig

ISSUER, AUDIENCE = "https://issuer.example", "hunique"
RSA_KEY = rsa.generate_private_key(65537, 2048)
EC_KEY = ec.generate_private_key(ec.SECP256R1())
Issue = Callable[..., str]


def _public(key: Any, key_id: str, algorithm: str) -> dict[str, Any]:
    make = jwt.algorithms.get_default_algorithms()[algorithm]
    return {**make.to_jwk(key.public_key(), as_dict=True), "kid": key_id, "alg": algorithm}


JWKS = {"keys": [_public(RSA_KEY, "r", "RS256"), _public(EC_KEY, "e", "ES256")]}


def _issue(
    key: Any = RSA_KEY, algorithm: str = "RS256", kid: str | None = "r", **claims: Any
) -> str:
    now = datetime.datetime.now(datetime.UTC)
    values = {
        "iss": ISSUER, "aud": AUDIENCE, "sub": "service-7", "roles": ["segment"],
        "exp": now + datetime.timedelta(minutes=5), **claims,
    }  # fmt: skip
    values = {name: value for name, value in values.items() if value is not None}
    headers = {"kid": kid} if kid else {}
    return jwt.encode(values, key, algorithm=algorithm, headers=headers)


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    """The issuer's keys."""
    file = tmp_path / "jwks.json"
    file.write_text(json.dumps(JWKS), encoding="utf-8")
    return file


@pytest.fixture
def issued(key_file: Path) -> IssuedTokens:
    """Believes the issuer, with keys from a file."""
    return _believing(key_file)


def _believing(keys: Path | str, **choices: Any) -> IssuedTokens:
    return IssuedTokens(OidcConfig(issuer=ISSUER, audience=AUDIENCE, keys=str(keys), **choices))


def test_token_of_the_issuer_gives_identity_and_roles(issued: IssuedTokens) -> None:
    """Subject and roles are those of the token, by either key; unknown roles are passed over."""
    for token in (_issue(), _issue(EC_KEY, "ES256", "e")):
        identity = issued.identity(token)
        assert identity is not None
        assert identity.name == "oidc:service-7"
        assert identity.roles == {Role.SEGMENT}
    many = issued.identity(_issue(roles=["admin", "segment", "king", {}], aud=["x", AUDIENCE]))
    assert many is not None
    assert many.roles == {Role.SEGMENT, Role.ADMIN}
    none = issued.identity(_issue(roles=None))
    assert none is not None
    assert not none.roles


NOW = datetime.datetime.now(datetime.UTC)
HOUR = datetime.timedelta(hours=1)


@pytest.mark.parametrize(
    "token",
    [
        _issue(exp=NOW - HOUR),
        _issue(exp=None),
        _issue(nbf=NOW + HOUR),
        _issue(iss="https://other.example"),
        _issue(iss=None),
        _issue(aud="other"),
        _issue(aud=None),
        _issue(sub=None),
        _issue(rsa.generate_private_key(65537, 2048)),
        _issue(kid="e"),
        _issue(kid="unknown"),
        _issue(kid=None),
        _issue(algorithm="RS512"),
        _issue("secret" * 10, "HS256"),
        "a.b.c",
        "..",
    ],
    ids=[
        "ended", "endless", "not yet", "other issuer", "no issuer", "other audience", "no audience",
        "nobody", "other key", "key of another kind", "unknown key", "no key named",
        "algorithm not allowed", "shared secret", "no token", "dots",
    ],
)  # fmt: skip
def test_what_the_issuer_did_not_say_for_us_now_is_not_believed(
    issued: IssuedTokens, token: str
) -> None:
    """A token is for nobody unless signature, issuer, audience, subject and time are right."""
    assert issued.identity(token) is None


def test_only_signatures_of_allowed_kinds_are_taken(key_file: Path) -> None:
    """Who allows one kind does not take the other, though its key is there."""
    strict = _believing(key_file, algorithms=("ES256",))
    assert strict.identity(_issue()) is None
    assert strict.identity(_issue(EC_KEY, "ES256", "e")) is not None


def _part(values: dict[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(values).encode()).decode().rstrip("=")


@pytest.mark.parametrize("algorithm", ["none", "HS256"])
def test_forged_signature_is_not_believed(issued: IssuedTokens, algorithm: str) -> None:
    """Neither none at all, nor the public key used as a shared secret."""
    claims = jwt.decode(_issue(), options={"verify_signature": False})
    said = f"{_part({'alg': algorithm, 'kid': 'r'})}.{_part(claims)}"
    pem = RSA_KEY.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    mac = hmac.new(pem, said.encode(), sha256).digest() if algorithm == "HS256" else b""
    assert issued.identity(f"{said}.{base64.urlsafe_b64encode(mac).decode().rstrip('=')}") is None


@pytest.mark.parametrize(
    ("name", "claims"),
    [
        ("scope", {"scope": "openid segment admin"}),
        ("realm_access.roles", {"realm_access": {"roles": ["segment", "admin"]}}),
        ("https://hunique.example/roles", {"https://hunique.example/roles": ["segment", "admin"]}),
    ],
)
def test_roles_are_found_where_issuers_put_them(
    key_file: Path, name: str, claims: dict[str, Any]
) -> None:
    """Words, nested claims and claims with dots in their names."""
    identity = _believing(key_file, roles_claim=name).identity(_issue(**claims))
    assert identity is not None
    assert identity.roles == {Role.SEGMENT, Role.ADMIN}


@pytest.mark.parametrize("value", [5, {"roles": 5}, None, [[]]])
def test_roles_in_a_strange_form_are_none(key_file: Path, value: Any) -> None:
    """Such a token gives a caller without roles."""
    identity = _believing(key_file, roles_claim="realm.roles").identity(_issue(realm=value))
    assert identity is not None
    assert not identity.roles


_EC = _public(EC_KEY, "e", "ES256")
_NOT_FOR_US: dict[str, Any] = {
    "encryption by name": {**_public(RSA_KEY, "x", "RS256"), "alg": "RSA-OAEP"},
    "encryption by curve": {"kty": "OKP", "crv": "X25519", "x": _EC["x"], "kid": "x"},
    "agreement": {**_EC, "alg": "ECDH-ES"},
    "signature of none": {**_EC, "alg": "none"},
    "unknown curve": {"kty": "EC", "crv": "BP-256", "x": "AA", "y": "AA", "kid": "x"},
    "unknown kind": {"kty": "AKP", "pub": "AA", "kid": "x"},
    "half a key": {"kty": "RSA", "kid": "x"},
    "private": {**jwt.algorithms.ECAlgorithm.to_jwk(EC_KEY, as_dict=True), "kid": "x"},
    "no key": "oops",
    "a number": 5,
}


@pytest.mark.parametrize("stranger", _NOT_FOR_US.values(), ids=_NOT_FOR_US)
def test_key_that_is_not_for_signatures_keeps_nobody_out(tmp_path: Path, stranger: Any) -> None:
    """It is passed over, wherever it stands; alone it is no key at all."""
    file = tmp_path / "k"
    file.write_text(json.dumps({"keys": [stranger, *JWKS["keys"]]}), encoding="utf-8")
    issued = _believing(file)
    assert issued.identity(_issue()) is not None
    assert issued.identity(_issue(kid="x")) is None
    file.write_text(json.dumps({"keys": [stranger]}), encoding="utf-8")
    with pytest.raises(ConfigError, match="found none"):
        _believing(file)


def test_key_without_an_algorithm_verifies_what_it_can(tmp_path: Path) -> None:
    """All that was allowed and fits its kind, and nothing that was not."""
    file = tmp_path / "k"
    keys = [{**key, "alg": None} for key in JWKS["keys"]]
    file.write_text(json.dumps({"keys": keys}), encoding="utf-8")
    issued = _believing(file, algorithms=("RS256", "PS256", "RS512", "ES256"))
    for algorithm in ("RS256", "PS256", "RS512"):
        assert issued.identity(_issue(algorithm=algorithm)) is not None
    assert issued.identity(_issue(algorithm="PS512")) is None
    assert issued.identity(_issue(EC_KEY, "ES256", "e")) is not None
    assert issued.identity(_issue(EC_KEY, "ES256", "r")) is None


def test_keys_of_a_file_are_read_again(key_file: Path, issued: IssuedTokens) -> None:
    """A key that was taken away opens no longer."""
    key_file.write_text(json.dumps({"keys": JWKS["keys"][1:]}), encoding="utf-8")
    assert issued.identity(_issue()) is None
    assert issued.identity(_issue(EC_KEY, "ES256", "e")) is not None
    key_file.write_text("{", encoding="utf-8")
    assert issued.identity(_issue(EC_KEY, "ES256", "e")) is not None


@pytest.mark.parametrize(
    "text",
    ["", "{}", '{"keys": []}', '{"keys": [{"kty": "oct", "k": "c2VjcmV0", "kid": "r"}]}', "[]"],
)
def test_file_without_public_keys_stops_the_start(tmp_path: Path, text: str) -> None:
    """Shared secrets are no keys of an issuer."""
    file = tmp_path / "k"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError, match="JWKS"):
        _believing(file)


@pytest.mark.parametrize(
    "choices",
    [
        {"issuer": ISSUER},
        {"issuer": ISSUER, "audience": AUDIENCE},
        {"keys": "f"},
        {"issuer": ISSUER, "audience": AUDIENCE, "keys": "http://issuer.example/keys"},
        {"algorithms": ("HS256",)},
        {"algorithms": ("none",)},
    ],
)
def test_half_a_configuration_is_refused(choices: dict[str, Any]) -> None:
    """All three or none; keys never in the clear; no shared secrets."""
    with pytest.raises(ConfigError):
        OidcConfig(**choices)
