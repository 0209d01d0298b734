"""The command `hunique-server`, mostly as a process of its own."""

import json
import os
import queue
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click
import grpc
import pytest
from click.testing import CliRunner
from repository_writing import Shelf

from hunique_models.bundle import Bundle, default_bundle_path
from hunique_proto.inference import open_inference_pb2 as oip
from hunique_proto.inference import open_inference_pb2_grpc as oip_grpc
from hunique_proto.v1 import hand_features_pb2 as pb
from hunique_proto.v1 import hand_features_pb2_grpc as pb_grpc
from hunique_server import cli
from hunique_server.config import ServerConfig
from hunique_server.service import SERVICE_NAME

LONG_S = 120.0
SEGMENT = f"/{SERVICE_NAME}/Segment"
OPTIONS = [p for p in cli.main.params if isinstance(p, click.Option) and p.name != "version"]


@pytest.fixture
def configured(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Run the command with arguments and variables; gives what it would have served, and says."""

    def run(*arguments: str, **variables: str) -> tuple[ServerConfig | None, click.testing.Result]:
        seen: list[ServerConfig] = []

        async def serve(config: ServerConfig) -> None:
            seen.append(config)

        monkeypatch.setattr(cli, "serve", serve)
        result = CliRunner().invoke(
            cli.main, arguments, env={f"HUNIQUE_SERVER_{k}": v for k, v in variables.items()}
        )
        return (seen[0] if seen else None), result

    return run


def test_help_names_every_flag_and_its_variable() -> None:
    """The help is the reference: each flag with its variable and how to choose its value."""
    text = " ".join(CliRunner().invoke(cli.main, ["--help"], terminal_width=200).output.split())
    assert len(OPTIONS) >= 15
    for option in OPTIONS:
        assert option.help
        assert option.opts[0] in text
        variable = f"HUNIQUE_SERVER_{option.opts[0].removeprefix('--').upper().replace('-', '_')}"
        assert f"env var: {variable};" in text or f"env var: {variable}]" in text


CHOICES = {
    "BUNDLE": ("folder", "bundles", (Path("folder"),)),
    "MODEL_REPOSITORY": (".", "model_repository", Path()),
    "LISTEN": ("127.0.0.1:1 unix:/run/h.sock", "listen", ("127.0.0.1:1", "unix:/run/h.sock")),
    "ADMIN_LISTEN": ("127.0.0.1:2", "admin_listen", "127.0.0.1:2"),
    "DEVICE": ("cuda:1", "device", "cuda:1"),
    "THREADS": ("3", "threads", 3),
    "WORKERS": ("5", "workers", 5),
    "DECODERS": ("processes", "decoder_processes", True),
    "DECODE_TIMEOUT_S": ("2.5", "decode_timeout_s", 2.5),
    "MAX_BATCH": ("6", "max_batch", 6),
    "MAX_QUEUE_ITEMS": ("7", "max_queue_items", 7),
    "MAX_QUEUE_MIB": ("100", "max_queue_bytes", 100 * 2**20),
    "MAX_IMAGE_MIB": ("9", "max_image_bytes", 9 * 2**20),
    "MAX_IMAGE_MEGAPIXELS": ("10", "max_image_pixels", 10_000_000),
    "DRAIN_S": ("1.5", "drain_s", 1.5),
    "EXIT_WITH_PARENT": ("1", "exit_with_parent", True),
}


@pytest.mark.parametrize("variable", CHOICES)
def test_variable_and_flag_do_the_same(configured: Any, variable: str) -> None:
    """Every flag can be given as a variable, and the flag wins over it."""
    value, field, expected = CHOICES[variable]
    config, result = configured(**{variable: value})
    assert config is not None, result.output
    assert getattr(config, field) == expected
    flag = f"--{variable.lower().replace('_', '-')}"
    arguments = [f"{flag}={part}" for part in value.split()]
    if variable == "EXIT_WITH_PARENT":
        arguments = [flag]
    other = {"LISTEN": "127.0.0.1:9", "BUNDLE": "other", "EXIT_WITH_PARENT": "0"}
    config, result = configured(*arguments, **{variable: other.get(variable, "127.0.0.1:77")})
    assert config is not None, result.output
    assert getattr(config, field) == expected


def test_models_are_those_that_are_named(configured: Any, tmp_path: Path) -> None:
    """The bundled one where none is; several in their order; a repository in its place."""
    folders = (Path("a"), Path("b"))
    for arguments, variables, bundles in (
        ((), {}, (default_bundle_path(),)),
        (("--bundle", "a", "--bundle", "b"), {}, folders),
        ((), {"BUNDLE": os.pathsep.join(map(str, folders))}, folders),
        (("--model-repository", str(tmp_path)), {}, ()),
        (("--model-repository", str(tmp_path), "--bundle", "a"), {}, folders[:1]),
    ):
        config, result = configured(*arguments, **variables)
        assert config is not None, result.output
        assert config.bundles == bundles
    flags = ("--model-repository", str(tmp_path))
    for config, _ in (
        configured(*flags, "--load", "a", "--load", "b:1.0.0"),
        configured(*flags, LOAD="a b:1.0.0"),
    ):
        assert config.load == ("a", "b:1.0.0")


@pytest.mark.parametrize("arguments", [(), ("--workers", "auto"), ("--workers", "0")])
def test_workers_go_by_the_load_unless_told(configured: Any, arguments: tuple[str, ...]) -> None:
    """Not chosen, or chosen as auto, workers are the server's own choice."""
    config, result = configured(*arguments, "--threads", "6")
    assert config is not None, result.output
    assert (config.workers, config.threads, config.decoders) == (0, 6, 6)


@pytest.mark.parametrize(("arguments", "variables"), [
    (["--admin-listen", ""], {}),
    (["--admin-listen", "none"], {}),
    ([], {"ADMIN_LISTEN": "none"}),
])  # fmt: skip
def test_admin_port_can_be_left_out(
    configured: Any, arguments: list[str], variables: dict[str, str]
) -> None:
    """Flag and variable can both say that there is none."""
    config, _ = configured(*arguments, **variables)
    assert config.admin_listen == ""


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--listen", "50051"], "expected HOST:PORT or unix:PATH, found '50051'"),
        (["--admin-listen", "unix:/run/a"], "expected HOST:PORT, found 'unix:/run/a'"),
        (["--max-image-mib", "600"], "of --max-image-mib: expected 600 or more, found 512"),
        (["--max-batch", "0"], "--max-batch"),
        (["--load", "a"], "--load names models of a repository"),
        (["--model-repository", "/nowhere"], "expected a folder of bundles, found none at"),
        (["--workers", "some"], "--workers"),
    ],
)
def test_value_that_cannot_work_is_explained(
    configured: Any, arguments: list[str], said: str
) -> None:
    """A wrong value ends the command with a sentence, not with a trace."""
    config, result = configured(*arguments)
    assert config is None
    assert result.exit_code in (1, 2)
    assert said in result.output
    assert "Traceback" not in result.output


def _refused(*arguments: str) -> str:
    ran = subprocess.run(
        [sys.executable, "-m", "hunique_server", "--admin-listen", "", *arguments],
        capture_output=True, text=True, timeout=LONG_S, check=False,
    )  # fmt: skip
    assert ran.returncode == 1, ran.stderr
    assert "Traceback" not in ran.stderr
    return ran.stderr


@pytest.mark.skipif(Path("/proc/driver/nvidia").exists(), reason="a GPU is here")
@pytest.mark.parametrize("device", ["cuda", "tensorrt", "native-tensorrt", "tpu"])
def test_device_that_is_not_there_is_an_error(tiny_bundle: Bundle, device: str) -> None:
    """The server ends with a clear sentence; it never serves from the CPU instead."""
    said = _refused("--bundle", str(tiny_bundle.path), "--device", device, "--listen", "[::1]:0")
    assert "ready" not in said
    assert {"cuda": "CUDA", "tensorrt": "Tensorrt", "native-tensorrt": "TensorRT"}.get(
        device, "'tpu'"
    ) in said


def test_bundle_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    """The message names the folder and what makes one."""
    said = _refused("--bundle", str(tmp_path / "none"))
    assert str(tmp_path / "none") in said
    assert "hunique-export" in said


def _segment(address: str, image: bytes) -> pb.SegmentResponse:
    with grpc.insecure_channel(address) as channel:
        answer = pb_grpc.HandFeaturesStub(channel).Segment(
            pb.SegmentRequest(image=image), timeout=LONG_S
        )
    assert isinstance(answer, pb.SegmentResponse)
    return answer


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signal_drains_and_ends_well(
    server_process: Any, tiny_bundle: Bundle, red_png: bytes, tmp_path: Path, number: int
) -> None:
    """A process on a Unix socket answers; asked to end it says so, exits 0, and leaves nothing."""
    path = tmp_path / "h.sock"
    with server_process(tiny_bundle.path, path, "--log-format", "json") as (process, address):
        assert _segment(address, red_png).findings
        process.send_signal(number)
        said = process.stderr.read()
        assert process.wait(LONG_S) == 0
    lines = [json.loads(line)["message"] for line in said.splitlines()]
    assert lines == ["draining for at most 20 s", "hunique-server ended"]
    assert not path.exists()


@pytest.mark.parametrize("ways", ["stdin", "stdin and signal", "signal"])
def test_private_server_ends_with_its_parent(
    server_process: Any, tiny_bundle: Bundle, tmp_path: Path, ways: str
) -> None:
    """When the parent ends, or ends it, or both at once, it drains and exits 0."""
    with server_process(tiny_bundle.path, tmp_path / "h.sock", "--exit-with-parent") as (
        process,
        _,
    ):
        if "stdin" in ways:
            process.stdin.close()
            process.stdin = None
        if "signal" in ways:
            process.send_signal(signal.SIGTERM)
        said = process.stderr.read()
        assert process.wait(LONG_S) == 0, said
    assert "hunique-server ended" in said
    assert not (tmp_path / "h.sock").exists()


def test_server_outlives_a_standard_input_that_closes(
    server_process: Any, tiny_bundle: Bundle, red_png: bytes, tmp_path: Path
) -> None:
    """A server that nobody called private serves on when standard input closes."""
    with server_process(tiny_bundle.path, tmp_path / "h.sock") as (process, address):
        process.stdin.close()
        process.stdin = None
        assert _segment(address, red_png).findings
        assert process.poll() is None


def test_second_signal_ends_at_once(
    server_process: Any, tiny_bundle: Bundle, tmp_path: Path
) -> None:
    """Who cannot wait for the drain signals again: the process ends without it, and not with 0."""
    unsent: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
    flags = ("--drain-s", "600")
    with (
        server_process(tiny_bundle.path, tmp_path / "h.sock", *flags) as (process, address),
        grpc.insecure_channel(address) as channel,
    ):
        channel.stream_unary(SEGMENT).future(iter(unsent.get, None))  # never sends its message
        # one that is answered after it: the server knows of both
        assert pb_grpc.HandFeaturesStub(channel).DescribeModel(pb.DescribeModelRequest())
        process.send_signal(signal.SIGTERM)
        assert "draining" in process.stderr.readline()
        process.send_signal(signal.SIGTERM)
        assert process.wait(LONG_S) == 1
        unsent.put(None)


LOADS_FOR_EVER = """
import sys, threading
from hunique_server import lifecycle, repository
from hunique_server.cli import main

prove, firsts = repository.prove_all, iter(range(int(sys.argv.pop(1))))

def hold(*arguments):
    for _ in firsts:
        return prove(*arguments)
    print("loading", flush=True)
    threading.Event().wait()

repository.prove_all, lifecycle._AFTER_DRAIN_S = hold, 0.1
main()
"""


@contextmanager
def _loading_for_ever(socket: Path, loads_before: int, *flags: str) -> Iterator[Any]:
    """A server that loads so many times, then says so and never ends loading."""
    command = [sys.executable, "-c", LOADS_FOR_EVER, str(loads_before), *flags]
    command += ["--listen", f"unix:{socket}", "--admin-listen", "none", "--threads", "1"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            yield process
        finally:
            process.kill()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_server_that_is_still_loading_ends_when_it_is_told(
    tiny_bundle: Bundle, tmp_path: Path, number: int
) -> None:
    """Nothing is served yet, so nothing has to be waited for, however long a model takes."""
    flags = ("--bundle", str(tiny_bundle.path))
    with _loading_for_ever(tmp_path / "h.sock", 0, *flags) as process:
        assert process.stdout.readline() == "loading\n"
        process.send_signal(number)
        _, said = process.communicate(timeout=LONG_S)
    assert process.returncode == 0
    assert "ended before it was ready" in said


def test_load_that_does_not_end_does_not_keep_a_server(shelf: Shelf, tmp_path: Path) -> None:
    """What an administrator asked for is waited for a little, once all calls are done with."""
    shelf.add("hands", "1.0.0")
    socket, flags = tmp_path / "h.sock", ("--model-repository", str(shelf.path), "--drain-s", "0")
    with (
        _loading_for_ever(socket, 1, *flags) as process,
        grpc.insecure_channel(f"unix:{socket}") as channel,
    ):
        assert "ready on" in process.stderr.readline()
        shelf.add("hands", "2.0.0")
        load = oip_grpc.GRPCInferenceServiceStub(channel).RepositoryModelLoad.future(
            oip.RepositoryModelLoadRequest(model_name="hands"), timeout=LONG_S
        )
        assert process.stdout.readline() == "loading\n"
        process.send_signal(signal.SIGTERM)
        assert load.code() in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED)
        _, said = process.communicate(timeout=LONG_S)
    assert process.returncode == 0
    assert "the loading of a model, is not waited for" in said
