"""A client that proves who it is, to a server that asks; and what it shows to nobody."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from hunique_client import (
    AccessDeniedError,
    Credentials,
    CredentialsError,
    HuniqueClient,
    ServerUnavailableError,
    aio,
)
from hunique_client.credentials import TokenSource
from hunique_server.token_file import append_line, new_token

Run = Callable[..., Any]


class SecureServer:
    """A server that wants certificates and tokens, and what a caller needs for it."""

    def __init__(self, server: Any, authority: Any, folder: Path) -> None:
        cert, key = authority.issue("server")
        self.tokens, self.token_file = folder / "tokens", folder / "token"
        self.ca: Path = authority.file
        self.client_cert, self.client_key = authority.issue("lab-a")
        self.give_token("segment")
        security = ["--tls-cert", cert, "--tls-key", key, "--tls-client-ca", self.ca]
        self._server = server
        port = server.start_tcp(*map(str, [*security, "--tokens", self.tokens]))
        self.address = f"localhost:{port}"

    def give_token(self, *roles: str) -> None:
        """From now on the caller's token is another one, and the only one."""
        token, line = new_token("lab-a", roles)
        self.tokens.write_text("", encoding="utf-8")
        append_line(self.tokens, line)
        self.token_file.write_text(token + "\n", encoding="utf-8")

    def credentials(self, **other: Any) -> Credentials:
        """All that is needed, or other."""
        known = {"tls": True, "ca": self.ca, "client_cert": self.client_cert}
        known |= {"client_key": self.client_key, "token_file": self.token_file}
        return Credentials(**{**known, **other})


@pytest.fixture
def secure(own_server: Any, authority: Any, tmp_path: Path) -> Iterator[SecureServer]:
    """A server that asks for everything."""
    return SecureServer(own_server, authority, tmp_path)


def test_known_caller_is_served_in_every_way(secure: SecureServer, picture: bytes) -> None:
    """One picture, a stream of pictures and the model; with certificate and token."""
    with HuniqueClient(secure.address, secure.credentials()) as client:
        assert client.segment(picture).classes
        assert [bool(one.result) for one in client.segment_many([picture] * 3)] == [True] * 3
        assert client.describe_model().name == "tiny"


async def test_known_caller_is_served_with_asyncio(secure: SecureServer, picture: bytes) -> None:
    """The same for asyncio."""
    async with aio.HuniqueClient(secure.address, secure.credentials()) as client:
        assert (await client.segment(picture)).classes
        found = [one async for one in client.segment_many([picture] * 3)]
        assert [bool(one.result) for one in found] == [True] * 3
        assert (await client.describe_model()).name == "tiny"


async def test_who_is_not_let_in_is_told_so(secure: SecureServer, picture: bytes) -> None:
    """Without a token, and with one without the role, threads and asyncio get the same error."""
    with (
        HuniqueClient(secure.address, secure.credentials(token_file=None)) as client,
        pytest.raises(AccessDeniedError, match="--token-file"),
    ):
        client.segment(picture)
    secure.give_token("admin")
    async with aio.HuniqueClient(secure.address, secure.credentials()) as client:
        with pytest.raises(AccessDeniedError, match="needs the role 'segment'"):
            await client.segment(picture)
    with (
        HuniqueClient(secure.address, secure.credentials()) as client,
        pytest.raises(AccessDeniedError),
    ):
        list(client.segment_many([picture]))


def test_new_token_is_taken_from_its_file(secure: SecureServer, picture: bytes) -> None:
    """A client that runs for long goes on when its token is exchanged; with the old, if it must."""
    with HuniqueClient(secure.address, secure.credentials()) as client:
        assert client.segment(picture).classes
        secure.give_token("segment")
        assert client.segment(picture).classes
        secure.token_file.unlink()
        assert client.segment(picture).classes


def test_server_of_somebody_else_gets_nothing(
    secure: SecureServer, authority: Any, picture: bytes
) -> None:
    """A server that the authority did not sign, and one that wants a certificate, do not answer."""
    stranger = type(authority)(authority.file.parent, "stranger")
    for other in ({"ca": stranger.file}, {"client_cert": None, "client_key": None}):
        with (
            HuniqueClient(secure.address, secure.credentials(**other)) as client,
            pytest.raises(ServerUnavailableError),
        ):
            client.segment(picture)


def test_command_speaks_to_a_secure_server(
    secure: SecureServer, run: Run, picture_files: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """By flags or by variables; who is not let in ends with 77 and a sentence."""
    flags = ["--server", secure.address, "--tls", "--ca", secure.ca]
    flags += ["--client-cert", secure.client_cert, "--client-key", secure.client_key]
    token = ["--token-file", secure.token_file]
    assert run("segment", picture_files[0], "--json", *flags, *token).returncode == 0
    assert run("describe", *flags, *token).returncode == 0
    refused = run("segment", picture_files[0], *flags)
    assert refused.returncode == 77
    assert "token" in refused.stderr
    monkeypatch.setenv("HUNIQUE_SERVER", secure.address)
    monkeypatch.setenv("HUNIQUE_TLS", "1")
    monkeypatch.setenv("HUNIQUE_CA", str(secure.ca))
    monkeypatch.setenv("HUNIQUE_CLIENT_CERT", str(secure.client_cert))
    monkeypatch.setenv("HUNIQUE_CLIENT_KEY", str(secure.client_key))
    monkeypatch.setenv("HUNIQUE_TOKEN_FILE", str(secure.token_file))
    assert run("segment", picture_files[0], "--json").returncode == 0
    with HuniqueClient() as client:
        assert client.describe_model().name == "tiny"


def test_private_server_takes_no_part_in_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, short_folder: Path, picture: bytes
) -> None:
    """What the environment says of other servers, or to them, does not reach a private one."""
    assert short_folder
    for name in ("TLS_CERT", "TLS_KEY", "TOKENS", "OIDC_ISSUER", "AUDIT_LOG", "QUOTA_REQUESTS"):
        monkeypatch.setenv(f"HUNIQUE_SERVER_{name}", str(tmp_path / "none"))
    monkeypatch.setenv("HUNIQUE_TLS", "1")
    monkeypatch.setenv("HUNIQUE_TOKEN_FILE", str(tmp_path / "none"))
    with HuniqueClient() as client:
        assert client.segment(picture).classes


@pytest.mark.parametrize(
    "address",
    ["10.0.0.7:1", "server.example:1", "dns:///hunique.svc:1", "127.evil.example:1", "[2001::1]:1"],
)
def test_token_is_not_shown_to_the_network(tmp_path: Path, address: str) -> None:
    """It is sent encrypted, or not beyond this machine; the message says what to do."""
    file = tmp_path / "token"
    file.write_text("secret-token", encoding="utf-8")
    with pytest.raises(CredentialsError, match="say --tls") as refused:
        HuniqueClient(address, Credentials(token_file=file))
    assert "secret" not in str(refused.value)
    HuniqueClient(address, Credentials(token_file=file, tls=True)).close()


@pytest.mark.parametrize("address", ["127.0.0.1:1", "localhost:1", "[::1]:1", "unix:/run/h.sock"])
def test_token_may_stay_on_this_machine(tmp_path: Path, address: str) -> None:
    """Loopback and Unix sockets need no encryption."""
    file = tmp_path / "token"
    file.write_text("t", encoding="utf-8")
    HuniqueClient(address, Credentials(token_file=file)).close()


async def test_no_proxy_reads_along(
    own_server: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is sent in the clear goes straight to its server, whatever proxy is configured."""
    address = f"localhost:{own_server.start_tcp()}"
    file = tmp_path / "token"
    file.write_text("t", encoding="utf-8")
    known = Credentials(token_file=file)
    for name in ("no_proxy", "no_grpc_proxy"):
        monkeypatch.delenv(name, raising=False)
    for name in ("grpc_proxy", "https_proxy", "http_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")  # nobody answers there
    with HuniqueClient(address, known) as client:
        assert client.describe_model().name == "tiny"
    async with aio.HuniqueClient(address, known) as twin:
        assert (await twin.describe_model()).name == "tiny"


def test_credentials_that_cannot_be_used_are_explained(tmp_path: Path) -> None:
    """Half a pair, certificates without encryption, files that are not there or hold no token."""
    for wrong in ({"tls": True, "client_cert": "c"}, {"ca": "c"}):
        with pytest.raises(CredentialsError):
            Credentials(**wrong)  # type: ignore[arg-type]
    with pytest.raises(CredentialsError, match="cannot read"):
        HuniqueClient("localhost:1", Credentials(tls=True, ca=tmp_path / "none"))
    (tmp_path / "picture").write_bytes(b"\xff\xd8\xff")
    with pytest.raises(CredentialsError, match="expected certificate in PEM in"):
        HuniqueClient("localhost:1", Credentials(tls=True, ca=tmp_path / "picture"))
    for content in (b"", b"\n", b"two tokens", b"a\nb", b"\xff\xfe"):
        (tmp_path / "token").write_bytes(content)
        with pytest.raises(CredentialsError, match="one token"):
            TokenSource(tmp_path / "token")
