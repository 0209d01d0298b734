"""The client for threads against a real server, and its errors."""

import hashlib
import io
import pickle
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
from PIL import Image

from hunique_client import (
    DeadlineError,
    Detail,
    HuniqueClient,
    HuniqueClientError,
    InvalidRequestError,
    Output,
    ServerBusyError,
    ServerFailedError,
    ServerUnavailableError,
    Status,
)
from hunique_proto.v1 import hand_features_pb2 as pb


@pytest.fixture
def give(picture: bytes, tmp_path: Path) -> Iterator[dict[str, Any]]:
    """One picture in every form that a caller may have it."""
    path = tmp_path / "hand.png"
    path.write_bytes(picture)
    with path.open("rb") as stream:
        yield {"bytes": picture, "path": path, "text": str(path), "stream": stream}


@pytest.mark.parametrize("form", ["bytes", "path", "text", "stream"])
def test_picture_in_any_form(client: HuniqueClient, give: dict[str, Any], form: str) -> None:
    """Bytes, a path, its text and an open file give the same answer."""
    result = client.segment(give[form])
    assert result.provenance["input_sha256"] == hashlib.sha256(give["bytes"]).hexdigest()
    assert [one.status for one in result.classes] == [
        Status.PRESENT, Status.ABSENT, Status.ABSENT, Status.ABSENT,
    ]  # fmt: skip


def test_where_and_how_large(client: HuniqueClient, picture: bytes) -> None:
    """Box, area, mask and outline of an instance lie where the feature is on the picture."""
    result = client.segment(picture)
    assert (result.width_px, result.height_px) == (300, 200)
    (instance,) = result["tattoo"].instances
    mask = np.asarray(Image.open(io.BytesIO(instance.mask_png)), bool)
    assert mask.shape == (200, 300)
    rows, columns = np.nonzero(mask)
    box = instance.box
    assert (columns.min(), rows.min()) == (box.x_px, box.y_px)
    assert np.ptp(columns) + 1 == box.width_px
    assert np.ptp(rows) + 1 == box.height_px
    truth = np.zeros((200, 300), bool)
    truth[60:120, 100:180] = True
    assert (mask & truth).sum() / (mask | truth).sum() > 0.75
    assert instance.area_px == mask.sum() == result["tattoo"].area_px
    outline = np.array(instance.polygon[0])
    assert np.abs(outline.min(axis=0) - (box.x_px, box.y_px)).max() <= 1
    assert 60 < instance.measurements["centroid_y_px"] < 120
    assert len(instance.measurements["mean_srgb"]) == 3


def test_only_the_classes_that_were_asked_for(client: HuniqueClient, picture: bytes) -> None:
    """Others are skipped, which is not absent."""
    result = client.segment(picture, classes=["ring"])
    assert {one.name: one.status for one in result.classes} == {
        "tattoo": Status.SKIPPED, "ring": Status.ABSENT,
        "lunule": Status.SKIPPED, "polished_nail": Status.SKIPPED,
    }  # fmt: skip


def test_only_the_outputs_that_were_asked_for(client: HuniqueClient, picture: bytes) -> None:
    """Masks as PNG or as COCO, outlines and an overlay come when wanted and only then."""
    wanted = client.segment(picture, outputs=[Output.MASK_RLE, "overlay"])
    (instance,) = wanted["tattoo"].instances
    assert instance.mask_rle is not None
    assert instance.mask_rle["size"] == [200, 300]
    assert Image.open(io.BytesIO(wanted.overlay_jpeg)).format == "JPEG"
    assert (instance.mask_png, instance.polygon) == (b"", ())
    (bare,) = client.segment(picture, outputs=["scores_only"])["tattoo"].instances
    assert (bare.mask_png, bare.mask_rle, bare.polygon) == (b"", None, ())
    assert bare.area_px == instance.area_px


def test_detail_is_obeyed(client: HuniqueClient, picture: bytes) -> None:
    """Fast is one look; fine is more than that; the answer says which it was."""
    fast, fine = (client.segment(picture, detail=one).provenance for one in ("fast", Detail.FINE))
    assert (fast["detail"], fast["look_count"]) == ("fast", 1)
    assert fine["detail"] == "fine"
    assert fine["look_count"] > 1


def test_same_picture_same_answer(client: HuniqueClient, picture: bytes) -> None:
    """Two answers differ in nothing but their timings."""
    first, second = client.segment(picture), client.segment(picture)
    assert first.classes == second.classes
    assert {**first.provenance, "timings_ns": 0} == {**second.provenance, "timings_ns": 0}


def test_model_describes_itself(client: HuniqueClient, picture: bytes) -> None:
    """Name, version, digest and classes are those that answers refer to."""
    model = client.describe_model()
    assert (model.name, model.version) == ("tiny", "1.2.3")
    assert client.segment(picture).provenance["model"]["sha256"] == model.sha256
    assert [one["name"] for one in model.classes] == ["tattoo", "ring", "lunule", "polished_nail"]
    assert model.facts["details"] == ["fast", "standard", "fine"]
    with pytest.raises(InvalidRequestError, match="tiny"):
        client.describe_model("another")


def test_server_is_named_by_the_variable(
    client: HuniqueClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without an address HUNIQUE_SERVER says which server."""
    monkeypatch.setenv("HUNIQUE_SERVER", client.address)
    with HuniqueClient() as named:
        assert named.describe_model().name == "tiny"


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (b"no picture", "10 bytes"),
        (b"", "0 bytes"),
        (Path("/nowhere/hand.jpg"), "No such file"),
        ("zero\0byte.jpg", "null"),
        (Path("/"), "directory"),
    ],
)
def test_what_is_no_picture(client: HuniqueClient, given: Any, words: str) -> None:
    """What cannot be read or decoded is an InvalidRequestError that says what was found."""
    with pytest.raises(InvalidRequestError, match=words) as caught:
        client.segment(given)
    assert caught.value.exit_code == 4


def test_what_is_no_stream_of_bytes(client: HuniqueClient, picture: bytes) -> None:
    """A closed stream is an unreadable picture; one of text is a mistake of the program."""
    closed = io.BytesIO(picture)
    closed.close()
    with pytest.raises(InvalidRequestError, match="closed"):
        client.segment(closed)
    for wrong, said in ((io.StringIO("text"), "open it with 'rb'"), (3, "found int")):
        with pytest.raises(TypeError, match=said):
            client.segment(wrong)  # type: ignore[arg-type]


def test_wish_that_cannot_be_served(client: HuniqueClient, picture: bytes) -> None:
    """An unknown class is named by the server, an unknown output or detail fails at once."""
    with pytest.raises(InvalidRequestError, match="wart"):
        client.segment(picture, classes=["wart"])
    by_letters = client.segment(picture, classes="ring")  # a name alone is one name
    assert by_letters["tattoo"].status is Status.SKIPPED
    with pytest.raises(ValueError, match="found 'heatmap'"):
        client.segment(picture, outputs=["heatmap"])
    with pytest.raises(ValueError, match="expected detail fast, standard, fine; found 'finest'"):
        client.segment_many([picture], detail="finest")
    with pytest.raises(KeyError, match="tattoo, ring"):
        client.segment(picture)["wart"]


def test_no_server_there(short_folder: Path, picture: bytes) -> None:
    """Where nothing listens every method says so, and at once."""
    with HuniqueClient(f"unix:{short_folder / 'nobody.sock'}") as client:
        for call in (
            lambda: client.segment(picture),
            client.describe_model,
            lambda: next(client.segment_many([picture])),
        ):
            with pytest.raises(ServerUnavailableError, match="no hunique server answers"):
                call()


def test_busy_server_says_when_to_come_back(own_server: Any, picture: bytes) -> None:
    """A server without room gives ServerBusyError with the time after which to try again."""
    own_server.start("--max-queue-items", "1")
    with HuniqueClient(own_server.address) as client, ThreadPoolExecutor(16) as threads:
        large = io.BytesIO()
        Image.effect_noise((3000, 2000), 50).convert("RGB").save(large, "PNG", compress_level=0)
        calls = [threads.submit(client.segment, large.getvalue()) for _ in range(16)]
        errors = [call.exception() for call in calls]
        assert any(error is None for error in errors)
        busy = [error for error in errors if error is not None]
        assert busy
        assert all(isinstance(error, ServerBusyError) for error in busy)
        assert all(0 < error.retry_after_s < 60 for error in busy)  # type: ignore[attr-defined]
        assert client.segment(picture)["tattoo"].status is Status.PRESENT


def test_deadline_passes(scripted: tuple[Any, str], picture: bytes) -> None:
    """A server that does not answer in time gives DeadlineError after that time."""
    script, address = scripted
    released = threading.Event()
    script.segment = lambda _request, _context: released.wait(60) and pb.SegmentResponse()
    with HuniqueClient(address) as client:
        with pytest.raises(DeadlineError):
            client.segment(picture, deadline_s=0.2)
        released.set()


@pytest.mark.parametrize(
    ("code", "kind", "exit_code"),
    [
        (grpc.StatusCode.INVALID_ARGUMENT, InvalidRequestError, 4),
        (grpc.StatusCode.NOT_FOUND, InvalidRequestError, 4),
        (grpc.StatusCode.RESOURCE_EXHAUSTED, InvalidRequestError, 4),
        (grpc.StatusCode.UNAVAILABLE, ServerUnavailableError, 69),
        (grpc.StatusCode.UNIMPLEMENTED, ServerUnavailableError, 69),
        (grpc.StatusCode.DEADLINE_EXCEEDED, DeadlineError, 69),
        (grpc.StatusCode.INTERNAL, ServerFailedError, 69),
        (grpc.StatusCode.DATA_LOSS, ServerFailedError, 69),
    ],
)
def test_every_status_has_its_error(
    scripted: tuple[Any, str], picture: bytes, code: Any, kind: type[HuniqueClientError],
    exit_code: int,
) -> None:  # fmt: skip
    """Whatever status a server gives, callers see this library's error with its words."""
    script, address = scripted
    script.segment = lambda _request, context: context.abort(code, "the reason")
    with HuniqueClient(address) as client, pytest.raises(kind, match="the reason") as caught:
        client.segment(picture)
    assert type(caught.value) is kind
    assert caught.value.exit_code == exit_code
    assert isinstance(caught.value, HuniqueClientError)


def test_busy_error_survives_a_process_pool() -> None:
    """Errors can be pickled, as pools of processes do, and keep what they know."""
    error = pickle.loads(pickle.dumps(ServerBusyError("full", 1.5)))  # noqa: S301
    assert (str(error), error.retry_after_s) == ("full", 1.5)


def test_newer_server(scripted: tuple[Any, str], picture: bytes) -> None:
    """Statuses and details that this client does not know yet are unspecified, not a crash."""
    script, address = scripted
    finding = pb.ClassFinding(class_name="scar", status=99)  # type: ignore[arg-type]
    provenance = pb.Provenance(detail=99)  # type: ignore[arg-type]
    script.segment = lambda _request, _context: pb.SegmentResponse(
        findings=[finding], provenance=provenance
    )
    with HuniqueClient(address) as client:
        result = client.segment(picture)
    assert result["scar"].status is Status.UNSPECIFIED
    assert result.provenance["detail"] == "unspecified"
    assert not result.assessable


def test_calls_from_many_threads(client: HuniqueClient, pictures: list[bytes]) -> None:
    """One client may be used by several threads; each gets the answer to its own picture."""
    segment: Callable[[bytes], Any] = client.segment
    with ThreadPoolExecutor(4) as threads:
        widths = [result.width_px for result in threads.map(segment, pictures)]
    assert widths == [101 + index for index in range(12)]
