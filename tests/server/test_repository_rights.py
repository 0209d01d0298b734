"""Names, aliases and what administrators may not do: nothing leads out of the repository."""

import json
from pathlib import Path
from typing import Any

import grpc
import pytest
from administrator import Admin, refusal
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from repository_writing import Shelf

from hunique_proto.inference import open_inference_pb2 as pb
from hunique_proto.inference import open_inference_pb2_grpc as pb_grpc
from hunique_server.audit_config import AuditConfig
from hunique_server.security_config import SecurityConfig
from hunique_server.token_file import append_line, new_token

Code = grpc.StatusCode
LONG_S = 120.0


def _meaning(*aliases: str) -> dict[str, Any]:
    """The part of a model configuration that gives further names."""
    return {"parameters": {"aliases": {"string_value": ", ".join(aliases)}}}


async def test_alias_moves_in_one_step_with_its_model(serve: Any, shelf: Shelf) -> None:
    """`default` and other names can be given to a model when it is loaded, and follow its versions."""
    shelf.add("hands", "1.0.0")
    shelf.add("nails", "1.0.0")
    served = await serve(bundles=(), model_repository=shelf.path, load=("hands",))
    admin = Admin(served)
    await admin.load("nails", **_meaning("stable"))
    assert [await admin.described(name) for name in ("", "stable")] == [
        "hands:1.0.0", "nails:1.0.0",
    ]  # fmt: skip
    await admin.load("nails", **_meaning("default", "stable"))
    assert [await admin.described(name) for name in ("", "default", "hands", "stable:1.0.0")] == [
        "nails:1.0.0", "nails:1.0.0", "hands:1.0.0", "nails:1.0.0",
    ]  # fmt: skip
    shelf.add("nails", "2.0.0")
    await admin.load("stable")
    assert await admin.described() == "nails:2.0.0"
    await admin.load("hands", **_meaning("spare"))
    await admin.unload("hands")
    assert await refusal(admin.described("hands")) == (
        Code.NOT_FOUND,
        "expected the model 'nails' or no name, found 'hands'",
    )
    await admin.load("hands")
    assert (await refusal(admin.described("spare")))[0] is Code.NOT_FOUND


async def test_default_is_never_without_a_model(serve: Any, shelf: Shelf) -> None:
    """It cannot be unloaded as a whole; one of its versions can, and the next one takes over."""
    for version in ("1.0.0", "2.0.0"):
        shelf.add("hands", version)
    served = await serve(bundles=(), model_repository=shelf.path)
    admin = Admin(served)
    for model in ("hands", "hands:2.0.0"):
        code, said = await refusal(admin.unload(model))
        assert code is Code.FAILED_PRECONDITION
        assert "'hands' is what 'default' means, and is not unloaded" in said
    code, said = await refusal(admin.unload("default"))
    assert (code, "is an alias of 'hands'" in said) == (Code.FAILED_PRECONDITION, True)
    await admin.load("hands", version_policy={"latest": {"num_versions": 2}})
    await admin.unload("hands:2.0.0")
    assert await admin.described() == "hands:1.0.0"
    for model in ("nails", "hands:2.0.0"):
        assert (await refusal(admin.unload(model)))[0] is Code.NOT_FOUND
    assert await admin.described() == "hands:1.0.0"


async def test_one_name_means_one_model(serve: Any, shelf: Shelf) -> None:
    """An alias that is a model's name, or a model that is named like an alias, is refused."""
    for name in ("hands", "nails", "stable"):
        shelf.add(name, "1.0.0")
    admin = Admin(await serve(bundles=(), model_repository=shelf.path, load=("hands", "nails")))
    code, said = await refusal(admin.load("nails", **_meaning("hands")))
    assert code is Code.FAILED_PRECONDITION
    assert "'hands' is the name of a model" in said
    await admin.load("nails", **_meaning("stable"))
    await admin.load("stable")
    assert await admin.described("stable") == "nails:1.0.0"


@pytest.mark.parametrize(
    "name", ["../outside", "..", "/etc", "a/b", "hands/1.0.0", "hands:../1.0.0", "Hands", "hands:",
             "hands:1", "", "hands\n", "hands:1.0.0\n", ".hidden", "a" * 65, "\0"],
)  # fmt: skip
async def test_no_name_is_a_way_out(serve: Any, shelf: Shelf, name: str) -> None:
    """Names that are no names are INVALID_ARGUMENT, whatever lies at such a place."""
    admin = Admin(await _with_one(serve, shelf))
    for call in (admin.load, admin.unload):
        code, said = await refusal(call(name))
        assert code is Code.INVALID_ARGUMENT
        assert "expected a model as NAME or NAME:VERSION" in said


async def _with_one(serve: Any, shelf: Shelf, **choices: Any) -> Any:
    shelf.add("hands", "1.0.0")
    return await serve(bundles=(), model_repository=shelf.path, load=("hands",), **choices)


@pytest.mark.parametrize("place", ["version", "name"])
async def test_link_is_no_way_out(serve: Any, shelf: Shelf, tmp_path: Path, place: str) -> None:
    """A bundle beside the repository is not opened through a link within; one inside is."""
    admin = Admin(await _with_one(serve, shelf))
    outside = Shelf(tmp_path / "outside", shelf.tiny).add("nails", "1.0.0").path
    if place == "version":
        (shelf.path / "nails").mkdir()
        (shelf.path / "nails" / "1.0.0").symlink_to(outside)
    else:
        (shelf.path / "nails").symlink_to(outside.parent)
    assert (await refusal(admin.load("nails")))[0] is Code.NOT_FOUND
    real = shelf.add("rings", "1.0.0").path.rename(shelf.path / "store")
    (shelf.path / "rings" / "1.0.0").symlink_to(real)
    await admin.load("rings")
    assert await admin.described("rings") == "rings:1.0.0"


async def test_what_is_not_there_is_not_found(serve: Any, shelf: Shelf) -> None:
    """The sentence says what there is."""
    admin = Admin(await _with_one(serve, shelf))
    assert await refusal(admin.load("nails")) == (
        Code.NOT_FOUND,
        "The model repository has no 'nails': it has no model of that name.",
    )
    assert await refusal(admin.load("hands:9.0.0")) == (
        Code.NOT_FOUND,
        "The model repository has no 'hands:9.0.0': it has versions 1.0.0.",
    )


async def test_only_administrators_change_models_and_the_log_says_which(
    serve: Any, shelf: Shelf, tmp_path: Path
) -> None:
    """Who may examine pictures may not; what was asked, and what came of it, is written down."""
    key, log, tokens = tmp_path / "key.pem", tmp_path / "audit.jsonl", tmp_path / "tokens"
    private = Ed25519PrivateKey.generate()
    key.write_bytes(private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    metadata = {}
    for role in ("segment", "admin"):
        token, line = new_token(role, (role,))
        append_line(tokens, line)
        metadata[role] = (("authorization", f"Bearer {token}"),)
    served = await _with_one(
        serve, shelf, security=SecurityConfig(tokens=tokens), audit=AuditConfig(log=log, key=key)
    )
    new = shelf.add("nails", "2.0.0")
    stub = pb_grpc.GRPCInferenceServiceStub(served.channel)
    load = pb.RepositoryModelLoadRequest(model_name="nails")
    unload = pb.RepositoryModelUnloadRequest(model_name="hands")
    refused = stub.RepositoryModelLoad(load, metadata=metadata["segment"])
    assert await refused.code() is Code.PERMISSION_DENIED
    await stub.RepositoryModelLoad(load, metadata=metadata["admin"])
    assert (await refusal(stub.RepositoryModelUnload(unload, metadata=metadata["admin"])))[0] is (
        Code.FAILED_PRECONDITION
    )
    await served.server.stop()
    entries = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()][1:]
    said = [(e["identity"], e["method"], e["code"], e.get("model")) for e in entries]
    assert said == [
        ("token:segment", "RepositoryModelLoad", "PERMISSION_DENIED", None),
        ("token:admin", "RepositoryModelLoad", "OK", "nails"),
        ("token:admin", "RepositoryModelUnload", "FAILED_PRECONDITION", "hands"),
    ]
    assert entries[1]["model_sha256"] == new.sha256
