"""What tests everywhere share: a real, tiny bundle that needs no training."""

import dataclasses
import datetime
import ipaddress
import os
import shutil
from pathlib import Path

import numpy as np
import onnx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from onnx import TensorProto, helper, numpy_helper

from hunique_models.bundle import Bundle, write_bundle
from hunique_models.engine import open_engine
from hunique_models.feature_classes import FEATURE_CLASSES
from hunique_models.geometry import Geometry
from hunique_models.known_answer import record_known_answer
from hunique_models.manifest import ClassSpec, Manifest

os.environ["ORT_DISABLE_TELEMETRY"] = "1"  # for tests that load ONNX Runtime by themselves
TINY_SIZE_PX = 64
REPOSITORY = Path(__file__).resolve().parents[1]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip tests marked `gpu` where there is no NVIDIA driver."""
    if Path("/proc/driver/nvidia").exists() or shutil.which("nvidia-smi"):
        return
    for item in items:
        if item.get_closest_marker("gpu"):
            item.add_marker(pytest.mark.skip(reason="no NVIDIA GPU here"))


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of photographs and reference vectors; skips where it is not at hand."""
    folder = Path(os.environ.get("HUNIQUE_SHARED", REPOSITORY.parent / "shared"))
    if not (folder / "data").is_dir():
        pytest.skip(f"photographs and reference vectors are not at hand ({folder.name} is absent)")
    return folder


def tiny_graph(*, hand_plane: bool = False) -> bytes:
    """A graph in which tattoo is where red rules, ring where green, lunule where blue.

    A hand is where cyan is, on its last plane, if it has one.
    """
    planes = 4 + hand_plane
    weight = np.zeros((planes, 3, 1, 1), np.float32)
    for index in range(3):
        weight[index, :, 0, 0] = -1.0
        weight[index, index, 0, 0] = 1.0
    if hand_plane:
        weight[4, :, 0, 0] = (-1.0, 0.5, 0.5)
    nodes = [
        helper.make_node("Cast", ["image"], ["float"], to=TensorProto.FLOAT),
        helper.make_node("Transpose", ["float"], ["nchw"], perm=[0, 3, 1, 2]),
        helper.make_node("AveragePool", ["nchw"], ["small"], kernel_shape=[4, 4], strides=[4, 4]),
        helper.make_node("Conv", ["small", "weight"], ["excess"]),
        helper.make_node("Clip", ["excess", "zero", "full"], ["clipped"]),
        helper.make_node("Round", ["clipped"], ["rounded"]),
        helper.make_node("Cast", ["rounded"], ["probability"], to=TensorProto.UINT8),
        helper.make_node("Slice", ["rounded", "first", "last", "planes"], ["of_classes"]),
        helper.make_node("ReduceMax", ["of_classes", "sides"], ["strongest"], keepdims=0),
        helper.make_node("Div", ["strongest", "full"], ["score"]),
    ]
    constants = [
        numpy_helper.from_array(weight, "weight"),
        numpy_helper.from_array(np.array(0, np.float32), "zero"),
        numpy_helper.from_array(np.array(255, np.float32), "full"),
        numpy_helper.from_array(np.array([2, 3], np.int64), "sides"),
        numpy_helper.from_array(np.array([0], np.int64), "first"),
        numpy_helper.from_array(np.array([4], np.int64), "last"),
        numpy_helper.from_array(np.array([1], np.int64), "planes"),
    ]
    size, side = TINY_SIZE_PX, TINY_SIZE_PX // 4
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info("image", TensorProto.UINT8, ["N", size, size, 3])],
        [
            helper.make_tensor_value_info(
                "probability", TensorProto.UINT8, ["N", planes, side, side]
            ),
            helper.make_tensor_value_info("score", TensorProto.FLOAT, ["N", 4]),
        ],
        constants,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    onnx.checker.check_model(model, full_check=True)
    return bytes(model.SerializeToString())


def tiny_manifest() -> Manifest:
    """The manifest of the tiny graph."""
    return Manifest(
        name="tiny",
        version="1.2.3",
        created_utc="2026-01-01T00:00:00Z",
        licence="Apache-2.0",
        intended_use="Tests.",
        training_data_statement="Learned from nothing: a colour rule.",
        geometry=Geometry(input_size_px=TINY_SIZE_PX, output_stride_px=4),
        classes=tuple(
            ClassSpec(
                name=known.name,
                definition=known.definition,
                colour=known.colour,
                presence_threshold=0.5,
                pixel_threshold=0.5,
                obscured_by=known.obscured_by,
            )
            for known in FEATURE_CLASSES
        ),
    )


@pytest.fixture(scope="session")
def hand_finding_bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """The same with a hand plane, so that it looks closer at what is cyan."""
    folder, manifest = tmp_path_factory.mktemp("bundle"), tiny_manifest()
    geometry = dataclasses.replace(manifest.geometry, hand_plane=True)
    manifest = dataclasses.replace(manifest, geometry=geometry)
    return write_bundle(folder / "handed", manifest, {"model.onnx": tiny_graph(hand_plane=True)})


@pytest.fixture(scope="session")
def mark_on_a_small_hand() -> np.ndarray:
    """(480, 640, 3): grey, a cyan hand of 80 px, on it a red mark of 16 px at x 440, y 130."""
    pixels = np.full((480, 640, 3), 128, np.uint8)
    pixels[100:180, 400:480] = (0, 255, 255)
    pixels[130:146, 440:456] = (255, 0, 0)
    return pixels


@pytest.fixture(scope="session")
def tiny_bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """A real bundle, served by the real engine, that follows a colour rule."""
    folder = tmp_path_factory.mktemp("bundle")
    trial = write_bundle(folder / "trial", tiny_manifest(), {"model.onnx": tiny_graph()})
    engine = open_engine(trial)
    manifest = dataclasses.replace(
        tiny_manifest(), known_answer=record_known_answer(tiny_manifest(), engine)
    )
    engine.close()
    return write_bundle(folder / "tiny", manifest, {"model.onnx": tiny_graph()})


@pytest.fixture(scope="session")
def red_square() -> np.ndarray:
    """A grey picture (200, 300, 3) with a red square at x 100 to 179, y 60 to 119."""
    pixels = np.full((200, 300, 3), 128, np.uint8)
    pixels[60:120, 100:180] = (255, 0, 0)
    return pixels


class Authority:
    """Signs certificates for this machine, and writes them down."""

    def __init__(self, folder: Path, name: str = "authority") -> None:
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        self.file = folder / f"{name}.pem"
        """Its own certificate."""
        certificate = self._sign(self._name, self._key, is_authority=True)
        self.file.write_bytes(certificate.public_bytes(Encoding.PEM))

    def issue(self, common_name: str, stem: str = "") -> tuple[Path, Path]:
        """Certificate and key of somebody at localhost; over those of the same stem, if any."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
        cert_file = self._folder / f"{stem or common_name}.crt"
        key_file = cert_file.with_suffix(".key")
        cert_file.write_bytes(self._sign(subject, key).public_bytes(Encoding.PEM))
        key_file.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        return cert_file, key_file

    def revoke(
        self, *certificates: Path, next_update_days: int = 1, in_the_name_of: str = ""
    ) -> Path:
        """Write the list of certificates that it takes back."""
        name = self._name
        if in_the_name_of:
            name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, in_the_name_of)])
        now = datetime.datetime.now(datetime.UTC)
        day = datetime.timedelta(days=1)
        listed = (
            x509.CertificateRevocationListBuilder()
            .issuer_name(name)
            .last_update(now - 9 * day)
            .next_update(now + next_update_days * day)
        )
        for file in certificates:
            serial = x509.load_pem_x509_certificate(file.read_bytes()).serial_number
            one = x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(now)
            listed = listed.add_revoked_certificate(one.build())
        path = self.file.with_suffix(".crl")
        path.write_bytes(listed.sign(self._key, hashes.SHA256()).public_bytes(Encoding.PEM))
        return path

    def _sign(
        self, subject: x509.Name, key: ec.EllipticCurvePrivateKey, *, is_authority: bool = False
    ) -> x509.Certificate:
        now = datetime.datetime.now(datetime.UTC)
        day = datetime.timedelta(days=1)
        places = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - day)
            .not_valid_after(now + day)
            .add_extension(x509.BasicConstraints(ca=is_authority, path_length=None), critical=True)
            .add_extension(x509.SubjectAlternativeName(places), critical=False)
            .sign(self._key, hashes.SHA256())
        )


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    """Signs certificates."""
    return Authority(tmp_path)
