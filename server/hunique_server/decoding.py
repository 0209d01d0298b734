"""Where pictures are decoded and cut into looks: in threads, or in processes of their own.

In a thread a decoder's fault is the server's, and nobody can end it; in a process it costs one
picture (`hunique_server.decoding_pool`).
"""

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol

from hunique_models.errors import InputError
from hunique_models.geometry import Detail
from hunique_models.pipeline import Pipeline
from hunique_models.preparing import Prepared
from hunique_server.batcher import DeadlinePassedError
from hunique_server.caller import Caller

PixelAccount = Callable[[int], None]
"""Takes the pixels that were decoded for a caller."""


class DecoderCrashedError(Exception):
    """The process that decoded this picture ended, or answered nonsense."""


class DecodingTooLongError(InputError):
    """This picture is not decoded within the time that a picture may take."""


class Decoders(Protocol):
    """Decode pictures. For one event loop."""

    async def start(self) -> None:
        """Be ready to decode."""
        ...

    async def prepare(
        self,
        data: bytes,
        pipeline: Pipeline,
        detail: Detail,
        caller: Caller,
        account: PixelAccount,
    ) -> Prepared:
        """Decode an encoded image and cut its looks, as `Pipeline.prepare` does.

        Args:
            data: the encoded image.
            pipeline: its limits and its geometry.
            detail: how closely to look.
            caller: who waits for it.
            account: told how many pixels were decoded, also of a damaged picture, and also where
                the caller has left in the meantime.

        Raises:
            InputError: the image cannot be served.
            DeadlinePassedError: the caller's deadline passed before it was begun.
            DecoderCrashedError: its decoder did.
        """
        ...

    async def close(self) -> None:
        """Decode no longer."""
        ...


class ThreadDecoders:
    """Decode pictures in threads of this process.

    Args:
        threads: where; they are the caller's to close.
    """

    def __init__(self, threads: ThreadPoolExecutor) -> None:
        self._threads = threads

    async def start(self) -> None:
        """Nothing to begin."""

    async def prepare(
        self,
        data: bytes,
        pipeline: Pipeline,
        detail: Detail,
        caller: Caller,
        account: PixelAccount,
    ) -> Prepared:
        """As `Decoders` says."""
        loop = asyncio.get_running_loop()

        def tell(pixels: int) -> None:
            loop.call_soon_threadsafe(account, pixels)

        return await loop.run_in_executor(
            self._threads, _prepare, data, pipeline, detail, caller, tell
        )

    async def close(self) -> None:
        """Nothing to end."""


def _prepare(
    data: bytes, pipeline: Pipeline, detail: Detail, caller: Caller, tell: PixelAccount
) -> Prepared:
    check_deadline(caller)
    try:
        prepared = pipeline.prepare(data, detail)
    except InputError as error:
        tell(error.pixels)
        raise
    tell(prepared.picture.height_px * prepared.picture.width_px)
    return prepared


def check_deadline(caller: Caller) -> None:
    """Begin nothing for a caller who waits no longer.

    Raises:
        DeadlinePassedError: the deadline passed.
    """
    if caller.deadline_s is not None and time.monotonic() >= caller.deadline_s:
        raise DeadlinePassedError("the deadline passed before the picture was decoded")
