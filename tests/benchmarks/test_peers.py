import json
import subprocess
import sys
from io import BytesIO
from pathlib import Path

import pytest
from PIL import Image

from hunique_models.bundle import default_bundle_path
from hunique_models.drawn import draw_hand

PROGRAM = (
    "import subprocess, sys; print(subprocess.Popen(['cat'], stdin=0).pid, flush=True); input()"
)
MUST_BE_EQUAL = ("onnxruntime", "opencv-python-headless", "pillow")


def _pins(path: Path) -> dict[str, str]:
    lines = path.read_text().splitlines()
    return dict(line.split("==") for line in lines if "==" in line and not line.startswith("#"))


def test_peers_compute_with_our_versions(benchmarks: Path) -> None:
    """A peer with another onnxruntime or OpenCV would not do the same work."""
    from peers import PEERS

    ours = _pins(benchmarks.parent / "constraints.txt")
    for peer in PEERS[1:]:
        theirs = _pins(benchmarks / "peers" / f"requirements-{peer.name}.txt")
        assert peer.distribution in theirs
        assert {name: theirs[name] for name in MUST_BE_EQUAL} == {
            name: ours[name] for name in MUST_BE_EQUAL
        }


def test_an_answer_holds_every_mask(monkeypatch: pytest.MonkeyPatch) -> None:
    """The masks behind the line of JSON are those that the line counts."""
    for name, value in {"BUNDLE": default_bundle_path(), "DETAIL": "fast", "THREADS": 1}.items():
        monkeypatch.setenv(f"PEER_{name}", str(value))
    monkeypatch.setattr("cv2.setNumThreads", lambda _: None)  # it would stay for other tests
    from work import Work

    wanted, stream = ["ring", "polished_nail"], BytesIO()
    hand = draw_hand(6, size_px=(384, 512), view="hand", features=wanted)
    Image.fromarray(hand.pixels).save(stream, "PNG")
    head, _, masks = Work().answer(stream.getvalue()).partition(b"\n")
    found = [one for feature in json.loads(head) for one in feature["found"]]
    assert found
    stream = BytesIO(masks)
    for one in found:
        with Image.open(BytesIO(stream.read(one["png_bytes"]))) as mask:
            assert mask.size == (512, 384)
    assert not stream.read()


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_tree_has_what_was_orphaned() -> None:
    """A child that outlives its parent in the parent's group is still found, and so ended."""
    from process_tree import tree

    parent = subprocess.Popen(
        [sys.executable, "-c", PROGRAM],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        process_group=0,
    )
    assert parent.stdin is not None
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    assert tree(parent.pid) == sorted([parent.pid, child])
    parent.kill()
    parent.wait()
    assert child in tree(parent.pid)
    parent.stdin.close()
    parent.stdout.close()
