"""Decoder processes that may crash or hang: each time it costs one picture and one process.

    prepare -> jobs -> a place: a process, and another one when that is of no more use

Processes are started anew, not branched off the server: its threads would leave locks behind
that nobody opens.
"""

import asyncio
import logging
import time
from dataclasses import dataclass

from hunique_models.errors import InputError
from hunique_models.geometry import Detail
from hunique_models.image import DecodeLimits
from hunique_models.pipeline import Pipeline
from hunique_models.preparing import Prepared
from hunique_server.caller import Caller
from hunique_server.decoding import (
    DecoderCrashedError,
    DecodingTooLongError,
    PixelAccount,
    check_deadline,
)
from hunique_server.decoding_job import DecodeJob, NonsenseError, read_answer
from hunique_server.decoding_memory import PictureMemory
from hunique_server.decoding_process import (
    DecoderProcess,
    DecoderStartError,
    NotTakenError,
    ProcessEndedError,
)
from hunique_server.metrics import Metrics

logger = logging.getLogger(__name__)

RESTART_PAUSE_S = 1.0
"""Before another try where no process could be started."""
_BYTES_PER_PIXEL = 64
"""Four times what was measured, 10 to 16: the limit counts addresses, not what is used of them."""
_BASE_BYTES = 256 * 1024 * 1024


@dataclass(eq=False)
class _Job:
    """A picture that waits for a process or is in one."""

    data: bytes
    order: DecodeJob
    caller: Caller
    account: PixelAccount
    prepared: "asyncio.Future[Prepared]"

    def fail(self, error: Exception) -> None:
        """Refuse a picture that cost a process, which is owed as the largest one that is allowed."""
        self.account(self.order.limits.max_pixels)
        self.refuse(error)

    def refuse(self, error: Exception) -> None:
        """Tell the caller, if there still is one."""
        if not self.prepared.done():
            self.prepared.set_exception(error)


class ProcessDecoders:
    """Decode pictures in processes. For one event loop.

    Args:
        count: processes.
        limits: the largest pictures, by which their memory is bounded.
        timeout_s: how long one picture may take.
        metrics: where faults are counted.
    """

    def __init__(
        self, count: int, limits: DecodeLimits, timeout_s: float, metrics: Metrics
    ) -> None:
        self.count = count
        self.memory_bytes = memory_bytes(limits)
        """What a process may take beyond its libraries."""
        self._timeout_s = timeout_s
        self._metrics = metrics
        self._jobs: asyncio.Queue[_Job] = asyncio.Queue()
        self._places: list[asyncio.Task[None]] = []
        self._processes: set[DecoderProcess] = set()

    async def start(self) -> None:
        """Be ready to decode.

        Raises:
            DecoderStartError: the processes do not start.
        """
        starts = (DecoderProcess.start(self.memory_bytes) for _ in range(self.count))
        begun = await asyncio.gather(*starts, return_exceptions=True)
        self._processes.update(one for one in begun if isinstance(one, DecoderProcess))
        for one in begun:
            if isinstance(one, BaseException):
                raise one
        self._places = [asyncio.create_task(self._keep(process)) for process in self._processes]

    async def prepare(
        self,
        data: bytes,
        pipeline: Pipeline,
        detail: Detail,
        caller: Caller,
        account: PixelAccount,
    ) -> Prepared:
        """As `hunique_server.decoding.Decoders` says."""
        order = DecodeJob(
            size_bytes=len(data),
            limits=pipeline.limits,
            geometry=pipeline.manifest.geometry,
            detail=detail,
        )
        job = _Job(data, order, caller, account, asyncio.get_running_loop().create_future())
        self._jobs.put_nowait(job)
        try:
            return await job.prepared
        finally:
            job.data = b""  # a caller may leave long before it would be its turn

    async def close(self) -> None:
        """End all processes."""
        for place in self._places:
            place.cancel()
        await asyncio.gather(*self._places, return_exceptions=True)
        await asyncio.gather(*(process.end() for process in self._processes))
        while not self._jobs.empty():
            self._jobs.get_nowait().prepared.cancel()

    async def _keep(self, process: DecoderProcess) -> None:
        """Have a process in this place, whatever becomes of it."""
        while True:
            reason = await self._work(process)
            process = await self._replace(process, reason)

    async def _replace(self, process: DecoderProcess, reason: str) -> DecoderProcess:
        how = await process.end()
        self._processes.discard(process)
        self._metrics.decoders_replaced.labels(reason).inc()
        logger.warning("decoder process %d %s (%s) and is replaced", process.pid, reason, how)
        while True:
            try:
                fresh = await DecoderProcess.start(self.memory_bytes)
            except DecoderStartError as error:
                logger.error("%s; trying again", error)
                await asyncio.sleep(RESTART_PAUSE_S)
            else:
                self._processes.add(fresh)
                return fresh

    async def _work(self, process: DecoderProcess) -> str:
        """Decode one picture after another until the process is of no more use; says why."""
        while True:
            getting = asyncio.create_task(self._jobs.get())
            try:
                await asyncio.wait([getting, process.said], return_when=asyncio.FIRST_COMPLETED)
            finally:
                getting.cancel()
            if not getting.done():
                return "crashed"
            if reason := await self._decode(process, getting.result()):
                return reason

    async def _decode(self, process: DecoderProcess, job: _Job) -> str:
        """Decode a picture; what became of the process, or nothing if it may go on."""
        try:
            await self._decode_or_raise(process, job)
        except NotTakenError:
            self._jobs.put_nowait(job)
            return "crashed"
        except TimeoutError:
            job.fail(_too_long(self._timeout_s))
            return "hung"
        except ProcessEndedError:
            job.fail(_crashed(await process.end()))
            return "crashed"
        except NonsenseError as error:
            job.fail(_crashed(str(error)))
            return "crashed"
        except asyncio.CancelledError:
            job.prepared.cancel()
            raise
        except Exception as error:  # noqa: BLE001 - the picture is refused, the place goes on
            job.refuse(error)
        return ""

    async def _decode_or_raise(self, process: DecoderProcess, job: _Job) -> None:
        if job.prepared.done():
            return
        check_deadline(job.caller)
        started_ns = time.monotonic_ns()
        memory = await asyncio.to_thread(PictureMemory, job.data)
        try:
            with self._metrics.decoders_busy.track_inprogress():
                words = await process.ask(job.order.write(), memory, self._timeout_s)
            picture, looks = read_answer(words, job.order, memory)
        except InputError as error:
            job.account(error.pixels)
            raise
        finally:
            memory.close()
        job.account(picture.height_px * picture.width_px)
        if not job.prepared.done():
            decode_ns = time.monotonic_ns() - started_ns
            job.prepared.set_result(Prepared(picture=picture, looks=looks, decode_ns=decode_ns))


def memory_bytes(limits: DecodeLimits) -> int:
    """What decoding the largest picture may take."""
    return _BASE_BYTES + 3 * limits.max_bytes + _BYTES_PER_PIXEL * limits.max_pixels


def _too_long(timeout_s: float) -> DecodingTooLongError:
    return DecodingTooLongError(
        f"Expected an image that is decoded within {timeout_s:g} s (--decode-timeout-s), and this "
        "one was not. Save it anew with another program, or send it smaller."
    )


def _crashed(how: str) -> DecoderCrashedError:
    return DecoderCrashedError(
        f"The decoder of this picture failed on it ({how}) and was replaced; other pictures are "
        "served. Save the picture anew with another program."
    )
