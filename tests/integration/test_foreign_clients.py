"""Clients that know nothing of this project find and use the server by reflection alone."""

import base64
import io
import re
import subprocess
import sys
from collections.abc import Iterator

import numpy as np
import pytest
from grpc_requests import Client
from PIL import Image

from hunique_models.bundle import Bundle

SERVICE = "hunique.v1.HandFeatures"


@pytest.fixture(scope="module")
def address(tiny_bundle: Bundle) -> Iterator[str]:
    """A server as it is started from a shell, on a free port of the loopback."""
    command = [sys.executable, "-m", "hunique_server", "--bundle", str(tiny_bundle.path)]
    command += ["--listen", "127.0.0.1:0", "--admin-listen", ""]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as server:
        assert server.stderr is not None
        ready = re.search(r"ready on (\S+)", server.stderr.readline())
        assert ready is not None
        yield ready[1]
        server.terminate()
        assert server.wait(timeout=60) == 0


@pytest.fixture(scope="module")
def client(address: str) -> Client:
    """A reflection client by other people; all it is told is the address."""
    return Client.get_by_endpoint(address)


def test_services_can_be_listed(client: Client) -> None:
    """Reflection names our service, health, and itself."""
    assert {SERVICE, "grpc.health.v1.Health"} <= set(client.service_names)
    methods = client.service(SERVICE).method_names
    assert set(methods) == {"Segment", "SegmentStream", "DescribeModel"}


def test_the_model_can_be_described(client: Client, tiny_bundle: Bundle) -> None:
    """DescribeModel answers a caller that has none of our files."""
    answer = client.request(SERVICE, "DescribeModel", {})
    assert answer["model"]["sha256"] == tiny_bundle.sha256
    assert [one["name"] for one in answer["classes"]][:2] == ["tattoo", "ring"]


def test_a_picture_can_be_segmented(client: Client, red_square: np.ndarray) -> None:
    """The red square is found where it is, its mask a PNG of the picture's size."""
    buffer = io.BytesIO()
    Image.fromarray(red_square).save(buffer, "PNG")
    answer = client.request(
        SERVICE, "Segment", {"image": base64.b64encode(buffer.getvalue()).decode()}
    )
    (tattoo,) = (one for one in answer["findings"] if one["class_name"] == "tattoo")
    assert tattoo["status"] == "STATUS_PRESENT"
    (instance,) = tattoo["instances"]
    mask = np.asarray(Image.open(io.BytesIO(base64.b64decode(instance["mask_png"]))))
    assert mask.shape == (200, 300)
    truth = np.zeros((200, 300), bool)
    truth[60:120, 100:180] = True
    assert (mask & truth).sum() / (mask | truth).sum() > 0.75  # 300 pixels are shown to 16 cells
