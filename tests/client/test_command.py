"""The command `hunique-client` as people and scripts use it."""

import io
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

Run = Callable[..., Any]


def test_table(segment: Run, hand: Path) -> None:
    """One picture gives a table: a row a class with status, count, score and area."""
    ended = segment(hand)
    assert (ended.returncode, ended.stderr) == (0, "")
    rows = [line.split("│")[1:-1] for line in ended.stdout.splitlines() if "│" in line]
    assert [[cell.strip() for cell in row][:3] for row in rows] == [
        ["tattoo", "present", "1"],
        ["ring", "absent", "0"],
        ["lunule", "absent", "0"],
        ["polished nail", "absent", "0"],
    ]


def test_json(segment: Run, hand: Path) -> None:
    """`--json` prints one document a picture and nothing else, masks included."""
    ended = segment("--json", hand, hand.parent / "missing.png")
    good, bad = sorted(map(json.loads, ended.stdout.splitlines()), key=lambda one: "error" in one)
    assert good["picture"] == str(hand)
    assert good["findings"][0]["instances"][0]["mask_rle"]["size"] == [200, 300]
    assert bad["picture"].endswith("missing.png")
    assert "No such file" in bad["error"]
    assert ended.returncode == 5


def test_out(segment: Run, hand: Path, tmp_path: Path) -> None:
    """`--out` writes document, masks and overlay, and still prints the table of one picture."""
    ended = segment(hand, "--out", tmp_path / "out")
    assert ended.returncode == 0
    assert "tattoo" in ended.stdout
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "hand.png.hunique.json", "hand.png.overlay.jpg", "hand.png.tattoo.1.png",
    ]  # fmt: skip


def test_standard_input(segment: Run, picture: bytes, tmp_path: Path) -> None:
    """`-` takes the picture from standard input; its results are named stdin."""
    ended = segment("-", "--json", "--out", tmp_path, stdin=picture)
    assert ended.returncode == 0
    assert json.loads(ended.stdout)["picture"] == "stdin"
    assert (tmp_path / "stdin.tattoo.1.png").exists()
    nothing = segment("-", stdin=b"")
    assert nothing.returncode == 4
    assert "stdin: " in nothing.stderr


def test_several_files(segment: Run, picture_files: list[Path]) -> None:
    """Several give a table each, and on standard error how many are done."""
    ended = segment(*picture_files[:3])
    assert ended.returncode == 0
    assert all(str(path) in ended.stdout.replace("\n", "") for path in picture_files[:3])
    assert ended.stderr.splitlines() == ["3 done, 0 failed"]


@pytest.mark.parametrize("form", [(), ("--json",)])
def test_full_disk_for_standard_output(
    command: str, server: Any, hand: Path, form: tuple[str, ...]
) -> None:
    """One sentence and exit code 5: nobody takes half a list for a whole one."""
    if not Path("/dev/full").exists():
        pytest.skip("needs /dev/full")
    with Path("/dev/full").open("wb") as full:
        words = [command, "--server", server.address, "segment", *form, str(hand)]
        ended = subprocess.run(words, stdout=full, stderr=subprocess.PIPE, timeout=120, check=False)
    lines = ended.stderr.decode().splitlines()
    assert (ended.returncode, lines[-1]) == (
        5,
        "hunique-client: cannot write: No space left on device",
    )
    assert not any("Traceback" in line or "Exception ignored" in line for line in lines)


def test_nothing_keeps_a_command_from_ending() -> None:
    """A thread that stands still, as one of gRPC's now and then, does not; what was said is out."""
    program = (
        "import sys, threading; threading.Thread(target=threading.Event().wait).start();"
        "sys.argv = ['hunique-client', *sys.argv[1:]];"
        "from hunique_client.cli import main; main()"
    )
    for words, code in ((["--version"], 0), (["segment"], 64)):
        command = [sys.executable, "-c", program, *words]
        ended = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
        assert ended.returncode == code
        assert "hunique" in ended.stdout + ended.stderr


@pytest.mark.skipif(os.name != "posix", reason="a shell of POSIX closes what the command writes to")
def test_closed_standard_output_is_no_failure(command: str) -> None:
    """Whoever closes it wants to read nothing."""
    words = ["sh", "-c", '"$0" --version >&- 2>&-', command]
    assert subprocess.run(words, timeout=120, check=False).returncode == 0


def test_flags_have_variables(segment: Run, hand: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """HUNIQUE_SEGMENT_JSON for --json."""
    monkeypatch.setenv("HUNIQUE_SEGMENT_JSON", "1")
    assert json.loads(segment(hand).stdout)["picture"] == str(hand)


def test_wishes(segment: Run, hand: Path) -> None:
    """`--classes` and `--detail` are obeyed."""
    ended = segment("--json", "--classes", "ring, lunule", "--detail", "fast", hand)
    values = json.loads(ended.stdout)
    statuses = [one["status"] for one in values["findings"]]
    assert statuses == ["skipped", "absent", "absent", "skipped"]
    assert values["provenance"]["look_count"] == 1


def test_nothing_assessable(segment: Run, tmp_path: Path, tiny_picture: bytes) -> None:
    """A picture that allows no answer ends with 3, and the table says why."""
    path = tmp_path / "tiny.png"
    path.write_bytes(tiny_picture)
    ended = segment(path)
    assert ended.returncode == 3
    assert "not_assessable" in ended.stdout


@pytest.mark.parametrize("data", [None, b"", b"no picture"])
def test_unreadable(segment: Run, tmp_path: Path, data: bytes | None) -> None:
    """One picture that is missing, empty or none ends with 4 and a sentence."""
    path = tmp_path / "hand.jpg"
    if data is not None:
        path.write_bytes(data)
    ended = segment(path)
    assert (ended.returncode, ended.stdout) == (4, "")
    assert ended.stderr.startswith(f"hunique-client: {path}: ")
    assert len(ended.stderr.splitlines()) == 1


def test_some_failed(segment: Run, hand: Path, tmp_path: Path) -> None:
    """Of several some that fail end with 5; the others are done."""
    ended = segment(tmp_path / "missing.jpg", hand)
    assert ended.returncode == 5
    assert "tattoo" in ended.stdout
    assert ended.stderr.splitlines()[-1] == "1 done, 1 failed"


def test_standard_input_that_cannot_be_read(command: str, server: Any, tmp_path: Path) -> None:
    """One that is closed to readers is said as of any other picture."""
    words = [command, "--server", server.address, "segment", "-"]
    place = os.open(tmp_path / "file", os.O_WRONLY | os.O_CREAT)
    try:
        ended = subprocess.run(words, stdin=place, capture_output=True, timeout=120, check=False)
    finally:
        os.close(place)
    said = b"hunique-client: stdin: cannot be read: Bad file descriptor\n"
    assert (ended.returncode, ended.stderr) == (4, said)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "Usage"),
        (["segment"], "IMAGE"),
        (["segment", "--detail", "finest", "a.jpg"], "finest"),
        (["segment", "--resume", "a.jpg"], "--out"),
        (["segment", "--overwrite", "a.jpg"], "--out"),
        (["segment", "--nonsense", "a.jpg"], "--nonsense"),
        (["segment", "{empty}"], "found none"),
        (["segment", "a.jpg", "--out", "{file}"], "is a file"),
        (["segment", "a.jpg", "--server", "{server}", "--classes", "ring,wart"], "wart"),
        (["frobnicate"], "frobnicate"),
    ],
)
def test_usage(run: Run, server: Any, tmp_path: Path, arguments: list[str], words: str) -> None:
    """What the command does not understand ends with 64 and says what that was."""
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").write_bytes(b"")
    places = {
        "{empty}": str(tmp_path / "empty"),
        "{file}": str(tmp_path / "file"),
        "{server}": server.address,
    }
    ended = run(*(places.get(word, word) for word in arguments))
    assert (ended.returncode, ended.stdout) == (64, "")
    assert words in ended.stderr


def test_no_server(run: Run, hand: Path, short_folder: Path) -> None:
    """Where no server answers the command ends with 69 and says so, after either verb."""
    nobody = f"unix:{short_folder / 'nobody.sock'}"
    for words in (["segment", hand], ["describe"]):
        ended = run("--server", nobody, *words)
        assert (ended.returncode, ended.stdout) == (69, "")
        assert "no hunique server answers" in ended.stderr


def test_server_that_ends(run: Run, hand: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A private server that cannot start ends the command with 69 and its last words."""
    monkeypatch.setenv("HUNIQUE_SERVER_BUNDLE", str(hand.parent))
    ended = run("segment", hand)
    assert ended.returncode == 69
    assert "manifest.json" in ended.stderr


def test_private_server(run: Run, hand: Path, short_folder: Path) -> None:
    """Without a server the command brings its own and leaves nothing of it."""
    ended = run("segment", hand)
    assert ended.returncode == 0
    assert "tattoo" in ended.stdout
    assert list(short_folder.iterdir()) == []


def test_server_may_be_named_anywhere(run: Run, server: Any, monkeypatch: Any) -> None:
    """Before the verb, after it, or by the variable; what is typed wins over the variable."""
    monkeypatch.setenv("HUNIQUE_SERVER", "unix:/nowhere/at.all")
    assert run("--server", server.address, "describe").returncode == 0
    assert run("describe", "--server", server.address).returncode == 0
    monkeypatch.setenv("HUNIQUE_SERVER", server.address)
    assert run("describe").returncode == 0


def test_describe(run: Run, server: Any) -> None:
    """`describe` says which model is served, for people and for programs."""
    text = run("describe", "--server", server.address).stdout
    assert "tiny 1.2.3" in text
    assert "A colour rule".lower() in text.lower()
    values = json.loads(run("describe", "--json", "--server", server.address).stdout)
    assert values["version"] == "1.2.3"
    assert values["classes"][0]["name"] == "tattoo"
    assert len(values["sha256"]) == 64


def test_output_that_lacks_letters(
    segment: Run, picture: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where standard output is not UTF-8 a table shows escapes for what it cannot write."""
    monkeypatch.setenv("PYTHONIOENCODING", "latin-1:strict")
    path = tmp_path / "\N{HIRAGANA LETTER TE}.png"
    path.write_bytes(picture)
    ended = segment(path)
    assert ended.returncode == 0
    assert "\\u3066.png" in ended.stdout.replace("\n", "")


def test_overlay_is_the_picture(segment: Run, hand: Path, tmp_path: Path) -> None:
    """The overlay has the upright picture's size."""
    segment(hand, "--out", tmp_path / "out")
    data = (tmp_path / "out" / "hand.png.overlay.jpg").read_bytes()
    assert Image.open(io.BytesIO(data)).size == (300, 200)
