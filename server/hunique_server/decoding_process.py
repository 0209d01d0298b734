"""One decoder process, as the server sees it: start, ask, end. Linux only."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
from typing import Self

from hunique_server.config_error import ConfigError
from hunique_server.decoding_job import MAX_WORDS_BYTES, READY
from hunique_server.decoding_memory import PictureMemory

START_S = 60.0
"""How long one may take to load its libraries, on a machine that is busy."""
_ENDING = (signal.SIGINT, signal.SIGTERM)
_KEPT_VARIABLES = ("PATH", "PYTHON", "LD_", "LANG", "LC_", "VIRTUAL_ENV")
_ONE_THREAD = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}


class DecoderStartError(ConfigError):
    """No decoder process could be started."""


class NotTakenError(Exception):
    """The process had ended before it saw the picture."""


class ProcessEndedError(Exception):
    """The process ended while it had the picture."""


class DecoderProcess:
    """Decodes one picture at a time. For one event loop, in whose thread it is started.

    Args:
        memory_bytes: what it may take beyond what it has at its start.

    Raises:
        OSError: no process can be started.
    """

    def __init__(self, memory_bytes: int) -> None:
        self._channel, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._channel.setblocking(False)
        try:
            with theirs:
                self._process = _start(theirs.fileno(), memory_bytes)
        except BaseException:
            self._channel.close()
            raise
        self.pid = self._process.pid
        """Of the process."""
        self.said = self._listen()
        """What it says next; nothing, or `NotTakenError`: that it ended."""

    @classmethod
    async def start(cls, memory_bytes: int) -> Self:
        """A process that is ready.

        Raises:
            DecoderStartError: it does not become so.
        """
        try:
            process = cls(memory_bytes)
        except OSError as error:
            raise DecoderStartError(f"no decoder process can be started: {error}") from error
        try:
            said = await asyncio.wait_for(asyncio.shield(process.said), START_S)
        except TimeoutError:
            await process.end()
            raise DecoderStartError(
                f"a decoder process was not ready within {START_S:g} s"
            ) from None
        except BaseException:
            await process.end()
            raise
        if said != READY:
            raise DecoderStartError(
                f"a decoder process ended at its start ({await process.end()}); "
                f"`{sys.executable} -m hunique_server.decoding_worker` shows why"
            )
        process.said = process._listen()
        return process

    async def ask(self, words: bytes, memory: PictureMemory, timeout_s: float) -> bytes:
        """Its answer to a job.

        Raises:
            NotTakenError: it ended before it saw the job.
            ProcessEndedError: it ended over it.
            TimeoutError: no answer in that time. The process is of no more use.
        """
        try:
            socket.send_fds(self._channel, [words], [memory.fd])
        except OSError as error:
            raise NotTakenError from error
        answer = await asyncio.wait_for(asyncio.shield(self.said), timeout_s)
        if not answer:
            raise ProcessEndedError
        self.said = self._listen()
        return answer

    async def end(self) -> str:
        """Kill it, unless it ended by itself, and leave nothing of it; says how it ended."""
        self._process.kill()
        self.said.cancel()
        await asyncio.wait([self.said])  # or the loop would still watch the channel
        self._channel.close()
        code = await asyncio.to_thread(self._process.wait)
        return signal.Signals(-code).name if code < 0 else f"exit code {code}"

    def _listen(self) -> "asyncio.Task[bytes]":
        return asyncio.create_task(self._hear(), name=f"decoder {self.pid}")

    async def _hear(self) -> bytes:
        try:
            return await asyncio.get_running_loop().sock_recv(self._channel, MAX_WORDS_BYTES)
        except ConnectionResetError as error:  # it ended with a job unread
            raise NotTakenError from error


def _start(channel_fd: int, memory_bytes: int) -> subprocess.Popen[bytes]:
    """Start the program; it hears of no signal by which a server is ended, and says nothing.

    Not by `multiprocessing`: it would load the server's own program in the child.
    """
    kept = {name: value for name, value in os.environ.items() if name.startswith(_KEPT_VARIABLES)}
    numbers = map(str, (channel_fd, os.getpid(), memory_bytes))
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _ENDING)
    try:
        return subprocess.Popen(  # noqa: S603 - this interpreter and this package
            [sys.executable, "-P", "-m", "hunique_server.decoding_worker", *numbers],
            env=kept | _ONE_THREAD,
            pass_fds=(channel_fd,),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,  # decoders may quote what is written inside of files
        )
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
