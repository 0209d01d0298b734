"""The gRPC service `inference.GRPCInferenceService`: convert, call, convert.

The Open Inference Protocol beside `hunique.v1.HandFeatures`: the same models, admission,
batches, deadlines and errors.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from importlib.metadata import version
from typing import TypeVar

from hunique_proto.inference import open_inference_pb2 as pb
from hunique_proto.inference import open_inference_pb2_grpc as pb_grpc
from hunique_server.caller import Caller, Priority
from hunique_server.calls import Calls, Context, caller_of, caller_or_refuse, refuse
from hunique_server.errors import Failure, ModelNotServedError, failure_of
from hunique_server.loaded_model import LoadedModel
from hunique_server.metrics import Metrics
from hunique_server.oip_convert import write_stream_response
from hunique_server.oip_inference import Inference
from hunique_server.oip_metadata import model_metadata
from hunique_server.oip_model_config import model_config
from hunique_server.oip_repository import read_load, read_unload, write_index
from hunique_server.oip_statistics import write_statistics
from hunique_server.picture_record import ModelChange, note_change
from hunique_server.repository import ModelRepository
from hunique_server.served_models import ServedModels
from hunique_server.streams import Streams

Found = TypeVar("Found")
SERVICE_NAME = "inference.GRPCInferenceService"
_EXTENSIONS = (
    "binary_tensor_data", "model_configuration", "model_repository", "parameters", "statistics",
)  # fmt: skip


class OpenInference(pb_grpc.GRPCInferenceServiceServicer):
    """`inference.GRPCInferenceService`.

    Args:
        models: do the work.
        repository: changes what they are.
        metrics: what is counted.
        is_ready: whether requests are taken.
    """

    def __init__(
        self,
        models: ServedModels,
        repository: ModelRepository,
        metrics: Metrics,
        is_ready: Callable[[], bool],
    ) -> None:
        self._models = models
        self._repository = repository
        self._calls = Calls(metrics)
        self._streams = Streams(ordered=True)
        self._is_ready = is_ready

    async def ModelInfer(  # noqa: N802 - the name on the wire
        self, request: pb.ModelInferRequest, context: Context
    ) -> pb.ModelInferResponse:
        """One request, one answer."""
        work = self._infer(request, context)
        outcome = await self._calls.outcome("ModelInfer", work)
        del request  # see `refuse`: the picture must not stay as long as the refusal does
        if isinstance(outcome, Failure):
            await refuse(context, outcome)
        return outcome

    async def _infer(
        self, request: pb.ModelInferRequest, context: Context
    ) -> pb.ModelInferResponse:
        caller = caller_of(context, Priority.INTERACTIVE)
        with self._models.answering(request.model_name, request.model_version) as segmenter:
            inference = Inference(segmenter)
            call = inference.read(request)
            async with inference.in_time(call, caller) as timed:
                with inference.admission.admit(call.size_bytes, call.count, timed):
                    return await inference.answer(request.id, call, timed)

    async def ModelStreamInfer(  # noqa: N802 - the name on the wire
        self, request_iterator: AsyncIterator[pb.ModelInferRequest], context: Context
    ) -> AsyncIterator[pb.ModelStreamInferResponse]:
        """Many requests; answers in their order."""
        caller = await caller_or_refuse(context, Priority.BULK)

        async def answer(
            request: pb.ModelInferRequest, came_in: asyncio.Event
        ) -> pb.ModelStreamInferResponse:
            work = self._infer_when_there_is_room(request, caller, came_in)
            outcome = await self._calls.outcome("ModelStreamInfer", work)
            return write_stream_response(request.id, outcome)

        async with aclosing(self._streams.answers(request_iterator, answer, context)) as answers:
            async for one in answers:
                yield one

    async def _infer_when_there_is_room(
        self, request: pb.ModelInferRequest, caller: Caller, came_in: asyncio.Event
    ) -> pb.ModelInferResponse:
        with self._models.answering(request.model_name, request.model_version) as segmenter:
            inference = Inference(segmenter)
            call = inference.read(request)
            async with (
                inference.in_time(call, caller) as timed,
                inference.admission.wait(call.size_bytes, call.count, timed),
            ):
                came_in.set()
                return await inference.answer(request.id, call, timed)

    def drain(self) -> None:
        """Read no further from any stream; what was read is still answered."""
        self._streams.drain()

    async def ServerLive(  # noqa: N802 - the name on the wire
        self, _request: pb.ServerLiveRequest, _context: Context
    ) -> pb.ServerLiveResponse:
        """Yes."""
        return pb.ServerLiveResponse(live=True)

    async def ServerReady(  # noqa: N802 - the name on the wire
        self, _request: pb.ServerReadyRequest, _context: Context
    ) -> pb.ServerReadyResponse:
        """Whether requests are taken."""
        return pb.ServerReadyResponse(ready=self._is_ready())

    async def ServerMetadata(  # noqa: N802 - the name on the wire
        self, _request: pb.ServerMetadataRequest, _context: Context
    ) -> pb.ServerMetadataResponse:
        """Name, version, extensions."""
        return pb.ServerMetadataResponse(
            name="hunique", version=version("hunique"), extensions=_EXTENSIONS
        )

    async def ModelReady(  # noqa: N802 - the name on the wire
        self, request: pb.ModelReadyRequest, _context: Context
    ) -> pb.ModelReadyResponse:
        """Whether a model is served."""
        try:
            self._models.catalogue.find(request.name, request.version)
        except ModelNotServedError:
            return pb.ModelReadyResponse(ready=False)
        return pb.ModelReadyResponse(ready=self._is_ready())

    async def ModelMetadata(  # noqa: N802 - the name on the wire
        self, request: pb.ModelMetadataRequest, context: Context
    ) -> pb.ModelMetadataResponse:
        """Inputs and outputs."""
        catalogue = self._models.catalogue
        model = await _found(context, lambda: catalogue.find(request.name, request.version))
        versions = catalogue.by_name[model.identity.name]
        return model_metadata(model.manifest, [each.identity.version for each in versions])

    async def ModelConfig(  # noqa: N802 - the name on the wire
        self, request: pb.ModelConfigRequest, context: Context
    ) -> pb.ModelConfigResponse:
        """How a model is served."""
        catalogue = self._models.catalogue
        model = await _found(context, lambda: catalogue.find(request.name, request.version))
        return pb.ModelConfigResponse(config=model_config(model, catalogue))

    async def ModelStatistics(  # noqa: N802 - the name on the wire
        self, request: pb.ModelStatisticsRequest, context: Context
    ) -> pb.ModelStatisticsResponse:
        """What models have done."""
        catalogue = self._models.catalogue
        models = await _found(context, lambda: catalogue.find_all(request.name, request.version))
        return write_statistics(models)

    async def RepositoryIndex(  # noqa: N802 - the name on the wire
        self, request: pb.RepositoryIndexRequest, _context: Context
    ) -> pb.RepositoryIndexResponse:
        """Every model in memory and in the repository."""
        entries = await self._repository.index()
        return write_index(entries, only_ready=request.ready, is_ready=self._is_ready())

    async def RepositoryModelLoad(  # noqa: N802 - the name on the wire
        self, request: pb.RepositoryModelLoadRequest, context: Context
    ) -> pb.RepositoryModelLoadResponse:
        """Serve a model, or another version of it; answers when it is served."""
        name = request.model_name
        await _change(name, lambda: self._repository.load(read_load(request)), context)
        return pb.RepositoryModelLoadResponse()

    async def RepositoryModelUnload(  # noqa: N802 - the name on the wire
        self, request: pb.RepositoryModelUnloadRequest, context: Context
    ) -> pb.RepositoryModelUnloadResponse:
        """Serve a model no longer; what it has begun is answered."""
        name = request.model_name
        await _change(name, lambda: self._repository.unload(read_unload(request)), context)
        return pb.RepositoryModelUnloadResponse()


async def _found(context: Context, look_up: Callable[[], Found]) -> Found:
    """What the look-up finds; where there is no such model, the call is refused with that."""
    try:
        return look_up()
    except ModelNotServedError as error:
        await refuse(context, failure_of(error))


async def _change(name: str, begin: Callable[[], Awaitable[LoadedModel]], context: Context) -> None:
    """Change what is served, and note for the audit log what was asked for and what it meant.

    Args:
        name: as the caller said it.
        begin: reads the request, and fails where it makes no sense: of that nothing is noted.
        context: of the call; refused with what went wrong.
    """
    try:
        change = begin()
        note_change(ModelChange(name))
        model = await change
    except Exception as error:  # noqa: BLE001 - it becomes the status of the call
        await refuse(context, failure_of(error))
    note_change(ModelChange(name, model.sha256))
