"""Between the Open Inference Protocol and the model repository.

    RepositoryModelLoad    NAME or NAME:VERSION, `config`   ->  LoadWish
    RepositoryModelUnload  NAME or NAME:VERSION             ->  ModelReference

Of Triton's model configuration two things can be chosen when a model is loaded: which versions
are served (`version_policy`), and by which further names (`aliases` of `parameters`).
"""

import json
from collections.abc import Iterable, Mapping
from typing import Any

from hunique_proto.inference import open_inference_pb2 as pb
from hunique_server.errors import RequestError
from hunique_server.model_reference import (
    ModelNameError,
    ModelReference,
    is_model_name,
    is_model_version,
)
from hunique_server.repository import LoadWish
from hunique_server.repository_index import IndexEntry, State

_MOST_SHOWN = 200
_POLICIES = ("all", "latest", "specific")
Parameters = Mapping[str, pb.ModelRepositoryParameter]


def read_load(request: pb.RepositoryModelLoadRequest) -> LoadWish:
    """Understand what is to be loaded.

    Raises:
        RequestError, ModelNameError: it cannot be served.
    """
    _check_parameters(request.repository_name, request.parameters, "config")
    reference = ModelReference.parse(request.model_name)
    config = _config(request.parameters, reference)
    policy = _object(config, "version_policy")
    if reference.version and policy:
        raise RequestError(f"expected a version_policy or '{reference}', found both")
    versions, newest = _policy(policy)
    return LoadWish(
        name=reference.name,
        versions=(reference.version,) if reference.version else versions,
        newest=newest,
        aliases=_aliases(_object(config, "parameters")),
    )


def read_unload(request: pb.RepositoryModelUnloadRequest) -> ModelReference:
    """Understand what is to be unloaded. No model depends on another one here.

    Raises:
        RequestError, ModelNameError: it cannot be served.
    """
    _check_parameters(request.repository_name, request.parameters, "unload_dependents")
    return ModelReference.parse(request.model_name)


def write_index(
    entries: Iterable[IndexEntry], *, only_ready: bool, is_ready: bool
) -> pb.RepositoryIndexResponse:
    """The models that are asked for.

    Args:
        entries: what there is.
        only_ready: whether others are left out.
        is_ready: whether the server takes requests.
    """
    response = pb.RepositoryIndexResponse()
    for entry in entries:
        state, reason = entry.state, entry.reason
        if state is State.READY and not is_ready:
            state, reason = State.UNAVAILABLE, "the server is ending"
        if state is State.READY or not only_ready:
            name, version = entry.reference.name, entry.reference.version
            response.models.add(name=name, version=version, state=state, reason=reason)
    return response


def _check_parameters(repository_name: str, parameters: Parameters, known: str) -> None:
    if repository_name:
        raise RequestError(
            f"expected no repository_name: there is one repository, which has none; found "
            f"{repository_name[:64]!r}"
        )
    if any(name.startswith("file:") for name in parameters):
        raise RequestError(
            "expected a model that lies in the repository, found files in the request: put the "
            "bundle into the folder of --model-repository"
        )
    unknown = sorted(set(parameters) - {known})
    if unknown:
        raise RequestError(
            f"expected the parameter {known} or none, found {', '.join(unknown)[:_MOST_SHOWN]}"
        )


def _config(parameters: Parameters, reference: ModelReference) -> dict[str, Any]:
    text = parameters["config"].string_param if "config" in parameters else "{}"
    try:
        config = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise RequestError("expected config as a model configuration in JSON") from error
    if not isinstance(config, dict):
        raise RequestError("expected config as a model configuration in JSON, an object")
    unknown = sorted(set(config) - {"name", "parameters", "version_policy"})
    if unknown:
        raise RequestError(
            "expected version_policy and parameters in config, as all else is in the bundle; "
            f"found {', '.join(unknown)[:_MOST_SHOWN]}"
        )
    if config.get("name", reference.name) != reference.name:
        raise RequestError(f"expected '{reference.name}' as name in config, found another one")
    return config


def _object(values: Mapping[str, Any], name: str) -> dict[str, Any]:
    value = values.get(name, {})
    if not isinstance(value, dict):
        raise RequestError(f"expected {name} as an object, found {str(value)[:64]!r}")
    return value


def _policy(policy: Mapping[str, Any]) -> tuple[tuple[str, ...], int]:
    """Versions, or how many of the newest; 0: all."""
    if not policy:
        return (), 1
    if len(policy) != 1 or not set(policy) <= set(_POLICIES):
        raise RequestError(
            f"expected one of {', '.join(_POLICIES)} in version_policy, found "
            f"{', '.join(sorted(policy))[:_MOST_SHOWN]}"
        )
    if "all" in policy:
        return (), 0
    if "latest" in policy:
        return (), _number(_object(policy, "latest").get("num_versions", 1))
    versions = _object(policy, "specific").get("versions", [])
    if not isinstance(versions, list) or not versions:
        raise RequestError("expected a list of versions in version_policy, found none")
    for version in versions:
        if not isinstance(version, str) or not is_model_version(version):
            raise RequestError(f'expected versions as "1.2.3", found {str(version)[:64]!r}')
    return tuple(versions), 1


def _number(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise RequestError(f"expected num_versions of at least 1, found {str(value)[:64]!r}")
    return value


def _aliases(parameters: Mapping[str, Any]) -> tuple[str, ...]:
    unknown = sorted(set(parameters) - {"aliases"})
    if unknown:
        raise RequestError(
            f"expected aliases in parameters of config, found {', '.join(unknown)[:_MOST_SHOWN]}"
        )
    text = _object(parameters, "aliases").get("string_value", "")
    names = [name.strip() for name in str(text).split(",") if name.strip()]
    for name in names:
        if not is_model_name(name):
            raise ModelNameError(f"expected aliases as names of models, found {name[:64]!r}")
    return tuple(names)
