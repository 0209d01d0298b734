"""Who may call what, over the wire: tokens, roles, quotas, and what is let in without any."""

import asyncio
import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import grpc
import jwt
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from hunique_proto.inference import open_inference_pb2 as oip
from hunique_proto.inference import open_inference_pb2_grpc as oip_grpc
from hunique_proto.v1 import hand_features_pb2 as pb
from hunique_server.access import Access
from hunique_server.identity import Identity, Role, act_as, identity_of
from hunique_server.quota import Quotas
from hunique_server.security_config import OidcConfig, SecurityConfig
from hunique_server.signing_keys import KeysUnavailableError, KeyUrl
from hunique_server.token_file import append_line, new_token

LONG_S = 120.0
REFLECTION = "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo"
LIST_SERVICES = b"\x3a\x00"
Code = grpc.StatusCode
Issue = Callable[..., str]


@pytest.fixture
def tokens(tmp_path: Path) -> Path:
    """A file of tokens, with one that nobody has."""
    file = tmp_path / "tokens.jsonl"
    append_line(file, new_token("nobody", ("segment",))[1])
    return file


@pytest.fixture
def issue(tokens: Path) -> Issue:
    """Makes a token that the file knows, as metadata."""

    def make(identity: str, *roles: str) -> tuple[tuple[str, str], ...]:
        token, line = new_token(identity, roles)
        append_line(tokens, line)
        return (("authorization", f"Bearer {token}"),)

    return make


async def _told(call: Any) -> tuple[grpc.StatusCode, str]:
    if isinstance(call, grpc.aio.StreamStreamCall):
        with contextlib.suppress(grpc.RpcError):
            async for _ in call:
                """A stream has no end before it is read."""
    return await asyncio.wait_for(call.code(), LONG_S), await call.details()


def _every_call(
    served: Any, image: bytes, metadata: Any = None, *, is_let_in: bool = False
) -> dict[str, Any]:
    """A call of every method that is neither health nor reflection.

    A stream is written to by those who are let in alone: a client that writes when it is refused
    may fail at that, and never read why.
    """
    inference = oip_grpc.GRPCInferenceServiceStub(served.channel)
    segment, infer = pb.SegmentRequest(image=image, request_id="1"), oip.ModelInferRequest()
    return {
        "Segment": served.stub.Segment(segment, metadata=metadata),
        "SegmentStream": served.stub.SegmentStream(
            iter([segment]) if is_let_in else None, metadata=metadata
        ),
        "DescribeModel": served.stub.DescribeModel(pb.DescribeModelRequest(), metadata=metadata),
        "ModelInfer": inference.ModelInfer(infer, metadata=metadata),
        "ModelStreamInfer": inference.ModelStreamInfer(
            iter([infer]) if is_let_in else None, metadata=metadata
        ),
        "ModelReady": inference.ModelReady(oip.ModelReadyRequest(), metadata=metadata),
        "ModelMetadata": inference.ModelMetadata(oip.ModelMetadataRequest(), metadata=metadata),
        "ServerMetadata": inference.ServerMetadata(oip.ServerMetadataRequest(), metadata=metadata),
        "ModelConfig": inference.ModelConfig(oip.ModelConfigRequest(), metadata=metadata),
        "ModelStatistics": inference.ModelStatistics(
            oip.ModelStatisticsRequest(), metadata=metadata
        ),
        "RepositoryIndex": inference.RepositoryIndex(
            oip.RepositoryIndexRequest(), metadata=metadata
        ),
        "RepositoryModelLoad": inference.RepositoryModelLoad(
            oip.RepositoryModelLoadRequest(), metadata=metadata
        ),
        "RepositoryModelUnload": inference.RepositoryModelUnload(
            oip.RepositoryModelUnloadRequest(), metadata=metadata
        ),
    }


async def test_nothing_is_told_to_strangers(serve: Any, tokens: Path, red_png: bytes) -> None:
    """Every method of both services wants a token; one text for all that is wrong with one."""
    served = await serve(security=SecurityConfig(tokens=tokens))
    wrong = [(("authorization", value),) for value in ("Bearer no", "Bearer a.b.c")]
    for call in _every_call(served, red_png).values():
        code, details = await _told(call)
        assert code is Code.UNAUTHENTICATED
        assert "--token-file" in details
    texts = set()
    for metadata in wrong:
        for call in _every_call(served, red_png, metadata).values():
            code, details = await _told(call)
            assert code is Code.UNAUTHENTICATED
            texts.add(details)
    assert len(texts) == 1
    assert served.sample("hunique_turned_away_total", reason="unauthenticated") == 39
    assert served.sample("hunique_requests_total", method="Segment", code="OK") == 0


async def test_issuer_that_is_away_is_told_from_a_full_disk(
    serve: Any, red_png: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody can say whose a token is: the caller may try again, and the metric says why."""

    def away(_keys: KeyUrl, _key_id: str | None) -> None:
        raise KeysUnavailableError

    monkeypatch.setattr(KeyUrl, "find", away)
    oidc = OidcConfig(issuer="i", audience="a", keys="https://issuer.example/keys")
    served = await serve(security=SecurityConfig(oidc=oidc))
    token = jwt.encode({"sub": "a"}, "secret" * 10)
    call = served.stub.Segment(
        pb.SegmentRequest(image=red_png), metadata=(("authorization", f"Bearer {token}"),)
    )
    code, details = await _told(call)
    assert code is Code.UNAVAILABLE
    assert "issuer" in details
    assert served.sample("hunique_turned_away_total", reason="no_keys") == 1
    assert served.sample("hunique_turned_away_total", reason="closed") == 0


async def test_probes_need_no_token(serve: Any, tokens: Path) -> None:
    """Health, liveness and readiness answer anybody: they say yes or no."""
    served = await serve(security=SecurityConfig(tokens=tokens))
    health = health_pb2_grpc.HealthStub(served.channel)
    assert (await health.Check(health_pb2.HealthCheckRequest())).status == 1
    inference = oip_grpc.GRPCInferenceServiceStub(served.channel)
    assert (await inference.ServerLive(oip.ServerLiveRequest())).live
    assert (await inference.ServerReady(oip.ServerReadyRequest())).ready


async def test_roles_say_what_may_be_called(
    serve: Any, tokens: Path, issue: Issue, red_png: bytes
) -> None:
    """`segment` examines and asks; models are for `admin`, whose role says nothing of pictures."""
    served = await serve(security=SecurityConfig(tokens=tokens))
    for_admins = {"RepositoryModelLoad", "RepositoryModelUnload"}
    for roles, allowed in (
        (("segment",), lambda name: name not in for_admins),
        (("admin",), lambda name: name in for_admins),
        ((), lambda _: False),
        (("segment", "admin"), lambda _: True),
    ):
        token, is_let_in = issue("a", *roles), "segment" in roles
        for name, call in _every_call(served, red_png, token, is_let_in=is_let_in).items():
            code, details = await _told(call)
            assert (code is not Code.PERMISSION_DENIED) == allowed(name), (roles, name, details)
            if code is Code.PERMISSION_DENIED:
                assert "needs the role" in details


async def test_large_message_of_a_stranger_is_not_read(serve: Any, tokens: Path) -> None:
    """The refusal comes before the message: it is told to who never sends one."""
    served = await serve(security=SecurityConfig(tokens=tokens))
    call = served.channel.stream_unary("/hunique.v1.HandFeatures/Segment")()
    code, _ = await _told(call)
    assert code is Code.UNAUTHENTICATED
    silent = served.channel.stream_stream("/hunique.v1.HandFeatures/Segment")()
    assert (await _told(silent))[0] is Code.UNAUTHENTICATED


async def test_token_is_taken_back_while_the_server_runs(
    serve: Any, tokens: Path, issue: Issue, red_png: bytes
) -> None:
    """The next call of a caller whose line is gone is refused."""
    served = await serve(security=SecurityConfig(tokens=tokens))
    before = tokens.read_text(encoding="utf-8")
    metadata = issue("a", "segment")
    request = pb.SegmentRequest(image=red_png)
    assert (await served.stub.Segment(request, metadata=metadata)).findings
    tokens.write_text(before, encoding="utf-8")
    code, _ = await _told(served.stub.Segment(request, metadata=metadata))
    assert code is Code.UNAUTHENTICATED


@pytest.mark.parametrize(
    ("reflection", "stranger", "friend"),
    [
        ("open", Code.OK, Code.OK),
        ("protected", Code.UNAUTHENTICATED, Code.OK),
        ("off", Code.UNIMPLEMENTED, Code.UNIMPLEMENTED),
    ],
)
async def test_reflection_is_for_whom_it_is_said_to_be(
    serve: Any, tokens: Path, issue: Issue, reflection: str, stranger: Code, friend: Code
) -> None:
    """Open, for callers with a token, or for nobody."""
    served = await serve(security=SecurityConfig(tokens=tokens, reflection=reflection))
    ask = served.channel.stream_stream(REFLECTION)
    assert (await _told(ask(iter([LIST_SERVICES]))))[0] is stranger
    metadata = issue("a", "segment")
    assert (await _told(ask(iter([LIST_SERVICES]), metadata=metadata)))[0] is friend


async def test_quota_refuses_one_and_serves_the_other(
    serve: Any, tokens: Path, issue: Issue, red_png: bytes
) -> None:
    """Who had theirs is told when to come back, before anything is decoded; others are served."""
    served = await serve(security=SecurityConfig(tokens=tokens, quota_requests_per_minute=2))
    a, b, request = issue("a", "segment"), issue("b", "segment"), pb.SegmentRequest(image=red_png)
    for _ in range(2):
        assert (await served.stub.Segment(request, metadata=a)).findings
    refused = served.stub.Segment(request, metadata=a)
    code, details = await _told(refused)
    assert code is Code.RESOURCE_EXHAUSTED
    assert "share" in details
    assert 0 < int(dict(await refused.trailing_metadata())["retry-after-ms"]) <= 30_000
    assert (await served.stub.Segment(request, metadata=b)).findings
    assert await served.stub.DescribeModel(pb.DescribeModelRequest(), metadata=a)
    assert served.sample("hunique_turned_away_total", reason="quota") == 1


async def test_pixels_count_in_every_service(
    serve: Any, tokens: Path, issue: Issue, red_png: bytes
) -> None:
    """What was decoded in one service is owed in the other: 60,000 pixels where 30,000 a minute are let."""
    security = SecurityConfig(tokens=tokens, quota_pixels_per_minute=30_000)
    served = await serve(security=security)
    metadata = issue("a", "segment")
    assert (await served.stub.Segment(pb.SegmentRequest(image=red_png), metadata=metadata)).findings
    infer = oip_grpc.GRPCInferenceServiceStub(served.channel).ModelInfer
    code, _ = await _told(infer(oip.ModelInferRequest(model_name="tiny"), metadata=metadata))
    assert code is Code.RESOURCE_EXHAUSTED


async def test_streams_are_slowed_down_and_not_refused(
    serve: Any, red_png: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stream's pictures beyond the share wait; all of them are answered."""
    served = await serve(security=SecurityConfig(quota_requests_per_minute=2))
    paced, waited = asyncio.Event(), []

    async def wait(_quotas: Quotas, name: str) -> None:
        if len(waited) >= 2:
            await paced.wait()
        waited.append(name)

    monkeypatch.setattr(Quotas, "wait", wait)
    stream = served.stub.SegmentStream()
    for number in range(4):
        await stream.write(pb.SegmentRequest(image=red_png, request_id=str(number)))
    await stream.done_writing()
    first = {(await stream.read()).request_id for _ in range(2)}
    assert first == {"0", "1"}
    paced.set()
    rest = {(await stream.read()).request_id for _ in range(2)}
    assert rest == {"2", "3"}
    assert set(waited) == {"peer:127.0.0.1"}


class Connection:
    """What gRPC says of a connection."""

    def __init__(self, peer: str, **certificate: list[bytes]) -> None:
        self._peer, self._certificate = peer, certificate

    def peer(self) -> str:
        """Address."""
        return self._peer

    def auth_context(self) -> dict[str, list[bytes]]:
        """Certificate."""
        return self._certificate


@pytest.mark.parametrize(
    ("connection", "name"),
    [
        (Connection("ipv4:10.0.0.7:4123"), "peer:10.0.0.7"),
        (Connection("ipv6:[::1]:4123"), "peer:[::1]"),
        (Connection("ipv6:%5B::1%5D:4123"), "peer:[::1]"),
        (Connection("unix:"), "peer:unix"),
        (Connection("ipv4:10.0.0.7:1", x509_common_name=[b"lab-a"]), "cert:lab-a"),
        (
            Connection("ipv4:10.0.0.7:1", x509_subject_alternative_name=[b"spiffe://x/lab"]),
            "cert:spiffe://x/lab",
        ),
    ],
)
def test_connection_names_who_needs_no_token(connection: Connection, name: str) -> None:
    """By certificate, or by the host, so that a new connection is the same caller."""
    access = Access(SecurityConfig(), only_local=False)
    identity = access.of_connection("/hunique.v1.HandFeatures/Segment", connection)
    assert identity == Identity(name, frozenset((Role.SEGMENT,)))
    access.close()


async def test_models_are_not_for_anybody_on_a_network(serve: Any) -> None:
    """Without tokens, only servers that this machine alone can reach let all callers administer."""
    load = oip.RepositoryModelLoadRequest(model_name="tiny")
    local = oip_grpc.GRPCInferenceServiceStub((await serve()).channel)
    assert (await _told(local.RepositoryModelLoad(load)))[0] is Code.UNIMPLEMENTED
    security = SecurityConfig(insecure=True)
    served = await serve(listen=("127.0.0.1:0", "0.0.0.0:0"), security=security)
    far = oip_grpc.GRPCInferenceServiceStub(served.channel)
    assert (await _told(far.RepositoryModelLoad(load)))[0] is Code.PERMISSION_DENIED


async def test_identity_is_known_to_tasks_of_the_call() -> None:
    """What a call starts works for the same caller; another call's does not."""
    context = Connection("ipv4:10.0.0.7:1")
    assert identity_of(context).name == "peer:10.0.0.7"
    assert identity_of().name == "peer:unknown"

    async def call(name: str) -> str:
        act_as(Identity(name))
        return await asyncio.create_task(work())

    async def work() -> str:
        await asyncio.sleep(0)
        return identity_of(context).name

    names = await asyncio.gather(*(asyncio.create_task(call(name)) for name in "ab"))
    assert names == ["a", "b"]
    assert identity_of(context).name == "peer:10.0.0.7"
