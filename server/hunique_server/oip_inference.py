"""Requests of the Open Inference Protocol, done by the segmenter."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from hunique_models.errors import InputError
from hunique_models.image import check_size_bytes
from hunique_proto.inference import open_inference_pb2 as pb
from hunique_proto.v1 import hand_features_pb2 as v1
from hunique_server.batcher import DeadlinePassedError
from hunique_server.caller import Caller
from hunique_server.oip_convert import (
    LooksCall,
    PicturesCall,
    draw_labels,
    masks_of,
    read_call,
    write_response,
)
from hunique_server.oip_tensors import Value
from hunique_server.request_times import note_items, reading, writing
from hunique_server.result_document import result_document
from hunique_server.segmenter import Segmenter

Labels = NDArray[np.uint8]
Call = LooksCall | PicturesCall


class Inference:
    """From a request to its answer; who may come in is decided in between, by the caller.

    Args:
        segmenter: does the work, with the model that the request names.
    """

    def __init__(self, segmenter: Segmenter) -> None:
        self._segmenter = segmenter
        self.admission = segmenter.admission
        """Where there is room, or not."""

    def read(self, request: pb.ModelInferRequest) -> Call:
        """Understand a request.

        Raises:
            ImageTooLargeError: more bytes than any picture may have.
            RequestError: anything else that cannot be served.
        """
        call = read_call(request, self._segmenter.manifest, self.admission.max_items)
        note_items(call.count)
        if isinstance(call, PicturesCall):
            for image in call.images:
                check_size_bytes(len(image), self._segmenter.limits)
        return call

    @asynccontextmanager
    async def in_time(self, call: Call, caller: Caller) -> AsyncIterator[Caller]:
        """Until the call's own deadline; gRPC sees to that of its caller.

        What is inside is given up then, whatever it waits for. It gets the caller with the
        earlier deadline, so that nothing is begun that comes too late.

        Raises:
            DeadlinePassedError: it passed.
        """
        if call.timeout_s is None:
            yield caller
            return
        own_s = time.monotonic() + call.timeout_s
        deadline_s = own_s if caller.deadline_s is None else min(caller.deadline_s, own_s)
        try:
            async with asyncio.timeout_at(own_s) as limit:
                yield replace(caller, deadline_s=deadline_s)
        except TimeoutError:
            if not limit.expired():
                raise
            raise DeadlinePassedError("the deadline passed before the answer was there") from None

    async def answer(self, request_id: str, call: Call, caller: Caller) -> pb.ModelInferResponse:
        """The answer to an admitted call.

        Args:
            request_id: the caller's.
            call: what is wanted.
            caller: who waits for it.

        Raises:
            RequestError, InputError: it or one of its pictures cannot be served.
            DeadlinePassedError: too late.
        """
        if isinstance(call, LooksCall):
            values = await self._run(call, caller)
        else:
            values = await self._examine(call, caller)
        with writing():
            return write_response(request_id, self._segmenter.model, values)

    async def _run(self, call: LooksCall, caller: Caller) -> dict[str, Value]:
        # a message of typed elements takes seconds to read; raw ones are there
        is_raw = call.raw is not None
        with reading():
            looks = call.looks() if is_raw else await asyncio.to_thread(call.looks)
        output = await self._segmenter.run(looks, caller)
        return {name: getattr(output, name) for name in call.outputs}

    async def _examine(self, call: PicturesCall, caller: Caller) -> dict[str, Value]:
        tasks = [
            asyncio.create_task(self._examine_one(call, index, caller))
            for index in range(call.count)
        ]
        try:
            examined = await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()
        class_count = len(self._segmenter.manifest.classes)
        with writing():
            return await asyncio.to_thread(_values, call.outputs, examined, class_count)

    async def _examine_one(
        self, call: PicturesCall, index: int, caller: Caller
    ) -> tuple[v1.SegmentResponse, Labels | None]:
        draw = draw_labels if call.wants_labels else lambda _: None
        try:
            return await self._segmenter.examine(call.images[index], call.wish, caller, draw)
        except InputError as error:
            if call.count == 1:
                raise
            raise type(error)(f"encoded_image[{index}]: {error}") from error


def _values(
    names: tuple[str, ...],
    examined: list[tuple[v1.SegmentResponse, Labels | None]],
    class_count: int,
) -> dict[str, Value]:
    """The outputs asked for, in order."""
    labels = examined[0][1]
    values: dict[str, Value] = {}
    for name in names:
        if name == "findings":
            values[name] = [result_document(response) for response, _ in examined]
        elif labels is not None:
            values[name] = labels if name == "labels" else masks_of(labels, class_count)
    return values
