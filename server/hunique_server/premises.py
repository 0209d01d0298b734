"""What all models of a server share: whatever bounds memory, or is fair among callers.

    one for the server:   limits, admission, the line for work, decoders, metrics
    one for each model:   engines, batcher, layout (`hunique_server.segmenter`)

So two models take no more pictures in than one does, and no batch ever holds looks for both.
"""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Protocol

from hunique_models.image import DecodeLimits
from hunique_server.admission import Admission
from hunique_server.caller import Priority
from hunique_server.config import ServerConfig
from hunique_server.decoding import Decoders, ThreadDecoders
from hunique_server.in_work import InWork
from hunique_server.metrics import Metrics


class Line(Protocol):
    """What runs the looks of one model."""

    def pictures_ahead(self) -> int:
        """Pictures that keep it busy while others are decoded."""
        ...

    def waiting(self, priority: Priority) -> int:
        """Looks of a priority that wait for it."""
        ...


class Premises:
    """Shared by the models of one server. For one event loop.

    Args:
        config: limits and pools.
        metrics: what is counted.
    """

    def __init__(self, config: ServerConfig, metrics: Metrics) -> None:
        self.limits = DecodeLimits(
            max_bytes=config.max_image_bytes, max_pixels=config.max_image_pixels
        )
        """Largest pictures."""
        self.metrics = metrics
        """What is counted."""
        self.admission = Admission(config.max_queue_items, config.max_queue_bytes)
        """Where there is room, or not."""
        self.workers = ThreadPoolExecutor(config.decoders, thread_name_prefix="worker")
        """Draw findings, and decode where there are no processes for that."""
        self.decoders = self._choose_decoders(config)
        """Where pictures are decoded."""
        self.in_work = InWork(self._room)
        """The pictures that are worked on, whichever model they are for."""
        self.lines: set[Line] = set()
        """Those of all models that are in memory."""
        self._decoding_at_once = config.decoders
        self._watch_queues()

    def _choose_decoders(self, config: ServerConfig) -> Decoders:
        if not config.decoder_processes:
            return ThreadDecoders(self.workers)
        from hunique_server.decoding_pool import ProcessDecoders  # it needs what Linux has

        return ProcessDecoders(config.decoders, self.limits, config.decode_timeout_s, self.metrics)

    async def start(self) -> None:
        """Be ready to decode.

        Raises:
            DecoderStartError: a decoder process does not start.
        """
        await self.decoders.start()

    def _room(self) -> int:
        """As many pictures as keep the busiest line busy, and those that are decoded."""
        ahead = max((line.pictures_ahead() for line in self.lines), default=0)
        return ahead + self._decoding_at_once

    def _watch_queues(self) -> None:
        self.metrics.queue_items.set_function(lambda: self.admission.items)
        self.metrics.queue_bytes.set_function(lambda: self.admission.bytes)
        self.metrics.waiting_items.set_function(lambda: self.admission.waiting_items)
        self.metrics.waiting_bytes.set_function(lambda: self.admission.waiting_bytes)
        for priority in Priority:
            gauge = self.metrics.queue_looks.labels(priority.value)
            gauge.set_function(partial(self._waiting, priority))

    def _waiting(self, priority: Priority) -> int:
        return sum(line.waiting(priority) for line in tuple(self.lines))

    async def close(self) -> None:
        """End decoders and threads, once no model is left."""
        await self.decoders.close()
        await asyncio.to_thread(self.workers.shutdown, wait=True, cancel_futures=True)
