"""What a running server writes down of its calls: audit log and logs; and a full disk."""

import asyncio
import json
import resource
import subprocess
import sys
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
from click.testing import CliRunner
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from PIL import Image

from hunique_models.bundle import Bundle
from hunique_proto.inference import open_inference_pb2 as oip
from hunique_proto.inference import open_inference_pb2_grpc as oip_grpc
from hunique_proto.v1 import hand_features_pb2 as pb
from hunique_proto.v1 import hand_features_pb2_grpc as pb_grpc
from hunique_server.audit_config import AuditConfig
from hunique_server.audit_log import AuditLog
from hunique_server.cli import main
from hunique_server.config import ConfigError, ServerConfig
from hunique_server.errors import Failure
from hunique_server.guards import Guards
from hunique_server.metrics import Metrics
from hunique_server.security_config import SecurityConfig
from hunique_server.token_file import append_line, new_token

LONG_S = 120.0
SECRET = "martha-jones-left-hand"  # noqa: S105 - a name of a picture
Code = grpc.StatusCode


@pytest.fixture
def key(tmp_path: Path) -> Path:
    """A key to sign audit logs with."""
    file = tmp_path / "key.pem"
    private = Ed25519PrivateKey.generate()
    file.write_bytes(private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return file


def _entries(log: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]


def _verified(log: Path) -> bool:
    return CliRunner().invoke(main, ["audit-verify", str(log)]).exit_code == 0


async def _call_in_every_way(served: Any, picture: bytes, metadata: Any) -> pb.SegmentResponse:
    """A picture alone, two in a stream, one by a stranger, two in a request of the protocol."""
    good = pb.SegmentRequest(image=picture, request_id=SECRET)
    answer = await served.stub.Segment(good, metadata=metadata)
    bad = pb.SegmentRequest(image=b"no picture", request_id="2")
    async for _ in served.stub.SegmentStream(iter([good, bad]), metadata=metadata):
        """Every answer."""
    assert await served.stub.Segment(good).code() is Code.UNAUTHENTICATED
    request = oip.ModelInferRequest(model_name="tiny", id=SECRET)
    request.inputs.add(name="encoded_image", datatype="BYTES", shape=[2])
    request.inputs[0].contents.bytes_contents.extend([picture, picture])
    await oip_grpc.GRPCInferenceServiceStub(served.channel).ModelInfer(request, metadata=metadata)
    assert isinstance(answer, pb.SegmentResponse)
    return answer


@pytest.mark.parametrize("inputs", [False, True])
async def test_audit_log_says_who_had_what_done(
    serve: Any, key: Path, tmp_path: Path, red_png: bytes, inputs: bool
) -> None:
    """One entry a picture and one a refusal; digests where asked for; names and pixels never."""
    log, tokens = tmp_path / "audit.jsonl", tmp_path / "tokens"
    token, line = new_token("lab-a", ("segment",))
    append_line(tokens, line)
    metadata = (("authorization", f"Bearer {token}"),)
    served = await serve(
        security=SecurityConfig(tokens=tokens),
        audit=AuditConfig(log=log, key=key, inputs=inputs),
    )
    provenance = (await _call_in_every_way(served, red_png, metadata)).provenance
    await served.server.stop()
    assert _verified(log)
    opened, *entries = _entries(log)
    assert opened["event"] == "opened"
    said = sorted((e["method"], e["code"], e["identity"]) for e in entries)
    assert said == [
        ("ModelInfer", "OK", "token:lab-a"),
        ("Segment", "OK", "token:lab-a"),
        ("Segment", "UNAUTHENTICATED", "unknown"),
        ("SegmentStream", "INVALID_ARGUMENT", "token:lab-a"),
        ("SegmentStream", "OK", "token:lab-a"),
    ]
    assert {e["model_sha256"] for e in entries} == {provenance.model.sha256}
    digest = provenance.input_sha256
    found = {(e["method"], e["code"]): e.get("input_sha256") for e in entries}
    assert found["Segment", "OK"] == ([digest] if inputs else None)
    assert found["ModelInfer", "OK"] == ([digest, digest] if inputs else None)
    text = log.read_text(encoding="utf-8")
    assert SECRET not in text
    assert token not in text
    assert (digest in text) == inputs


async def test_what_changes_the_server_is_in_the_log(serve: Any, key: Path, tmp_path: Path) -> None:
    """Loading and unloading of models, done or not, although they are no pictures."""
    log = tmp_path / "audit.jsonl"
    served = await serve(audit=AuditConfig(log=log, key=key))
    inference = oip_grpc.GRPCInferenceServiceStub(served.channel)
    load = inference.RepositoryModelLoad(oip.RepositoryModelLoadRequest(model_name=SECRET))
    assert await load.code() is Code.UNIMPLEMENTED
    await served.server.stop()
    (entry,) = _entries(log)[1:]
    assert (entry["method"], entry["code"]) == ("RepositoryModelLoad", "UNIMPLEMENTED")
    assert entry["identity"] == "peer:127.0.0.1"


async def test_open_stream_ends_where_nothing_can_be_written(
    serve: Any, key: Path, tmp_path: Path, small_png: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stream that was let in before hears of it, too: what was read is answered, then it ends."""
    full: list[Failure] = []
    monkeypatch.setattr(AuditLog, "gate", lambda _log: full[0] if full else None)
    served = await serve(audit=AuditConfig(log=tmp_path / "audit.jsonl", key=key))
    stream = served.stub.SegmentStream()
    await stream.write(pb.SegmentRequest(image=small_png, request_id="before"))
    assert (await stream.read()).response.request_id == "before"
    full.append(Failure(code=Code.UNAVAILABLE, message="no room for the audit log"))
    await stream.write(pb.SegmentRequest(image=small_png, request_id="after"))
    assert await asyncio.wait_for(stream.code(), LONG_S) is full[0].code
    assert await stream.details() == full[0].message
    assert served.sample("hunique_turned_away_total", reason="closed") == 1


def _process_flags(key: Path, log: Path, *more: str) -> tuple[str, ...]:
    return ("--audit-log", str(log), "--audit-key", str(key), *more)


def _code(address: str, image: bytes) -> grpc.StatusCode:
    with grpc.insecure_channel(address) as channel:
        call = pb_grpc.HandFeaturesStub(channel).Segment.future(
            pb.SegmentRequest(image=image), timeout=LONG_S
        )
        code = call.code()
    assert isinstance(code, grpc.StatusCode)
    return code


@pytest.mark.skipif(not hasattr(resource, "prlimit"), reason="needs Linux")
def test_full_disk_stops_pictures_and_not_the_server(
    server_process: Any, tiny_bundle: Bundle, key: Path, tmp_path: Path, red_png: bytes
) -> None:
    """No picture is examined unaudited; the log says why; with room again all goes on."""
    log = tmp_path / "audit.jsonl"
    flags = _process_flags(key, log)
    with server_process(tiny_bundle.path, tmp_path / "h.sock", *flags) as (process, address):
        size = log.stat().st_size  # the opening alone, which is written before anyone can call
        # no file of the process may grow beyond: the next line is written in part and fails
        resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (size + 40, resource.RLIM_INFINITY))
        assert _code(address, red_png) is Code.OK
        assert "the audit log cannot be written" in process.stderr.readline()
        assert _code(address, red_png) is Code.UNAVAILABLE
        assert process.poll() is None
        no_limit = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
        resource.prlimit(process.pid, resource.RLIMIT_FSIZE, no_limit)
        assert "the audit log is written again" in process.stderr.readline()
        assert _code(address, red_png) is Code.OK
        process.terminate()
        process.stderr.read()
        assert process.wait(LONG_S) == 0
    assert _verified(log)
    codes = [entry.get("code") for entry in _entries(log)]
    assert codes == [None, "OK", "UNAVAILABLE", "OK"]


def test_altered_log_stops_the_start(key: Path, tmp_path: Path, tiny_bundle: Bundle) -> None:
    """The server ends with a sentence and leaves the evidence as it is."""
    log = tmp_path / "audit.jsonl"
    log.write_text("forged\n", encoding="utf-8")
    command = [sys.executable, "-m", "hunique_server", "--bundle", str(tiny_bundle.path)]
    command += ["--listen", f"unix:{tmp_path / 's'}", "--admin-listen", "none"]
    ran = subprocess.run(
        [*command, *_process_flags(key, log)], capture_output=True, text=True, timeout=LONG_S,
        check=False,
    )  # fmt: skip
    assert ran.returncode == 1
    assert "not as it was written (line 1 is no entry)" in ran.stderr
    assert "Traceback" not in ran.stderr
    assert log.read_text(encoding="utf-8") == "forged\n"


@pytest.mark.parametrize(
    ("module", "choices"),
    [
        ("hunique_server.tracing", {"traces": True}),
        ("hunique_server.oidc", {"issuer": True}),
    ],
)
def test_missing_extra_is_named(
    monkeypatch: pytest.MonkeyPatch, tiny_bundle: Bundle, module: str, choices: dict[str, bool]
) -> None:
    """What was not installed is said with the command that installs it."""
    from hunique_server.security_config import OidcConfig

    monkeypatch.setitem(sys.modules, module, None)
    security = SecurityConfig()
    if choices.pop("issuer", False):
        security = SecurityConfig(oidc=OidcConfig(issuer="i", audience="a", keys="k"))
    config = ServerConfig(bundles=(tiny_bundle.path,), security=security, **choices)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="pip install 'hunique"):
        Guards(config, Metrics(), str)


def test_log_never_holds_what_is_in_pictures(
    server_process: Any, tiny_bundle: Bundle, tmp_path: Path, encode: Any
) -> None:
    """At debug, with descriptions in the file and a name in the request: JSON without either."""
    picture = Image.fromarray(np.full((64, 64, 3), 128, np.uint8))
    exif = Image.Exif()
    exif[0x010E] = exif[0x013B] = SECRET
    files = [
        encode(picture, "TIFF", tiffinfo={270: SECRET, 315: SECRET}),
        encode(picture, "JPEG", exif=exif, comment=SECRET.encode()),
        encode(picture, "TIFF", tiffinfo={270: SECRET})[:-200],
        SECRET.encode(),
    ]
    flags = ("--log-level", "debug", "--log-format", "json")
    with server_process(tiny_bundle.path, tmp_path / "h.sock", *flags) as (process, address):
        with grpc.insecure_channel(address) as channel:
            requests = [
                pb.SegmentRequest(image=f, request_id=SECRET + str(i)) for i, f in enumerate(files)
            ]
            answers = list(pb_grpc.HandFeaturesStub(channel).SegmentStream(iter(requests)))
        assert len(answers) == len(files)
        process.terminate()
        said = process.stderr.read()
        assert process.wait(LONG_S) == 0
    assert SECRET not in said
    lines = [json.loads(line) for line in said.splitlines()]
    assert all({"time", "level", "logger", "message"} <= set(line) for line in lines)
    assert lines
