"""Nonsense of every kind, over the wire, to a server that runs: it answers, and goes on.

200 examples a test; HUNIQUE_FUZZ_EXAMPLES asks for more, as in
`HUNIQUE_FUZZ_EXAMPLES=20000 make test ARGS=tests/server/test_fuzz.py`.
"""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from hunique_models.bundle import Bundle
from hunique_proto.inference import open_inference_pb2 as oip
from hunique_proto.v1 import hand_features_pb2 as pb

LONG_S = 120.0
EXAMPLES = int(os.environ.get("HUNIQUE_FUZZ_EXAMPLES", "200"))
LIMITS = settings(
    max_examples=EXAMPLES,
    deadline=None,
    database=None,
    derandomize=EXAMPLES == 200,
    phases=(Phase.explicit, Phase.generate, Phase.shrink),
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
HAND, OIP = "/hunique.v1.HandFeatures/", "/inference.GRPCInferenceService/"
UNARY = (
    f"{HAND}Segment", f"{HAND}DescribeModel", f"{OIP}ModelInfer", f"{OIP}ModelMetadata",
    f"{OIP}ModelReady", f"{OIP}ModelConfig", f"{OIP}ModelStatistics", f"{OIP}RepositoryIndex", f"{OIP}RepositoryModelLoad",
    "/grpc.health.v1.Health/Check",
)  # fmt: skip
STREAMS = (f"{HAND}SegmentStream", f"{OIP}ModelStreamInfer")
FAULTS = {
    grpc.StatusCode.UNAVAILABLE,
    grpc.StatusCode.DEADLINE_EXCEEDED,
    grpc.StatusCode.UNKNOWN,
    grpc.StatusCode.INTERNAL,
}
OURS = "The server failed on this picture"
"""What a caller is told of an error that nobody thought of; fuzzing looks for those."""
GROWTH_KIB = 64 * 1024
"""Memory that may stay, whatever was sent: pools and caches, not pictures."""


class Target:
    """A server process and a channel to it."""

    def __init__(self, pid: int, channel: grpc.Channel, clean: bytes) -> None:
        self._pid = pid
        self._channel = channel
        self._clean = pb.SegmentRequest(image=clean, request_id="c").SerializeToString()

    def call(self, method: str, data: bytes) -> tuple[grpc.StatusCode, str]:
        """Send bytes as they are; code and text of the answer."""
        try:
            self._channel.unary_unary(method)(data, timeout=LONG_S)
        except grpc.RpcError as error:
            return error.code(), error.details() or ""
        return grpc.StatusCode.OK, ""

    def stream(
        self, method: str, messages: list[bytes]
    ) -> tuple[grpc.StatusCode, str, list[bytes]]:
        """The same for a stream; also what was answered before it ended."""
        answers: list[bytes] = []
        try:
            answers += self._channel.stream_stream(method)(iter(messages), timeout=LONG_S)
        except grpc.RpcError as error:
            return error.code(), error.details() or "", answers
        return grpc.StatusCode.OK, "", answers

    def check(self, code: grpc.StatusCode, details: str) -> None:
        """An answer that is no fault of the server's, and then a clean request is answered."""
        assert code not in FAULTS, details
        assert OURS not in details
        code, details = self.call(f"{HAND}Segment", self._clean)
        assert code is grpc.StatusCode.OK, details

    def rss_kib(self) -> int:
        """Memory that it holds."""
        status = Path(f"/proc/{self._pid}/status").read_text(encoding="ascii")
        return int(status.partition("VmRSS:")[2].split()[0])


@pytest.fixture(scope="module")
def target(
    server_process: Any,
    tiny_bundle: Bundle,
    tmp_path_factory: pytest.TempPathFactory,
    small_png: bytes,
) -> Iterator[Target]:
    """A server with small limits; it must be the same process, no larger, at the end."""
    flags = ("--max-image-mib", "2", "--max-image-megapixels", "2", "--log-level", "info")
    socket = tmp_path_factory.mktemp("fuzz") / "h.sock"
    with (
        server_process(tiny_bundle.path, socket, *flags) as (process, address),
        grpc.insecure_channel(address) as channel,
    ):
        found = Target(process.pid, channel, small_png)
        yield found
        assert process.poll() is None


@pytest.fixture(scope="module")
def files(encode: Any) -> list[bytes]:
    """A small picture in every format."""
    pixels = np.arange(24 * 40 * 3, dtype=np.uint32).reshape(24, 40, 3).astype(np.uint8)
    plain = [encode(pixels, form) for form in ("PNG", "JPEG", "WEBP", "TIFF", "BMP")]
    compressed = encode(pixels, "TIFF", compression="tiff_lzw")
    return [*plain, compressed, encode(pixels, "JPEG", progressive=True)]


def _damage(file: bytes, changes: list[tuple[int, int]], cut: int, tail: bytes) -> bytes:
    """A file with bytes changed, cut short, and something behind it."""
    data = bytearray(file)
    for at, value in changes:
        data[at % len(data)] = value
    return bytes(data[: len(data) - cut % len(data)]) + tail


CHANGES = st.lists(st.tuples(st.integers(0, 400), st.integers(0, 255)), max_size=12)


@LIMITS
@given(data=st.data())
def test_damaged_pictures_are_answered(target: Target, files: list[bytes], data: Any) -> None:
    """Whatever a file became, it is examined or refused, and the next one is examined."""
    file = data.draw(st.sampled_from(files))
    cut = data.draw(st.just(0) | st.integers(0, 2_000))
    image = _damage(file, data.draw(CHANGES), cut, data.draw(st.binary(max_size=20)))
    target.check(*target.call(f"{HAND}Segment", pb.SegmentRequest(image=image).SerializeToString()))


TEXT = st.text(max_size=300)
SEGMENT = st.builds(
    pb.SegmentRequest,
    image=st.binary(max_size=200),
    request_id=TEXT,
    classes=st.lists(st.sampled_from(["ring", "tattoo", ""]) | TEXT, max_size=4),
    outputs=st.lists(st.integers(-(2**31), 2**31 - 1) | st.integers(0, 6), max_size=6),
    detail=st.integers(-(2**31), 2**31 - 1) | st.integers(0, 4),
)


@st.composite
def infer_requests(draw: Callable[..., Any]) -> oip.ModelInferRequest:
    """Requests of the Open Inference Protocol, some nearly right."""
    request = oip.ModelInferRequest(
        model_name=draw(st.sampled_from(["tiny", "default", ""]) | TEXT),
        model_version=draw(st.sampled_from(["", "1.2.3"]) | TEXT),
        id=draw(TEXT),
    )
    size = st.integers(-2, 3) | st.integers(-(2**63), 2**63 - 1) | st.just(64)
    for _ in range(draw(st.integers(0, 2))):
        tensor = request.inputs.add(
            name=draw(st.sampled_from(["image", "encoded_image"]) | TEXT),
            datatype=draw(st.sampled_from(["UINT8", "BYTES", "FP32"]) | TEXT),
            shape=draw(st.lists(size, max_size=5) | st.just([1, 64, 64, 3]) | st.just([1])),
        )
        tensor.contents.bytes_contents.extend(draw(st.lists(st.binary(max_size=50), max_size=3)))
        tensor.contents.uint_contents.extend(draw(st.lists(st.integers(0, 2**32 - 1), max_size=9)))
    raw = st.binary(max_size=60) | st.just(bytes(64 * 64 * 3))
    request.raw_input_contents.extend(draw(st.lists(raw, max_size=2)))
    for name in draw(
        st.lists(st.sampled_from(["findings", "labels", "masks", "score"]) | TEXT, max_size=4)
    ):
        request.outputs.add(name=name)
    for name in draw(
        st.lists(st.sampled_from(["classes", "detail", "timeout"]) | TEXT, max_size=3)
    ):
        request.parameters[name].string_param = draw(TEXT)
    if draw(st.booleans()):
        request.parameters["timeout"].int64_param = draw(st.integers(-(2**63), 2**63 - 1))
    return request


@LIMITS
@given(data=st.data())
def test_senseless_wishes_are_answered(target: Target, data: Any) -> None:
    """Well-formed messages with senseless fields, in both services."""
    if data.draw(st.booleans()):
        request: Any = data.draw(SEGMENT)
        target.check(*target.call(f"{HAND}Segment", request.SerializeToString()))
    else:
        request = data.draw(infer_requests())
        target.check(*target.call(f"{OIP}ModelInfer", request.SerializeToString()))


@LIMITS
@given(method=st.sampled_from(UNARY), message=st.binary(max_size=300))
def test_bytes_that_are_no_message_are_answered(
    target: Target, method: str, message: bytes
) -> None:
    """Every method survives what cannot be read."""
    target.check(*target.call(method, message))


@settings(LIMITS, max_examples=max(1, EXAMPLES // 4))
@given(data=st.data())
def test_streams_of_nonsense_are_answered(target: Target, files: list[bytes], data: Any) -> None:
    """A stream with everything mixed ends, and with it nothing else."""
    method = data.draw(st.sampled_from(STREAMS))
    request = SEGMENT if method.startswith(HAND) else infer_requests()
    good = st.sampled_from(files).map(lambda f: pb.SegmentRequest(image=f, request_id="g"))
    messages = data.draw(
        st.lists(
            st.one_of(
                st.binary(max_size=100),
                request.map(lambda r: r.SerializeToString()),
                good.map(lambda r: r.SerializeToString()),
            ),
            max_size=8,
        )
    )
    code, details, answers = target.stream(method, messages)
    assert len(answers) <= len(messages)
    for answer in answers if method.startswith(HAND) else ():
        error = pb.SegmentStreamResponse.FromString(answer).error
        assert OURS not in error.message
    target.check(code, details)


def test_memory_returns(target: Target, files: list[bytes]) -> None:
    """Two rounds of the largest nonsense that is let in cost no more than one."""
    rng = np.random.default_rng(7)
    noise = [rng.bytes(1_500_000) for _ in range(4)]

    def send_all() -> int:
        for _ in range(6):
            for data in (*noise, *(file + noise[0] for file in files)):
                request = pb.SegmentRequest(image=data).SerializeToString()
                target.check(*target.call(f"{HAND}Segment", request))
        return target.rss_kib()

    first = send_all()
    assert send_all() - first < GROWTH_KIB
