"""One picture through the stages of the server, each in its own place, with one model.

admission (loop) -> decode (threads or processes) -> batcher -> engines -> findings (threads)
"""

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from hunique_models.engine import EngineOutput
from hunique_models.findings import check_classes
from hunique_models.image import check_size_bytes
from hunique_models.manifest import Manifest
from hunique_models.pipeline import PictureFindings, Pipeline
from hunique_models.preparing import Prepared
from hunique_models.regions import Region
from hunique_models.seeing import Seen, SeenRegion, hands_on, look_closer, looks_for_hands
from hunique_proto.v1 import hand_features_pb2 as pb
from hunique_server.batcher import Answer, Batcher
from hunique_server.caller import Caller, Priority
from hunique_server.convert import Wish, read_wish, write_response
from hunique_server.engines import EngineLayout, LookPixels
from hunique_server.layout import Turn
from hunique_server.model_statistics import ModelStatistics
from hunique_server.picture_record import note_examined, pixel_account
from hunique_server.premises import Premises
from hunique_server.request_times import note_timings

Tiles = NDArray[np.uint8]
Drawn = TypeVar("Drawn")


class Segmenter:
    """Segments pictures for many callers at once.

    Args:
        manifest: of the model.
        layout: runs its looks.
        model: its identity on the wire.
        premises: what is shared with other models.
    """

    def __init__(
        self,
        manifest: Manifest,
        layout: EngineLayout,
        model: pb.ModelIdentity,
        premises: Premises,
    ) -> None:
        self.limits = premises.limits
        self.manifest = manifest
        self.model = model
        self.admission = premises.admission
        self.statistics = ModelStatistics()
        """What it has done."""
        self._layout = layout
        self._premises = premises
        self._pipeline = Pipeline(manifest, self.limits)
        self._metrics = premises.metrics
        self._engine_threads = ThreadPoolExecutor(layout.places, thread_name_prefix="engine")
        self._batcher: Batcher[LookPixels, EngineOutput] = Batcher(
            layout, self._engine_threads, self._observe_batch, self.statistics.observe_run
        )

    def start(self) -> None:
        """Begin to serve."""
        self._premises.lines.add(self)
        self._batcher.start()

    async def close(self) -> None:
        """End the batcher and its threads."""
        self._premises.lines.discard(self)
        await self._batcher.close()
        await asyncio.to_thread(self._engine_threads.shutdown, wait=True)

    def pictures_ahead(self) -> int:
        """Pictures that keep the engines busy while others are decoded."""
        return self._layout.pictures_ahead()

    def waiting(self, priority: Priority) -> int:
        """Looks of a priority that wait for their run."""
        return self._batcher.waiting(priority)

    def admit(self, request: pb.SegmentRequest, caller: Caller) -> AbstractContextManager[None]:
        """Room for a request, decided by its size and by what its client has here.

        Raises:
            ImageTooLargeError: more bytes than any picture may have.
            QueueFullError: no room now.
        """
        return self.admission.admit(self._checked_size(request), caller=caller)

    def wait(self, request: pb.SegmentRequest, caller: Caller) -> AbstractAsyncContextManager[None]:
        """Room for a request as soon as there is.

        Raises:
            ImageTooLargeError: more bytes than any picture may have.
        """
        return self.admission.wait(self._checked_size(request), caller=caller)

    def _checked_size(self, request: pb.SegmentRequest) -> int:
        size_bytes = len(request.image)  # protobuf copies it each time
        check_size_bytes(size_bytes, self.limits)
        return size_bytes

    async def segment(self, request: pb.SegmentRequest, caller: Caller) -> pb.SegmentResponse:
        """Segment an admitted request.

        Args:
            request: the picture and what is wanted of it.
            caller: who waits for it.

        Raises:
            RequestError, InputError: the request or its picture cannot be served.
            DeadlinePassedError: too late.
        """
        response, _ = await self.examine(
            request.image, read_wish(request), caller, draw=lambda _: None
        )
        return response

    async def examine(
        self,
        image: bytes,
        wish: Wish,
        caller: Caller,
        draw: Callable[[PictureFindings], Drawn],
    ) -> tuple[pb.SegmentResponse, Drawn]:
        """Segment one admitted picture; the answer, and what `draw` makes of the findings.

        Args:
            image: the encoded picture.
            wish: what is wanted of it.
            caller: who waits for it.
            draw: called where the answer is written, in a thread.

        Raises:
            InputError: the picture cannot be served, or a class is not the model's.
            DeadlinePassedError: too late.
        """
        started_ns = time.monotonic_ns()
        check_classes(wish.classes, self.manifest)
        loop = asyncio.get_running_loop()
        workers = self._premises.workers
        async with self._premises.in_work.enter(caller):
            waited_ns = time.monotonic_ns() - started_ns
            decoders = self._premises.decoders
            prepared = await decoders.prepare(
                image, self._pipeline, wish.detail, caller, pixel_account()
            )
            self._metrics.decode_duration.observe(prepared.decode_ns / 1e9)
            seen = await self._see(prepared, caller)
            (response, drawn), postprocess_ns = await loop.run_in_executor(
                workers, self._finish, prepared, seen.result, wish, draw
            )
        timings = response.provenance.timings
        timings.decode_ns, timings.queue_ns = prepared.decode_ns, waited_ns + seen.queue_ns
        timings.inference_ns, timings.postprocess_ns = seen.run_ns, postprocess_ns
        timings.total_ns = time.monotonic_ns() - started_ns
        self._observe(response)
        note_examined(response)
        note_timings(timings)
        return response, drawn

    async def run(self, looks: Tiles, caller: Caller) -> EngineOutput:
        """What the engines say of admitted looks (N, S, S, 3) that a caller cut itself.

        Raises:
            DeadlinePassedError: too late.
        """
        started_ns = time.monotonic_ns()
        pixel_account()(looks.shape[0] * looks.shape[1] * looks.shape[2])
        answer = await self._run(looks, caller)
        self._metrics.queue_duration.observe(answer.queue_ns / 1e9)
        self._metrics.inference_duration.observe(answer.run_ns / 1e9)
        total_ns = time.monotonic_ns() - started_ns
        self.admission.observe(total_ns / 1e9)
        note_timings(
            pb.Timings(queue_ns=answer.queue_ns, inference_ns=answer.run_ns, total_ns=total_ns)
        )
        return answer.result

    async def _see(self, prepared: Prepared, caller: Caller) -> Answer[Seen]:
        """All looks at a picture: at the whole of it, then at each hand that those found."""
        loop, workers = asyncio.get_running_loop(), self._premises.workers
        pixels, looks = prepared.picture.pixels, prepared.looks
        geometry = self.manifest.geometry
        first = await self._run(looks.tiles, caller)
        answers, closer = [first], []
        regions: tuple[Region, ...] = ()
        if looks_for_hands(pixels, looks, geometry):
            regions = await loop.run_in_executor(
                workers, hands_on, pixels, looks, first.result, geometry
            )
        for region in regions:
            own = await loop.run_in_executor(workers, look_closer, pixels, region, looks, geometry)
            answer = await self._run(own.tiles, caller)
            answers.append(answer)
            closer.append(SeenRegion(region=region, looks=own.looks, output=answer.result))
        seen = Seen(looks=looks.looks, output=first.result, closer=tuple(closer))
        queue_ns = sum(answer.queue_ns for answer in answers)
        return Answer(seen, queue_ns, sum(answer.run_ns for answer in answers))

    async def _run(self, looks: Tiles, caller: Caller) -> Answer[EngineOutput]:
        """The answers to looks as one: from the first that is run to the last that is done."""
        answers = await self._batcher.submit(list(looks), caller)
        queue_ns = min(answer.queue_ns for answer in answers)
        done_ns = max(answer.queue_ns + answer.run_ns for answer in answers)
        probability = np.concatenate([answer.result.probability for answer in answers])
        score = np.concatenate([answer.result.score for answer in answers])
        return Answer(EngineOutput(probability, score), queue_ns, done_ns - queue_ns)

    def _finish(
        self,
        prepared: Prepared,
        seen: Seen,
        wish: Wish,
        draw: Callable[[PictureFindings], Drawn],
    ) -> tuple[tuple[pb.SegmentResponse, Drawn], int]:
        started_ns = time.monotonic_ns()
        found = self._pipeline.finish(prepared, seen, wish.classes)
        response = write_response(found, wish, self.model, self.manifest)
        return (response, draw(found)), time.monotonic_ns() - started_ns

    def _observe_batch(self, turn: Turn[LookPixels, EngineOutput], count: int) -> None:
        self._metrics.batch_size.observe(count)
        self._metrics.runs.labels(turn.way).inc()

    def _observe(self, response: pb.SegmentResponse) -> None:
        timings = response.provenance.timings
        self._metrics.queue_duration.observe(timings.queue_ns / 1e9)
        self._metrics.inference_duration.observe(timings.inference_ns / 1e9)
        self._metrics.postprocess_duration.observe(timings.postprocess_ns / 1e9)
        self.admission.observe(timings.total_ns / 1e9)
        for finding in response.findings:
            status = pb.Status.Name(finding.status).removeprefix("STATUS_").lower()
            self._metrics.findings.labels(finding.class_name, status).inc()
