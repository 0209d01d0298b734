"""The gRPC service `inference.GRPCInferenceService`: convert, call, convert.

The Open Inference Protocol beside `hunique.v1.HandFeatures`: the same segmenter, admission,
batches, deadlines and errors.
"""

from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from importlib.metadata import version
from typing import NoReturn

import grpc

from hunique_proto.inference import open_inference_pb2 as pb
from hunique_proto.inference import open_inference_pb2_grpc as pb_grpc
from hunique_server.caller import Caller, Priority
from hunique_server.calls import Calls, Context, caller_of, caller_or_refuse, refuse
from hunique_server.errors import Failure, ModelNotServedError, failure_of
from hunique_server.metrics import Metrics
from hunique_server.oip_convert import check_model, write_stream_response
from hunique_server.oip_inference import Inference
from hunique_server.oip_metadata import model_metadata
from hunique_server.segmenter import Segmenter
from hunique_server.streams import Streams

SERVICE_NAME = "inference.GRPCInferenceService"
_EXTENSIONS = ("binary_tensor_data", "parameters")
_NO_REPOSITORY = Failure(
    code=grpc.StatusCode.UNIMPLEMENTED,
    message="This server serves the one bundle that it was started with (--bundle) and neither "
    "loads nor unloads models. Start a server with another --bundle for another model.",
)


class OpenInference(pb_grpc.GRPCInferenceServiceServicer):
    """`inference.GRPCInferenceService`.

    Args:
        segmenter: does the work.
        metrics: what is counted.
        is_ready: whether requests are taken.
    """

    def __init__(
        self, segmenter: Segmenter, metrics: Metrics, is_ready: Callable[[], bool]
    ) -> None:
        self._inference = Inference(segmenter)
        self._manifest = segmenter.manifest
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
        call = self._inference.read(request)
        with self._inference.admission.admit(call.size_bytes, call.count, caller):
            return await self._inference.answer(request.id, call, caller)

    async def ModelStreamInfer(  # noqa: N802 - the name on the wire
        self, request_iterator: AsyncIterator[pb.ModelInferRequest], context: Context
    ) -> AsyncIterator[pb.ModelStreamInferResponse]:
        """Many requests; answers in their order."""
        caller = await caller_or_refuse(context, Priority.BULK)

        async def answer(request: pb.ModelInferRequest) -> pb.ModelStreamInferResponse:
            work = self._infer_when_there_is_room(request, caller)
            outcome = await self._calls.outcome("ModelStreamInfer", work)
            return write_stream_response(request.id, outcome)

        async with aclosing(self._streams.answers(request_iterator, answer, context)) as answers:
            async for one in answers:
                yield one

    async def _infer_when_there_is_room(
        self, request: pb.ModelInferRequest, caller: Caller
    ) -> pb.ModelInferResponse:
        call = self._inference.read(request)
        async with self._inference.admission.wait(call.size_bytes, call.count, caller):
            return await self._inference.answer(request.id, call, caller)

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
            check_model(request.name, request.version, self._manifest)
        except ModelNotServedError:
            return pb.ModelReadyResponse(ready=False)
        return pb.ModelReadyResponse(ready=self._is_ready())

    async def ModelMetadata(  # noqa: N802 - the name on the wire
        self, request: pb.ModelMetadataRequest, context: Context
    ) -> pb.ModelMetadataResponse:
        """Inputs and outputs."""
        try:
            check_model(request.name, request.version, self._manifest)
        except ModelNotServedError as error:
            await refuse(context, failure_of(error))
        return model_metadata(self._manifest)

    async def RepositoryIndex(  # noqa: N802 - the name on the wire
        self, request: pb.RepositoryIndexRequest, _context: Context
    ) -> pb.RepositoryIndexResponse:
        """The one bundle."""
        response = pb.RepositoryIndexResponse()
        if self._is_ready() or not request.ready:
            state = "READY" if self._is_ready() else "UNAVAILABLE"
            name, model_version = self._manifest.name, self._manifest.version
            response.models.add(name=name, version=model_version, state=state)
        return response

    async def RepositoryModelLoad(  # noqa: N802 - the name on the wire
        self, _request: pb.RepositoryModelLoadRequest, context: Context
    ) -> NoReturn:
        """Not offered."""
        await refuse(context, _NO_REPOSITORY)

    async def RepositoryModelUnload(  # noqa: N802 - the name on the wire
        self, _request: pb.RepositoryModelUnloadRequest, context: Context
    ) -> NoReturn:
        """Not offered."""
        await refuse(context, _NO_REPOSITORY)
