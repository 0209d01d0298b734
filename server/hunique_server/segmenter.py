"""One picture through the stages of the server, each in its own place.

admission (loop) -> decode (threads) -> batcher -> engine -> findings (threads)
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from hunique_models.bundle import Bundle
from hunique_models.engine import Engine, EngineOutput
from hunique_models.findings import check_classes
from hunique_models.image import DecodeLimits, check_size_bytes
from hunique_models.pipeline import PictureFindings, Pipeline, Prepared
from hunique_proto.v1 import hand_features_pb2 as pb
from hunique_server.admission import Admission
from hunique_server.batcher import Answer, Batcher, DeadlinePassedError, WrongCountError
from hunique_server.config import ServerConfig
from hunique_server.convert import Wish, read_wish, write_response
from hunique_server.metrics import Metrics

Tiles = NDArray[np.uint8]
Drawn = TypeVar("Drawn")


class Segmenter:
    """Segments pictures for many callers at once.

    Args:
        config: limits and pools.
        bundle: the model.
        engine: runs it.
        model: its identity on the wire.
        metrics: what is counted.
    """

    def __init__(
        self,
        config: ServerConfig,
        bundle: Bundle,
        engine: Engine,
        model: pb.ModelIdentity,
        metrics: Metrics,
    ) -> None:
        self.limits = DecodeLimits(
            max_bytes=config.max_image_bytes, max_pixels=config.max_image_pixels
        )
        self.manifest = bundle.manifest
        self.model = model
        self.admission = Admission(config.max_queue_items, config.max_queue_bytes)
        self._pipeline = Pipeline(bundle.manifest, self.limits)
        self._engine = engine
        self._metrics = metrics
        self._max_batch = config.max_batch
        self._workers = ThreadPoolExecutor(config.workers, thread_name_prefix="worker")
        self._engine_thread = ThreadPoolExecutor(1, thread_name_prefix="engine")
        self._batcher: Batcher[Tiles, EngineOutput] = Batcher(
            self._run_items, self._engine_thread, config.max_batch, metrics.batch_size.observe
        )
        metrics.queue_items.set_function(lambda: self.admission.items)
        metrics.queue_bytes.set_function(lambda: self.admission.bytes)

    def start(self) -> None:
        """Begin to serve."""
        self._batcher.start()

    async def close(self) -> None:
        """End the batcher and the pools."""
        await self._batcher.close()
        await asyncio.to_thread(self._workers.shutdown, wait=True, cancel_futures=True)
        await asyncio.to_thread(self._engine_thread.shutdown, wait=True)

    def admit(self, request: pb.SegmentRequest) -> AbstractContextManager[None]:
        """Room for a request, decided by its size alone.

        Raises:
            ImageTooLargeError: more bytes than any picture may have.
            QueueFullError: no room now.
        """
        check_size_bytes(len(request.image), self.limits)
        return self.admission.admit(len(request.image))

    def wait(self, request: pb.SegmentRequest) -> AbstractAsyncContextManager[None]:
        """Room for a request as soon as there is.

        Raises:
            ImageTooLargeError: more bytes than any picture may have.
        """
        check_size_bytes(len(request.image), self.limits)
        return self.admission.wait(len(request.image))

    async def segment(
        self, request: pb.SegmentRequest, deadline_s: float | None
    ) -> pb.SegmentResponse:
        """Segment an admitted request.

        Args:
            request: the picture and what is wanted of it.
            deadline_s: on the monotonic clock.

        Raises:
            RequestError, InputError: the request or its picture cannot be served.
            DeadlinePassedError: too late.
        """
        response, _ = await self.examine(
            request.image, read_wish(request), deadline_s, draw=lambda _: None
        )
        return response

    async def examine(
        self,
        image: bytes,
        wish: Wish,
        deadline_s: float | None,
        draw: Callable[[PictureFindings], Drawn],
    ) -> tuple[pb.SegmentResponse, Drawn]:
        """Segment one admitted picture; the answer, and what `draw` makes of the findings.

        Args:
            image: the encoded picture.
            wish: what is wanted of it.
            deadline_s: on the monotonic clock.
            draw: called where the answer is written, in a thread.

        Raises:
            InputError: the picture cannot be served, or a class is not the model's.
            DeadlinePassedError: too late.
        """
        started_ns = time.monotonic_ns()
        check_classes(wish.classes, self.manifest)
        loop = asyncio.get_running_loop()
        prepared = await loop.run_in_executor(self._workers, self._prepare, image, wish, deadline_s)
        self._metrics.decode_duration.observe(prepared.decode_ns / 1e9)
        answer = await self._run_in_batch(prepared.looks.tiles, deadline_s)
        (response, drawn), postprocess_ns = await loop.run_in_executor(
            self._workers, self._finish, prepared, answer.result, wish, draw
        )
        timings = response.provenance.timings
        timings.decode_ns, timings.queue_ns = prepared.decode_ns, answer.queue_ns
        timings.inference_ns, timings.postprocess_ns = answer.run_ns, postprocess_ns
        timings.total_ns = time.monotonic_ns() - started_ns
        self._observe(response)
        return response, drawn

    async def run(self, looks: Tiles, deadline_s: float | None) -> EngineOutput:
        """What the engine says of admitted looks (N, S, S, 3) that a caller cut itself.

        Raises:
            DeadlinePassedError: too late.
        """
        started_s = time.monotonic()
        answer = await self._run_in_batch(looks, deadline_s)
        self.admission.observe(time.monotonic() - started_s)
        return answer.result

    async def _run_in_batch(self, looks: Tiles, deadline_s: float | None) -> Answer[EngineOutput]:
        answer = await self._batcher.submit(looks, weight=len(looks), deadline_s=deadline_s)
        self._metrics.queue_duration.observe(answer.queue_ns / 1e9)
        self._metrics.inference_duration.observe(answer.run_ns / 1e9)
        return answer

    def _prepare(self, data: bytes, wish: Wish, deadline_s: float | None) -> Prepared:
        if deadline_s is not None and time.monotonic() >= deadline_s:
            raise DeadlinePassedError("the deadline passed before the picture was decoded")
        return self._pipeline.prepare(data, wish.detail)

    def _finish(
        self,
        prepared: Prepared,
        output: EngineOutput,
        wish: Wish,
        draw: Callable[[PictureFindings], Drawn],
    ) -> tuple[tuple[pb.SegmentResponse, Drawn], int]:
        started_ns = time.monotonic_ns()
        found = self._pipeline.finish(prepared, output.probability, output.score, wish.classes)
        response = write_response(found, wish, self.model, self.manifest)
        return (response, draw(found)), time.monotonic_ns() - started_ns

    def _run_items(self, items: list[Tiles]) -> Sequence[EngineOutput]:
        """Run the looks of several pictures, at most `max_batch` at once."""
        looks = np.concatenate(items) if len(items) > 1 else items[0]
        parts = [
            self._run_looks(looks[first : first + self._max_batch])
            for first in range(0, len(looks), self._max_batch)
        ]
        probability = np.concatenate([part.probability for part in parts])
        score = np.concatenate([part.score for part in parts])
        ends = np.cumsum([len(item) for item in items])
        starts = ends - [len(item) for item in items]
        return [
            EngineOutput(probability[a:b], score[a:b]) for a, b in zip(starts, ends, strict=True)
        ]

    def _run_looks(self, looks: Tiles) -> EngineOutput:
        output = self._engine.run(looks)
        if not len(output.probability) == len(output.score) == len(looks):
            # were this let through, a picture would get its neighbour's answer
            raise WrongCountError(
                f"expected answers to {len(looks)} looks, found {len(output.probability)} maps "
                f"and {len(output.score)} scores"
            )
        return output

    def _observe(self, response: pb.SegmentResponse) -> None:
        timings = response.provenance.timings
        self._metrics.postprocess_duration.observe(timings.postprocess_ns / 1e9)
        self.admission.observe(timings.total_ns / 1e9)
        for finding in response.findings:
            status = pb.Status.Name(finding.status).removeprefix("STATUS_").lower()
            self._metrics.findings.labels(finding.class_name, status).inc()
