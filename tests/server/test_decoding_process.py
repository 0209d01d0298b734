"""One decoder process: what it loads, what it hears of, what it may take, and how it ends."""

import asyncio
import json
import os
import resource
import select
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hunique_models.bundle import Bundle
from hunique_models.errors import ImageTooLargeError
from hunique_models.geometry import Detail, Geometry
from hunique_models.image import DecodeLimits, Picture
from hunique_models.pipeline import Pipeline

if sys.platform != "linux":
    pytest.skip("decoder processes are there on Linux only", allow_module_level=True)

from hunique_server import decoding_process
from hunique_server.caller import NOBODY
from hunique_server.config import ConfigError
from hunique_server.decoding_job import DecodeJob, NonsenseError, read_answer
from hunique_server.decoding_memory import PictureMemory
from hunique_server.decoding_pool import ProcessDecoders
from hunique_server.decoding_process import DecoderProcess
from hunique_server.metrics import Metrics

LONG_S = 120.0
MIB = 2**20
HEAVY = ("grpc", "onnxruntime", "torch", "jsonschema", "pycocotools", "click", "asyncio")


def _job(image: bytes) -> DecodeJob:
    geometry = Geometry(input_size_px=64, output_stride_px=4)
    return DecodeJob(
        size_bytes=len(image), limits=DecodeLimits(), geometry=geometry, detail=Detail.STANDARD
    )


async def _decode(process: DecoderProcess, image: bytes) -> Picture:
    memory, job = PictureMemory(image), _job(image)
    try:
        words = await process.ask(job.write(), memory, LONG_S)
        return read_answer(words, job, memory)[0]
    finally:
        memory.close()


def test_decoder_loads_what_decodes_and_nothing_else() -> None:
    """Each core pays for one; a server's libraries would double that."""
    program = (
        "import json, sys, hunique_server.decoding_worker;"
        "print(json.dumps([name for name in sys.argv[1:] if name in sys.modules]))"
    )
    said = subprocess.run(
        [sys.executable, "-c", program, *HEAVY, "cv2"], capture_output=True, check=True
    )
    assert json.loads(said.stdout) == ["cv2"]


async def test_signals_that_end_a_server_do_not_end_its_decoders(red_png: bytes) -> None:
    """Ctrl-C and a service manager reach them too, and the drain still needs them."""
    process = await DecoderProcess.start(1024 * MIB)
    try:
        os.kill(process.pid, signal.SIGINT)
        os.kill(process.pid, signal.SIGTERM)
        assert (await _decode(process, red_png)).width_px == 300
    finally:
        assert await process.end() == "SIGKILL"


async def test_picture_that_takes_too_much_memory_is_refused(encode: Any, red_png: bytes) -> None:
    """The decoder says so and goes on, and the machine keeps its memory."""
    large = encode(np.zeros((4000, 6000, 3), np.uint8))
    process = await DecoderProcess.start(64 * MIB)
    try:
        with pytest.raises(ImageTooLargeError, match="more memory than there is"):
            await _decode(process, large)
        assert (await _decode(process, red_png)).height_px == 200
    finally:
        await process.end()


async def test_decoder_is_the_first_to_go_where_memory_runs_out() -> None:
    """Rather than its server."""
    process = await DecoderProcess.start(1024 * MIB)
    try:
        score = Path(f"/proc/{process.pid}/oom_score_adj")
        assert score.read_text(encoding="ascii").strip() == "1000"
    finally:
        await process.end()


async def test_crash_writes_no_picture_to_the_disk(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Also where cores are kept: one would hold what was being decoded."""
    monkeypatch.chdir(tmp_path)
    soft, hard = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (hard, hard))
    try:
        process = await DecoderProcess.start(1024 * MIB)
        os.kill(process.pid, signal.SIGSEGV)
        assert await asyncio.wait_for(process.said, LONG_S) == b""
        assert await process.end() == "SIGSEGV"
    finally:
        resource.setrlimit(resource.RLIMIT_CORE, (soft, hard))
    assert list(tmp_path.iterdir()) == []


async def test_decoder_knows_no_secret_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tokens and headers that a server was given are not for what reads strangers' files."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "authorization=secret")
    process = await DecoderProcess.start(1024 * MIB)
    try:
        variables = Path(f"/proc/{process.pid}/environ").read_bytes()
        assert b"PATH=" in variables
        assert b"secret" not in variables
    finally:
        await process.end()


async def test_end_leaves_no_zombie_and_may_be_repeated() -> None:
    """Its number is free, and the channel is closed."""
    process = await DecoderProcess.start(1024 * MIB)
    open_before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - counts itself both times
    assert await process.end() == "SIGKILL"
    assert await process.end() == "SIGKILL"
    assert not Path(f"/proc/{process.pid}").exists()
    assert len(os.listdir("/proc/self/fd")) == open_before - 1  # noqa: PTH208


async def test_decoder_that_does_not_start_is_an_error_that_says_how(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A server that could decode nothing does not begin to serve."""
    broken = tmp_path / "python"
    broken.write_text("#!/bin/sh\nexit 7\n", encoding="ascii")
    broken.chmod(0o700)
    monkeypatch.setattr(decoding_process.sys, "executable", str(broken))
    with pytest.raises(ConfigError, match=r"ended at its start \(exit code 7\)"):
        await DecoderProcess.start(1024 * MIB)


async def test_pool_that_ends_as_it_has_started_leaves_nothing() -> None:
    """As where the model behind it does not open."""
    pool = ProcessDecoders(2, DecodeLimits(), LONG_S, Metrics())
    await pool.start()
    pids = [process.pid for process in pool._processes]
    await pool.close()
    assert len(pids) == 2
    assert not any(Path(f"/proc/{pid}").exists() for pid in pids)


def test_number_that_no_picture_has_is_nonsense() -> None:
    """JSON knows Infinity; Python's numbers do not all fit."""
    memory = PictureMemory(b"x")
    with pytest.raises(NonsenseError):
        read_answer(b'{"shape": [Infinity, 1]}', _job(b"x"), memory)
    memory.close()


async def test_picture_for_a_decoder_that_has_just_ended_is_not_lost(
    tiny_bundle: Bundle, red_png: bytes
) -> None:
    """It was not the picture's fault, and another decoder takes it."""
    pool = ProcessDecoders(1, DecodeLimits(), LONG_S, Metrics())
    await pool.start()
    try:
        (process,) = pool._processes
        ended = os.pidfd_open(process.pid)
        os.kill(process.pid, signal.SIGKILL)
        assert select.select([ended], [], [], LONG_S)[0]  # and nobody else has heard of it
        os.close(ended)
        prepared = await pool.prepare(
            red_png, Pipeline(tiny_bundle.manifest), Detail.STANDARD, NOBODY, lambda _: None
        )
        assert prepared.picture.width_px == 300
    finally:
        await pool.close()
