"""Encrypted connections: who is let in, and certificates that change while the server runs."""

import ssl
from pathlib import Path
from typing import Any

import grpc
import pytest
from cryptography import x509

from hunique_models.bundle import Bundle
from hunique_proto.v1 import hand_features_pb2 as pb
from hunique_proto.v1 import hand_features_pb2_grpc as pb_grpc
from hunique_server.config import ConfigError, ServerConfig
from hunique_server.security_config import SecurityConfig
from hunique_server.tls import Certificates

LONG_S = 120.0
Code = grpc.StatusCode


def _channel(address: str, ca: Path, pair: tuple[Path, Path] | None = None) -> grpc.aio.Channel:
    cert, key = (file.read_bytes() for file in pair) if pair else (None, None)
    credentials = grpc.ssl_channel_credentials(ca.read_bytes(), key, cert)
    return grpc.aio.secure_channel(address, credentials)


async def _describe(channel: grpc.aio.Channel) -> grpc.StatusCode:
    async with channel:
        call = pb_grpc.HandFeaturesStub(channel).DescribeModel(
            pb.DescribeModelRequest(), timeout=LONG_S
        )
        code = await call.code()
        assert isinstance(code, grpc.StatusCode)
        return code


def _shown_name(address: str) -> str:
    """Common name of the certificate that a server shows."""
    host, _, port = address.rpartition(":")
    shown = x509.load_pem_x509_certificate(ssl.get_server_certificate((host, int(port))).encode())
    (name,) = shown.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)
    return str(name.value)


async def test_calls_are_encrypted_and_the_clear_is_not_answered(
    serve: Any, authority: Any
) -> None:
    """Who trusts the authority is served; who speaks in the clear or trusts another one is not."""
    cert, key = authority.issue("server")
    served = await serve(security=SecurityConfig(tls_cert=cert, tls_key=key))
    address = served.server.addresses[0]
    assert await _describe(_channel(address, authority.file)) is Code.OK
    assert await _describe(grpc.aio.insecure_channel(address)) is Code.UNAVAILABLE
    stranger = type(authority)(authority.file.parent, "stranger")
    assert await _describe(_channel(address, stranger.file)) is Code.UNAVAILABLE
    assert served.sample("hunique_tls_certificate_expiry_timestamp_seconds") > 1.7e9


async def test_mutual_tls_lets_in_whom_the_authority_knows(
    serve: Any, authority: Any, red_png: bytes
) -> None:
    """A caller without a certificate, or with another authority's, is not connected."""
    cert, key = authority.issue("server")
    security = SecurityConfig(tls_cert=cert, tls_key=key, tls_client_ca=authority.file)
    address = (await serve(security=security)).server.addresses[0]
    known = authority.issue("lab-a")
    async with _channel(address, authority.file, known) as channel:
        answer = await pb_grpc.HandFeaturesStub(channel).Segment(pb.SegmentRequest(image=red_png))
    assert answer.findings
    stranger = type(authority)(authority.file.parent, "stranger").issue("mallory")
    for pair in (None, stranger):
        assert await _describe(_channel(address, authority.file, pair)) is Code.UNAVAILABLE


async def test_new_certificate_is_shown_without_a_restart(
    serve: Any, authority: Any, red_png: bytes
) -> None:
    """The next connection gets it, open ones go on; one that does not fit is never shown."""
    cert, key = authority.issue("first", "server")
    served = await serve(security=SecurityConfig(tls_cert=cert, tls_key=key))
    address = served.server.addresses[0]
    async with _channel(address, authority.file) as channel:
        stub = pb_grpc.HandFeaturesStub(channel)
        await stub.DescribeModel(pb.DescribeModelRequest())
        assert _shown_name(address) == "first"
        authority.issue("second", "server")
        assert _shown_name(address) == "second"
        key.write_bytes(authority.issue("other")[1].read_bytes())
        assert _shown_name(address) == "second"
        cert.write_text("no certificate", encoding="utf-8")
        assert _shown_name(address) == "second"
        assert (await stub.Segment(pb.SegmentRequest(image=red_png))).findings
    authority.issue("third", "server")
    assert _shown_name(address) == "third"


async def test_new_authority_of_callers_holds_at_once(serve: Any, authority: Any) -> None:
    """Who was let in by the authority before is not let in by the next."""
    cert, key = authority.issue("server")
    client_ca = authority.file.with_name("clients.pem")
    client_ca.write_bytes(authority.file.read_bytes())
    security = SecurityConfig(tls_cert=cert, tls_key=key, tls_client_ca=client_ca)
    address = (await serve(security=security)).server.addresses[0]
    pair = authority.issue("lab-a")
    assert await _describe(_channel(address, authority.file, pair)) is Code.OK
    other = type(authority)(authority.file.parent, "other")
    client_ca.write_bytes(other.file.read_bytes())
    assert await _describe(_channel(address, authority.file, pair)) is Code.UNAVAILABLE
    new = other.issue("lab-b")
    assert await _describe(_channel(address, authority.file, new)) is Code.OK


def test_files_that_do_not_fit_stop_the_start(authority: Any, tmp_path: Path) -> None:
    """Each is named, and nothing of a key is said."""
    cert, key = authority.issue("a")
    other_key = authority.issue("b")[1]
    text = tmp_path / "text"
    text.write_text("SECRET", encoding="utf-8")
    for files, said in (
        ((cert, other_key, None), "is not that of the certificate"),
        ((text, key, None), "expected certificates in PEM"),
        ((cert, text, None), "expected a private key in PEM"),
        ((cert, cert, None), "expected a private key in PEM"),
        ((cert, key, text), "expected certificates in PEM"),
        ((tmp_path / "none", key, None), "cannot read"),
    ):
        config = SecurityConfig(tls_cert=files[0], tls_key=files[1], tls_client_ca=files[2])
        with pytest.raises(ConfigError, match=said) as refused:
            Certificates(config)
        assert "SECRET" not in str(refused.value)


@pytest.mark.parametrize("address", ["0.0.0.0:1", "[::]:1", "10.0.0.7:1", "server.example:1"])
def test_clear_is_not_heard_beyond_this_machine_unless_told(
    tiny_bundle: Bundle, address: str, authority: Any
) -> None:
    """The start is refused with the ways out; encryption or --insecure are ways out."""
    cert, key = authority.issue("a")
    with pytest.raises(ConfigError, match="--insecure") as refused:
        ServerConfig(bundles=(tiny_bundle.path,), listen=("127.0.0.1:1", address))
    assert address in str(refused.value)
    for security in (SecurityConfig(insecure=True), SecurityConfig(tls_cert=cert, tls_key=key)):
        ServerConfig(bundles=(tiny_bundle.path,), listen=(address,), security=security)


@pytest.mark.parametrize(
    "choices",
    [
        {"tls_cert": Path("c")},
        {"tls_key": Path("k")},
        {"tls_client_ca": Path("a")},
        {"tls_cert": Path("c"), "tls_key": Path("k"), "tls_client_crl": Path("r")},
        {"quota_requests_per_minute": -1},
        {"reflection": "maybe"},
    ],
)
def test_half_a_choice_is_refused(choices: dict[str, Any]) -> None:
    """Certificate and key go together, and so on."""
    with pytest.raises(ConfigError):
        SecurityConfig(**choices)
