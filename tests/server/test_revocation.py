"""Certificates that were taken back: refused at the next call, whatever else is shown."""

import logging
from pathlib import Path
from typing import Any

import grpc
import pytest

from hunique_proto.v1 import hand_features_pb2 as pb
from hunique_proto.v1 import hand_features_pb2_grpc as pb_grpc
from hunique_server.config import ConfigError
from hunique_server.revocation import Revocations
from hunique_server.security_config import SecurityConfig
from hunique_server.token_file import append_line, new_token

LONG_S = 120.0
Code = grpc.StatusCode


def _channel(address: str, ca: Path, pair: tuple[Path, Path]) -> grpc.aio.Channel:
    cert, key = (file.read_bytes() for file in pair)
    credentials = grpc.ssl_channel_credentials(ca.read_bytes(), key, cert)
    return grpc.aio.secure_channel(address, credentials)


async def _describe(
    channel: grpc.aio.Channel, metadata: tuple[tuple[str, str], ...] = ()
) -> tuple[grpc.StatusCode, str]:
    call = pb_grpc.HandFeaturesStub(channel).DescribeModel(
        pb.DescribeModelRequest(), timeout=LONG_S, metadata=metadata
    )
    return await call.code(), await call.details()


async def test_certificate_taken_back_is_refused_on_an_open_connection(
    serve: Any, authority: Any
) -> None:
    """From the next call on; others of the same authority go on."""
    cert, key = authority.issue("server")
    crl = authority.revoke()
    served = await serve(
        security=SecurityConfig(
            tls_cert=cert, tls_key=key, tls_client_ca=authority.file, tls_client_crl=crl
        )
    )
    address = served.server.addresses[0]
    lost, kept = authority.issue("lost"), authority.issue("kept")
    async with (
        _channel(address, authority.file, lost) as theirs,
        _channel(address, authority.file, kept) as ours,
    ):
        assert (await _describe(theirs))[0] is Code.OK
        authority.revoke(lost[0])
        code, details = await _describe(theirs)
        assert (code, "took it back" in details) == (Code.UNAUTHENTICATED, True)
        assert (await _describe(ours))[0] is Code.OK
        assert served.sample("hunique_turned_away_total", reason="unauthenticated") == 1
        crl.write_text("no list", encoding="utf-8")
        assert (await _describe(theirs))[0] is Code.UNAUTHENTICATED
        authority.revoke()
        assert (await _describe(theirs))[0] is Code.OK


async def test_a_token_does_not_help(serve: Any, authority: Any, tmp_path: Path) -> None:
    """Who stole both is refused by the certificate."""
    cert, key = authority.issue("server")
    lost = authority.issue("lost")
    tokens = tmp_path / "tokens.jsonl"
    token, line = new_token("lab-a", ("segment",))
    append_line(tokens, line)
    served = await serve(
        security=SecurityConfig(
            tls_cert=cert, tls_key=key, tls_client_ca=authority.file,
            tls_client_crl=authority.revoke(lost[0]), tokens=tokens,
        )
    )  # fmt: skip
    shown = (("authorization", f"Bearer {token}"),)
    for pair, expected in ((lost, Code.UNAUTHENTICATED), (authority.issue("kept"), Code.OK)):
        async with _channel(served.server.addresses[0], authority.file, pair) as channel:
            assert (await _describe(channel, shown))[0] is expected


def test_lists_of_several_authorities(authority: Any, tmp_path: Path) -> None:
    """One after the other in a file; the same number of another authority is another one."""
    other = type(authority)(tmp_path, "other")
    ours, theirs = authority.issue("a")[0], other.issue("b")[0]
    lists, known = tmp_path / "all.crl", tmp_path / "known.pem"
    lists.write_bytes(authority.revoke(ours).read_bytes() + other.revoke(theirs).read_bytes())
    known.write_bytes(authority.file.read_bytes() + other.file.read_bytes())
    revocations = Revocations(lists, known)
    assert revocations.hold(ours.read_bytes())
    assert revocations.hold(theirs.read_bytes())
    assert not revocations.hold(authority.issue("c")[0].read_bytes())
    lists.write_bytes(other.revoke(ours).read_bytes())
    assert not Revocations(lists, known).hold(ours.read_bytes())


def test_lists_that_cannot_be_trusted_stop_the_start(authority: Any, tmp_path: Path) -> None:
    """Nobody else's, not even under the same name; no text; no file."""
    (tmp_path / "elsewhere").mkdir()
    stranger = type(authority)(tmp_path / "elsewhere", "authority")
    text = tmp_path / "text"
    text.write_text("SECRET", encoding="utf-8")
    known = tmp_path / "known.pem"
    known.write_bytes(authority.file.read_bytes())
    for lists, said in (
        (stranger.revoke(), "expected revocation lists of the authorities"),
        (authority.revoke(in_the_name_of="other"), "expected revocation lists of the authorities"),
        (text, "found none"),
        (tmp_path / "none", "cannot read"),
    ):
        with pytest.raises(ConfigError, match=said):
            Revocations(lists, known)


def test_old_list_counts_and_is_told_of(authority: Any, caplog: pytest.LogCaptureFixture) -> None:
    """It is better than none."""
    lost = authority.issue("lost")[0]
    with caplog.at_level(logging.WARNING):
        revocations = Revocations(authority.revoke(lost, next_update_days=-1), authority.file)
    assert "was to be renewed by" in caplog.text
    assert revocations.hold(lost.read_bytes())
