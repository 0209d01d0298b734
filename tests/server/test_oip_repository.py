"""What clients of Triton may ask of the repository, understood or refused with a reason."""

import json
import re
from typing import Any

import pytest

from hunique_proto.inference import open_inference_pb2 as pb
from hunique_server.errors import RequestError
from hunique_server.model_reference import ModelNameError, ModelReference
from hunique_server.oip_repository import read_load, read_unload, write_index
from hunique_server.repository import LoadWish
from hunique_server.repository_index import IndexEntry, State


def _load(model: str, config: Any = None, **request: Any) -> pb.RepositoryModelLoadRequest:
    message = pb.RepositoryModelLoadRequest(model_name=model, **request)
    if config is not None:
        text = config if isinstance(config, str) else json.dumps(config)
        message.parameters["config"].string_param = text
    return message


@pytest.mark.parametrize(
    ("model", "config", "wish"),
    [
        ("hands", None, LoadWish(name="hands")),
        ("hands:1.0.0", None, LoadWish(name="hands", versions=("1.0.0",))),
        ("hands", {}, LoadWish(name="hands")),
        ("hands", {"name": "hands", "version_policy": {}}, LoadWish(name="hands")),
        ("hands", {"version_policy": {"all": {}}}, LoadWish(name="hands", newest=0)),
        ("hands", {"version_policy": {"latest": {}}}, LoadWish(name="hands")),
        (
            "hands",
            {"version_policy": {"latest": {"num_versions": 3}}},
            LoadWish(name="hands", newest=3),
        ),
        (
            "hands",
            {"version_policy": {"specific": {"versions": ["1.0.0", "2.0.0"]}}},
            LoadWish(name="hands", versions=("1.0.0", "2.0.0")),
        ),
        (
            "hands:1.0.0",
            {"parameters": {"aliases": {"string_value": "default,  stable,"}}},
            LoadWish(name="hands", versions=("1.0.0",), aliases=("default", "stable")),
        ),
    ],
)
def test_configuration_says_versions_and_names(model: str, config: Any, wish: LoadWish) -> None:
    """In the words of Triton's model configuration."""
    assert read_load(_load(model, config)) == wish


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ("{", "a model configuration in JSON"),
        ("[]", "in JSON, an object"),
        ("[" * 100_000, "in JSON"),
        ({"max_batch_size": 8}, "found max_batch_size"),
        ({"name": "other"}, "expected 'hands' as name in config"),
        ({"version_policy": "all"}, "version_policy as an object, found 'all'"),
        ({"version_policy": {"newest": {}}}, "one of all, latest, specific"),
        ({"version_policy": {"all": {}, "latest": {}}}, "one of all, latest, specific"),
        ({"version_policy": {"latest": {"num_versions": 0}}}, "at least 1, found '0'"),
        ({"version_policy": {"latest": {"num_versions": True}}}, "at least 1, found 'True'"),
        ({"version_policy": {"specific": {}}}, "a list of versions"),
        ({"version_policy": {"specific": {"versions": [1]}}}, "versions as \"1.2.3\", found '1'"),
        ({"version_policy": {"specific": {"versions": ["../1.0.0"]}}}, "found '../1.0.0'"),
        ({"parameters": {"alias": {}}}, "expected aliases in parameters of config, found alias"),
        ({"parameters": {"aliases": {"string_value": "../x"}}}, "found '../x'"),
    ],
)
def test_configuration_that_is_not_understood_is_refused(config: Any, said: str) -> None:
    """Nothing that is asked for is passed over."""
    with pytest.raises((RequestError, ModelNameError), match=re.escape(said)):
        read_load(_load("hands", config))


def test_version_is_said_in_one_place() -> None:
    """By name or by policy."""
    with pytest.raises(RequestError, match="found both"):
        read_load(_load("hands:1.0.0", {"version_policy": {"all": {}}}))


def test_models_come_from_the_repository_alone() -> None:
    """Neither from another one nor with the request; unknown settings are named."""
    files = _load("hands")
    files.parameters["file:1/model.onnx"].bytes_param = b"graph"
    other = _load("hands")
    other.parameters["force"].bool_param = True
    for request, said in (
        (_load("hands", repository_name="elsewhere"), "found 'elsewhere'"),
        (files, "found files in the request"),
        (other, "found force"),
    ):
        with pytest.raises(RequestError, match=said):
            read_load(request)


@pytest.mark.parametrize("dependents", [None, True, False])
def test_unload_is_the_same_with_dependents(dependents: bool | None) -> None:
    """Triton's clients always send it; no model depends on another one."""
    request = pb.RepositoryModelUnloadRequest(model_name="hands:1.0.0")
    if dependents is not None:
        request.parameters["unload_dependents"].bool_param = dependents
    assert read_unload(request) == ModelReference("hands", "1.0.0")


def test_index_of_a_server_that_ends_has_nothing_ready() -> None:
    """READY means that requests are taken."""
    ready = IndexEntry(ModelReference("a", "1.0.0"), State.READY)
    other = IndexEntry(ModelReference("b", "1.0.0"), State.UNAVAILABLE, "not loaded")

    def states(**wish: bool) -> list[tuple[str, str, str]]:
        models = write_index([ready, other], **wish).models
        return [(m.name, m.state, m.reason) for m in models]

    assert states(only_ready=True, is_ready=True) == [("a", "READY", "")]
    assert states(only_ready=True, is_ready=False) == []
    assert states(only_ready=False, is_ready=False) == [
        ("a", "UNAVAILABLE", "the server is ending"), ("b", "UNAVAILABLE", "not loaded"),
    ]  # fmt: skip
