"""Pictures that are damaged, hostile or merely unusual, over the wire to a real process."""

import struct
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import grpc
import numpy as np
import pytest
from PIL import Image

from hunique_models.bundle import Bundle
from hunique_proto.inference import open_inference_pb2 as oip
from hunique_proto.inference import open_inference_pb2_grpc as oip_grpc
from hunique_proto.v1 import hand_features_pb2 as pb
from hunique_proto.v1 import hand_features_pb2_grpc as pb_grpc

LONG_S = 120.0
MIB = 2**20
UNLIMITED = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]
ORIENTATION = 0x0112
Code = grpc.StatusCode
Untimed = Callable[[pb.SegmentResponse], bytes]


class Running(NamedTuple):
    """A server process that takes images of 8 MiB and 2 megapixels."""

    stub: Any
    inference: Any
    pid: int

    def segment(self, image: bytes) -> pb.SegmentResponse:
        """One picture."""
        answer = self.stub.Segment(pb.SegmentRequest(image=image), timeout=LONG_S)
        assert isinstance(answer, pb.SegmentResponse)
        return answer

    def refusal(self, image: bytes) -> grpc.Call:
        """How one picture is refused."""
        with pytest.raises(grpc.RpcError) as refused:
            self.segment(image)
        assert isinstance(refused.value, grpc.Call)
        return refused.value

    def inference_refusal(self, image: bytes) -> None:
        """One picture is refused to a caller of the Open Inference Protocol."""
        tensor = {"name": "encoded_image", "datatype": "BYTES", "shape": [1]}
        raw = len(image).to_bytes(4, "little") + image
        with pytest.raises(grpc.RpcError):
            self.inference.ModelInfer(
                oip.ModelInferRequest(inputs=[tensor], raw_input_contents=[raw]), timeout=LONG_S
            )

    def memory_mib(self) -> float:
        """Resident memory of the server."""
        fields = Path(f"/proc/{self.pid}/statm").read_text(encoding="ascii").split()
        return int(fields[1]) * 4096 / MIB


@pytest.fixture(scope="module")
def running(
    server_process: Any, tiny_bundle: Bundle, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Running]:
    """One server for all of this file: what one test leaves behind harms the next."""
    socket = tmp_path_factory.mktemp("bad") / "h.sock"
    flags = ("--max-image-mib", "8", "--max-image-megapixels", "2")
    with (
        server_process(tiny_bundle.path, socket, *flags) as (process, address),
        grpc.insecure_channel(address, UNLIMITED) as channel,
    ):
        inference = oip_grpc.GRPCInferenceServiceStub(channel)
        yield Running(pb_grpc.HandFeaturesStub(channel), inference, process.pid)


@pytest.fixture(scope="module")
def quiet(running: Running, red_png: bytes, untimed: Untimed) -> bytes:
    """The answer to the red square on a server without other callers."""
    return untimed(running.segment(red_png))


@pytest.fixture
def among_neighbours(
    running: Running, red_png: bytes, quiet: bytes, untimed: Untimed
) -> Iterator[Running]:
    """The server with neighbours in flight, who and whose successors get their answers."""
    request = pb.SegmentRequest(image=red_png)
    neighbours = [running.stub.Segment.future(request, timeout=LONG_S) for _ in range(4)]
    yield running
    neighbours.append(running.stub.Segment.future(request, timeout=LONG_S))
    assert {untimed(neighbour.result()) for neighbour in neighbours} == {quiet}


def _png_of_size(width: int, height: int) -> bytes:
    """A PNG whose header promises a size, and whose data does not hold it."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(b"")), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        for name, data in chunks
    )


Make = Callable[[Any, np.ndarray], bytes]
NONE_OF_THESE = ("Expected an image as JPEG, PNG", "are none of these")
REFUSED: dict[str, tuple[Make, grpc.StatusCode, tuple[str, ...]]] = {
    "empty": (lambda *_: b"", Code.INVALID_ARGUMENT, ("Expected an encoded image, found 0",)),
    "garbage": (
        lambda *_: np.random.default_rng(0).bytes(5000),
        Code.INVALID_ARGUMENT,
        (*NONE_OF_THESE, "5000 bytes"),
    ),
    "text": (lambda *_: b"<svg xmlns='http://x'/>", Code.INVALID_ARGUMENT, NONE_OF_THESE),
    "format not taken": (
        lambda encode, pixels: encode(pixels, "GIF"),
        Code.INVALID_ARGUMENT,
        ("Expected an image as JPEG, PNG",),
    ),
    "truncated JPEG": (
        lambda encode, pixels: encode(pixels, "JPEG")[:-900],
        Code.INVALID_ARGUMENT,
        ("damaged or cut short", "Send the whole"),
    ),
    "truncated PNG": (
        lambda encode, pixels: encode(pixels)[:-200],
        Code.INVALID_ARGUMENT,
        ("damaged or cut short",),
    ),
    "header alone": (
        lambda encode, pixels: encode(pixels)[:20],
        Code.INVALID_ARGUMENT,
        ("image",),
    ),
    "no pixels": (lambda *_: _png_of_size(0, 10), Code.INVALID_ARGUMENT, ("image",)),
    "pixels missing": (
        lambda *_: _png_of_size(1000, 1000),
        Code.INVALID_ARGUMENT,
        ("damaged or cut short",),
    ),
    "40,000 x 40,000": (
        lambda *_: _png_of_size(40_000, 40_000),
        Code.RESOURCE_EXHAUSTED,
        ("at most 2000000 pixels", "1600000000"),
    ),
    "4,000,000,000 wide": (
        lambda *_: _png_of_size(2**31 - 1, 2**31 - 1),
        Code.RESOURCE_EXHAUSTED,
        ("pixels",),
    ),
    "too many pixels": (
        lambda encode, _: encode(Image.new("RGB", (2001, 1000))),
        Code.RESOURCE_EXHAUSTED,
        ("at most 2000000 pixels", "found 2001 x 1000"),
    ),
    "too many bytes": (
        lambda *_: bytes(8 * MIB + 1),
        Code.RESOURCE_EXHAUSTED,
        (f"at most {8 * MIB} bytes", f"found {8 * MIB + 1}"),
    ),
    "a message of 200 MB": (
        lambda *_: bytes(200_000_000),
        Code.RESOURCE_EXHAUSTED,
        ("larger than max", "2000000", f"{8 * MIB + 65536}"),
    ),
}


@pytest.fixture(scope="module")
def refused_pictures(encode: Any, red_square: np.ndarray) -> dict[str, bytes]:
    """All that is refused, made."""
    return {name: make(encode, red_square) for name, (make, *_) in REFUSED.items()}


@pytest.mark.parametrize("name", REFUSED)
def test_bad_picture_is_refused_and_harms_nobody(
    among_neighbours: Running, refused_pictures: dict[str, bytes], name: str
) -> None:
    """The sender learns what was expected and found; neighbours' answers stay the same bytes."""
    _, code, words = REFUSED[name]
    refused = among_neighbours.refusal(refused_pictures[name])
    assert refused.code() is code
    for word in words:
        assert word in refused.details()
    assert "retry-after-ms" not in dict(refused.trailing_metadata())


def _exif(orientation: int) -> Image.Exif:
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    return exif


def _grey_16_bit(encode: Any, pixels: np.ndarray) -> bytes:
    grey = np.asarray(Image.fromarray(pixels).convert("L"), np.uint16)
    return bytes(encode(Image.fromarray(grey * 257)))


def _transparent(encode: Any, pixels: np.ndarray) -> bytes:
    alpha = np.full((*pixels.shape[:2], 1), 255, np.uint8)
    alpha[:20] = 0
    return bytes(encode(np.concatenate([pixels, alpha], axis=2)))


def _animated(encode: Any, pixels: np.ndarray) -> bytes:
    others = [Image.new("RGB", (300, 200), colour) for colour in ("blue", "lime")]
    return bytes(encode(pixels, save_all=True, append_images=others))


UNUSUAL: dict[str, tuple[Make, str]] = {
    "CMYK": (lambda e, p: e(Image.fromarray(p).convert("CMYK"), "TIFF"), ""),
    "CMYK JPEG": (lambda e, p: e(Image.fromarray(p).convert("CMYK"), "JPEG", quality=95), ""),
    "alpha": (_transparent, "transparency was composed over white"),
    "palette": (lambda e, p: e(Image.fromarray(p).quantize(4)), ""),
    "animated": (_animated, "only the first of 3 frames"),
    "turned by EXIF": (lambda e, p: e(np.rot90(p).copy(), exif=_exif(6)), ""),
    "mirrored by EXIF": (lambda e, p: e(p[:, ::-1].copy(), "WEBP", lossless=True, exif=_exif(2)), ""),
}  # fmt: skip


@pytest.mark.parametrize("name", UNUSUAL)
def test_unusual_picture_is_examined_like_any_other(
    among_neighbours: Running, encode: Any, red_square: np.ndarray, name: str
) -> None:
    """Whatever the pixels' form, the tattoo is where it is on the upright picture."""
    make, remark = UNUSUAL[name]
    answer = among_neighbours.segment(make(encode, red_square))
    size = answer.provenance.upright_size
    assert (size.width, size.height) == (300, 200)
    assert answer.findings[0].status == pb.STATUS_PRESENT
    (instance,) = answer.findings[0].instances
    box = instance.box
    found = np.array([box.x_px, box.y_px, box.width_px, box.height_px])
    assert np.abs(found - (100, 60, 80, 60)).max() <= 6
    assert remark in " ".join(answer.provenance.remarks)
    assert bool(remark) == bool(answer.provenance.remarks)


def test_deep_picture_is_scaled_to_eight_bits(
    among_neighbours: Running, encode: Any, red_square: np.ndarray
) -> None:
    """16-bit grey is examined as grey, not as white, and the answer says what was done."""
    answer = among_neighbours.segment(_grey_16_bit(encode, red_square))
    assert {f.status for f in answer.findings} == {pb.STATUS_ABSENT}
    assert list(answer.provenance.remarks) == ["values of more than 8 bits were scaled to 8 bits"]


@pytest.mark.parametrize("way", ["refusal", "inference_refusal"])
def test_refusals_leave_no_memory_behind(
    running: Running, refused_pictures: dict[str, bytes], way: str
) -> None:
    """After hundreds of MiB of refused pictures the server has not kept a fifth of them."""
    refuse = getattr(running, way)
    large = (refused_pictures["too many bytes"], bytes(8 * MIB - 1))
    for image in (*refused_pictures.values(), *large * 3):
        refuse(image)
    before_mib = running.memory_mib()
    for image in (*refused_pictures.values(), *large * 20):
        refuse(image)
    assert running.memory_mib() < before_mib + 64
