"""Runs into one folder of results: again, going on, at the same time, on a full disk."""

import json
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from hunique_client.cli import commands
from hunique_client.result_folder import FolderNotWritableError
from hunique_proto.v1 import hand_features_pb2 as pb

Run = Callable[..., Any]
Start = Callable[..., subprocess.Popen[bytes]]


@pytest.fixture
def segment(run: Run, server: Any, tmp_path: Path) -> Run:
    """Runs `hunique-client segment --out out` with the server for all tests."""
    words = ("--server", server.address, "segment", "--out", tmp_path / "out")
    return lambda *arguments, **more: run(*words, *arguments, **more)


@pytest.fixture
def held(
    command: str, started: Start, scripted: tuple[Any, str], tmp_path: Path
) -> Iterator[subprocess.Popen[bytes]]:
    """A run into the folder `out` that waits for an answer; it is there when the test begins."""
    script, address = scripted
    under_way, released = threading.Event(), threading.Event()

    def wait(_requests: Any, _context: Any) -> Iterator[pb.SegmentStreamResponse]:
        under_way.set()
        released.wait(60)
        yield from ()

    script.streams = [wait]
    (tmp_path / "held.png").write_bytes(b"a picture")
    words = ["--server", address, "segment", "--out", tmp_path / "out", tmp_path / "held.png"]
    run = started(command, *map(str, words))
    assert under_way.wait(60)
    yield run
    released.set()


@pytest.fixture
def three(picture_files: list[Path]) -> list[Path]:
    """Three pictures."""
    return picture_files[:3]


def _documents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.glob("*.json")}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_two_runs_do_not_share_a_folder(
    segment: Run, held: Any, three: list[Path], tmp_path: Path, number: int
) -> None:
    """The second is refused in a sentence while the first runs, and not after, however that ends."""
    refused = segment(*three, "--resume")
    assert (refused.returncode, refused.stdout) == (5, "")
    said = f"hunique-client: another run writes to {tmp_path / 'out'}: wait for its end, or"
    assert refused.stderr.startswith(said)
    assert len(refused.stderr.splitlines()) == 1
    held.send_signal(number)
    held.wait(60)
    assert segment(*three).returncode == 0
    assert not list((tmp_path / "out").glob(".*"))


def test_folder_that_takes_no_files_is_noticed_at_once(run: Run, three: list[Path]) -> None:
    """Before a server is asked, let alone a picture examined."""
    if not Path("/proc/self").exists():
        pytest.skip("needs /proc")
    ended = run("--server", "unix:/nobody", "segment", *three, "--out", "/proc/self")
    assert (ended.returncode, ended.stdout) == (5, "")
    assert "/proc/self/.hunique.lock cannot be written: " in ended.stderr
    assert len(ended.stderr.splitlines()) == 1


def test_full_disk_ends_the_run(
    server: Any,
    three: list[Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """No more pictures are examined when their results could not be written."""

    def full(_self: Path, _data: bytes) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    words = ["--server", server.address, "segment", *map(str, three), "--out", str(tmp_path / "o")]
    with pytest.raises(FolderNotWritableError, match="go on with --resume") as ended:
        commands.main(words, standalone_mode=False)
    assert ended.value.exit_code == 5
    assert capsys.readouterr().err == "0 done, 0 failed, 3 not examined\n"
    assert list((tmp_path / "o").iterdir()) == []


def test_results_are_kept(segment: Run, three: list[Path], tmp_path: Path) -> None:
    """A second run over the same folder fails for each picture that is done, and says how on."""
    assert segment(*three).returncode == 0
    before = _documents(tmp_path / "out")
    again = segment(*three)
    assert again.returncode == 5
    assert again.stderr.count("--resume") == 3
    assert segment(three[0]).returncode == 5
    assert _documents(tmp_path / "out") == before
    assert segment(*three, "--overwrite").returncode == 0
    assert _documents(tmp_path / "out") != before  # timings


def test_resume(segment: Run, three: list[Path], tmp_path: Path) -> None:
    """`--resume` leaves out what is done, counts it as done, and does the rest."""
    assert segment(*three[:2]).returncode == 0
    before = _documents(tmp_path / "out")
    ended = segment(*three, "--resume")
    assert ended.returncode == 0
    assert ended.stderr.splitlines() == ["3 done (2 of them before), 0 failed"]
    after = _documents(tmp_path / "out")
    assert len(after) == 3
    assert {name: after[name] for name in before} == before
    ended = segment(*three, "--resume")
    assert ended.returncode == 0
    assert ended.stderr.splitlines() == ["3 done (3 of them before), 0 failed"]


def test_resume_with_pictures_of_one_name(
    segment: Run, picture: bytes, pictures: list[bytes], tmp_path: Path
) -> None:
    """Pictures of one name in several folders meet their own results again."""
    for folder, data in zip("abc", [picture, *pictures[:2]], strict=True):
        (tmp_path / "in" / folder).mkdir(parents=True)
        (tmp_path / "in" / folder / "hand.png").write_bytes(data)
    assert segment("-r", tmp_path / "in").returncode == 0
    before = _documents(tmp_path / "out")
    assert len(before) == 3
    ended = segment("-r", tmp_path / "in", "--resume")
    assert ended.stderr.splitlines() == ["3 done (3 of them before), 0 failed"]
    assert _documents(tmp_path / "out") == before


def test_resume_after_namesakes_came_and_went(
    segment: Run, pictures: list[bytes], tmp_path: Path
) -> None:
    """A picture that is new, or gone, moves no result of its namesakes to another picture."""

    def put(folder: str, data: bytes) -> None:
        (tmp_path / "in" / folder).mkdir(parents=True)
        (tmp_path / "in" / folder / "hand.png").write_bytes(data)

    put("b", pictures[0])
    put("c", pictures[1])
    assert segment("-r", tmp_path / "in").returncode == 0
    before = _documents(tmp_path / "out")
    put("a", pictures[2])
    ended = segment("-r", tmp_path / "in", "--resume")
    assert ended.stderr.splitlines() == ["3 done (2 of them before), 0 failed"]
    after = _documents(tmp_path / "out")
    assert {name: after[name] for name in before} == before
    (tmp_path / "in" / "b" / "hand.png").unlink()
    (tmp_path / "in" / "a" / "hand.png").unlink()
    ended = segment(tmp_path / "in" / "c" / "hand.png", "--resume")
    assert (ended.returncode, ended.stderr) == (0, "")
    assert _documents(tmp_path / "out") == after


def test_what_a_person_wrote_is_never_replaced(
    segment: Run, three: list[Path], tmp_path: Path
) -> None:
    """Reviewed documents stay with --overwrite too, also where the JSON broke in the writing."""
    assert segment(*three).returncode == 0
    documents = [tmp_path / "out" / f"{path.name}.hunique.json" for path in three]
    reviewed = documents[0].read_text().replace('"not reviewed"', '"no ring, A. Expert"')
    documents[0].write_text(reviewed)
    broken = documents[1].read_text().replace('"not reviewed"', '"a "ring", A. Expert"')
    documents[1].write_text(broken)
    for words in (["--overwrite"], ["--overwrite", "--resume", "--model", "tiny"]):
        three[0].write_bytes(three[2].read_bytes())
        ended = segment(*three, *words)
        assert ended.returncode == 5
        assert ended.stderr.count("has been reviewed and is not replaced") == 2
        assert "1 done" in ended.stderr
        assert (documents[0].read_text(), documents[1].read_text()) == (reviewed, broken)


@pytest.mark.parametrize(
    "values", [{"provenance": {"model": None}}, {"provenance": []}, {"findings": None}, []]
)
def test_resume_over_documents_of_another_form(
    segment: Run, three: list[Path], tmp_path: Path, values: Any
) -> None:
    """They are said to be in the way; the run goes on."""
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "00.png.hunique.json").write_text(json.dumps(values))
    ended = segment(*three, "--resume")
    assert (ended.returncode, ended.stderr.splitlines()[-1]) == (5, "2 done, 1 failed")


def test_resume_does_not_take_another_result(
    segment: Run, three: list[Path], tmp_path: Path
) -> None:
    """A picture that changed, another model and a damaged document are said, not passed over."""
    assert segment(*three).returncode == 0
    documents = [tmp_path / "out" / f"{path.name}.hunique.json" for path in three]
    three[0].write_bytes(three[1].read_bytes())
    values = json.loads(documents[1].read_text())
    values["provenance"]["model"]["sha256"] = "0" * 64
    documents[1].write_text(json.dumps(values))
    documents[2].write_text("{")
    ended = segment(*three, "--resume")
    assert ended.returncode == 5
    assert ended.stderr.splitlines()[-1] == "0 done, 3 failed"
    assert ended.stderr.count("another picture or model") == 2
    assert ended.stderr.count("02.png.hunique.json is there and cannot be read") == 1
    assert documents[2].read_text() == "{"
    replaced = segment(*three, "--resume", "--overwrite")
    assert replaced.stderr.splitlines() == ["3 done, 0 failed"]


@pytest.mark.parametrize("spoil", [Path.unlink, lambda path: path.write_bytes(b"")])
def test_resume_does_not_call_done_what_lost_its_files(
    segment: Run, three: list[Path], picture: bytes, tmp_path: Path, spoil: Callable[[Path], object]
) -> None:
    """A file that the document names is gone, or another: said, and made again with --overwrite."""
    three[0].write_bytes(picture)
    assert segment(*three).returncode == 0
    (mask,) = (tmp_path / "out").glob("*.tattoo.1.png")
    before = mask.read_bytes()
    spoil(mask)
    ended = segment(*three, "--resume")
    assert (ended.returncode, "files that are gone or have changed" in ended.stderr) == (5, True)
    replaced = segment(*three, "--resume", "--overwrite")
    assert replaced.stderr.splitlines() == ["3 done (2 of them before), 0 failed"]
    assert mask.read_bytes() == before


def test_resume_with_a_picture_from_a_pipe(segment: Run, picture: bytes, tmp_path: Path) -> None:
    """A pipe can be read once, and is read by who sends it."""
    ended = segment("/dev/stdin", "--resume", stdin=picture)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert (tmp_path / "out" / "stdin.tattoo.1.png").exists()


def test_resume_of_what_could_not_be_assessed(
    segment: Run, tiny_picture: bytes, tmp_path: Path
) -> None:
    """The exit code of a run that had nothing to do is that of the runs before it."""
    path = tmp_path / "tiny.png"
    path.write_bytes(tiny_picture)
    assert segment(path).returncode == 3
    assert segment(path, "--resume").returncode == 3
