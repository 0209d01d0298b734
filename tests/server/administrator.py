"""An administrator of a server of a test: the calls of the repository, and what became of them."""

import json
from collections.abc import Awaitable
from typing import Any

import grpc
import pytest

from hunique_proto.inference import open_inference_pb2 as pb
from hunique_proto.inference import open_inference_pb2_grpc as pb_grpc
from hunique_proto.v1 import hand_features_pb2 as v1

LONG_S = 120.0


class Admin:
    """Calls the repository's methods of a server."""

    def __init__(self, served: Any) -> None:
        self._stub = pb_grpc.GRPCInferenceServiceStub(served.channel)
        self._served = served

    async def load(self, model: str, **config: Any) -> None:
        """Load, with a model configuration or without."""
        request = pb.RepositoryModelLoadRequest(model_name=model)
        if config:
            request.parameters["config"].string_param = json.dumps(config)
        await self._stub.RepositoryModelLoad(request, timeout=LONG_S)

    async def unload(self, model: str) -> None:
        """Unload."""
        request = pb.RepositoryModelUnloadRequest(model_name=model)
        await self._stub.RepositoryModelUnload(request, timeout=LONG_S)

    async def index(self, **wish: bool) -> dict[str, str]:
        """States by NAME:VERSION."""
        answer = await self._stub.RepositoryIndex(pb.RepositoryIndexRequest(**wish))
        return {f"{m.name}:{m.version}": m.state for m in answer.models}

    async def ready(self, name: str, version: str = "") -> bool:
        """ModelReady."""
        request = pb.ModelReadyRequest(name=name, version=version)
        return bool((await self._stub.ModelReady(request)).ready)

    async def versions(self, name: str) -> list[str]:
        """Those that ModelMetadata names."""
        return list((await self._stub.ModelMetadata(pb.ModelMetadataRequest(name=name))).versions)

    async def described(self, name: str = "") -> str:
        """What DescribeModel says that a name means."""
        answer = await self._served.stub.DescribeModel(v1.DescribeModelRequest(name=name))
        return f"{answer.model.name}:{answer.model.version}"


async def refusal(call: Awaitable[Any]) -> tuple[grpc.StatusCode, str]:
    """Code and sentence of a call that is refused."""
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await call
    return refused.value.code(), refused.value.details() or ""
