"""Which of a server's models examines a picture, by the library, with asyncio and by the command."""

import dataclasses
import json
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from hunique_client import HuniqueClient, InvalidRequestError
from hunique_client.aio import HuniqueClient as AioClient
from hunique_models.bundle import Bundle, write_bundle


@pytest.fixture(scope="module")
def address(
    tiny_bundle: Bundle, real_server: Any, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """A server of tiny, which is the default, and of two versions of other."""
    paths = []
    for version in ("1.0.0", "2.0.0"):
        manifest = dataclasses.replace(tiny_bundle.manifest, name="other", version=version)
        graph = {"model.onnx": tiny_bundle.model_path.read_bytes()}
        path = tmp_path_factory.mktemp("other") / version
        paths.append(write_bundle(path, manifest, graph).path)
    folder = Path(tempfile.mkdtemp(prefix="hu-", dir="/tmp"))
    server = real_server(tiny_bundle.path, folder)
    server.start("--bundle", str(paths[0]), "--bundle", str(paths[1]))
    yield server.address
    server.stop()
    shutil.rmtree(folder, ignore_errors=True)


MEANT = {
    "": ("tiny", "1.2.3"),
    "default": ("tiny", "1.2.3"),
    "other": ("other", "2.0.0"),
    "other:1.0.0": ("other", "1.0.0"),
}


def _examined_by(provenance: Any) -> tuple[str, str]:
    return provenance["model"]["name"], provenance["model"]["version"]


@pytest.mark.parametrize("model", MEANT)
async def test_model_is_the_one_that_was_asked_for(
    address: str, picture: bytes, model: str
) -> None:
    """One picture or many, by threads or with asyncio: each answer says that it was that one."""
    with HuniqueClient(address) as client:
        described = client.describe_model(model)
        results = [client.segment(picture, model=model)]
        results += [one.result for one in client.segment_many([picture] * 2, model=model)]
    async with AioClient(address) as client:
        results.append(await client.segment(picture, model=model))
        results += [one.result async for one in client.segment_many([picture] * 2, model=model)]
    assert (described.name, described.version) == MEANT[model]
    assert [_examined_by(one.provenance) for one in results] == [MEANT[model]] * 6


async def test_model_that_is_not_served_is_no_other_one(address: str, picture: bytes) -> None:
    """An error that names those that are; nothing is examined by another model instead."""
    said = "expected the model 'tiny' or 'other' or no name, found 'third'"
    with HuniqueClient(address) as client:
        for call in (client.segment, lambda p, model: list(client.segment_many([p], model=model))):
            with pytest.raises(InvalidRequestError, match=said):
                call(picture, model="third")
    async with AioClient(address) as client:
        with pytest.raises(InvalidRequestError, match=said):
            await client.segment(picture, model="third")


def test_command_asks_for_a_model(
    address: str, run: Callable[..., Any], picture: bytes, tmp_path: Path
) -> None:
    """`--model` of segment and describe; one that is not there is a fault of the command line."""
    hand = tmp_path / "hand.png"
    hand.write_bytes(picture)
    for model, meant in MEANT.items():
        flags = ("--server", address, *(("--model", model) if model else ()))
        segmented, described = (
            run("segment", "--json", hand, *flags),
            run("describe", "--json", *flags),
        )
        assert (segmented.returncode, described.returncode) == (0, 0)
        assert _examined_by(json.loads(segmented.stdout)["provenance"]) == meant
        model_now = json.loads(described.stdout)
        assert (model_now["name"], model_now["version"]) == meant
    for words in (("segment", hand), ("describe",)):
        ended = run(*words, "--server", address, "--model", "third")
        assert ended.returncode == 64
        assert "expected the model 'tiny' or 'other'" in ended.stderr


def test_results_of_another_model_are_not_taken_for_done(
    address: str, run: Callable[..., Any], picture: bytes, tmp_path: Path
) -> None:
    """`--resume` goes by the model that is asked for, not by the default one."""
    hand, out = tmp_path / "hand.png", tmp_path / "out"
    hand.write_bytes(picture)
    asked = ("segment", hand, "--server", address, "--out", out)
    assert run(*asked, "--model", "other").returncode == 0
    assert run(*asked, "--resume", "--model", "other:2.0.0").returncode == 0
    refused = run(*asked, "--resume")
    assert refused.returncode == 5
    assert "of another picture or model" in refused.stderr
