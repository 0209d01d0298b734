"""The command `hunique-client` as people and scripts use it."""

import io
import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from hunique_client.cli import commands

Run = Callable[..., Any]


@pytest.fixture
def hand(picture: bytes, tmp_path: Path) -> Path:
    """The picture with one tattoo as a file."""
    path = tmp_path / "hand.png"
    path.write_bytes(picture)
    return path


@pytest.fixture
def segment(run: Run, server: Any) -> Run:
    """Runs `hunique-client segment` with the server for all tests."""
    return lambda *arguments, **more: run("--server", server.address, "segment", *arguments, **more)


@pytest.fixture
def folder(picture_files: list[Path]) -> Path:
    """Three pictures, one of them in a sub-folder, and what is no picture."""
    folder = picture_files[0].parent
    for path in picture_files[3:]:
        path.unlink()
    (folder / "sub").mkdir()
    picture_files[2].rename(folder / "sub" / "02.PNG")
    (folder / "notes.txt").write_text("no picture")
    return folder


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


def test_named_twice(segment: Run, hand: Path) -> None:
    """A picture that is named twice is examined once, also in two spellings."""
    again = f"{hand.parent}/./{hand.name}"
    assert len(segment("--json", hand, hand, again).stdout.splitlines()) == 1


def test_folder(segment: Run, folder: Path, tmp_path: Path) -> None:
    """Of a folder its pictures are taken, with `--recursive` those of sub-folders too."""
    flat = segment("--json", folder)
    assert sorted(json.loads(line)["picture"] for line in flat.stdout.splitlines()) == [
        str(folder / "00.png"), str(folder / "01.png"),
    ]  # fmt: skip
    deep = segment("--recursive", folder, "--out", tmp_path / "out")
    assert (deep.returncode, deep.stdout) == (0, "")
    assert "left out: 1 file without a picture's suffix;" in deep.stderr.splitlines()[0]
    assert deep.stderr.splitlines()[1:] == ["3 done, 0 failed"]
    assert (tmp_path / "out" / "02.PNG.hunique.json").exists()


def test_what_is_left_out_is_said(segment: Run, folder: Path, tmp_path: Path) -> None:
    """Files that are not named like pictures, and links to folders; nothing is passed over."""
    (folder / "IMG_0001").write_bytes((folder / "00.png").read_bytes())
    for name in ("02.jfif", "03.PJPEG", "04.dib"):
        Image.new("RGB", (64, 64)).save(folder / name, "BMP")
    (folder / "dangling.jpg").symlink_to(tmp_path / "nowhere.jpg")
    (folder / "elsewhere").symlink_to(tmp_path)
    os.mkfifo(folder / "pipe.jpg")
    ended = segment("-r", folder)
    said = ended.stderr.splitlines()
    assert ended.returncode == 5
    assert said[0] == (
        "hunique-client: left out: 2 files without a picture's suffix, 1 link to folders; "
        "name those that shall be examined"
    )
    assert said[-1] == "6 done, 2 failed"
    assert f"{folder}/dangling.jpg: the picture cannot be read: No such file" in ended.stderr
    assert f"{folder}/pipe.jpg: expected a file" in ended.stderr


def test_folders_that_cannot_be_read(
    server: Any, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A sub-folder that nobody may look into has failed; the rest is done."""
    scandir, shut = os.scandir, folder / "sub"

    def refuse(place: Any) -> Any:
        if Path(place) == shut:
            raise PermissionError(13, "Permission denied", str(place))
        return scandir(place)

    monkeypatch.setattr(os, "scandir", refuse)
    words = ["--server", server.address, "segment", str(folder), "-r", "--json"]
    with pytest.raises(SystemExit) as ended:
        commands.main(words, standalone_mode=False)
    out, err = capsys.readouterr()
    assert ended.value.code == 5
    assert f"{shut}: the folder cannot be read: Permission denied" in err
    assert err.splitlines()[-1] == "2 done, 1 failed"
    failed = [one for one in map(json.loads, out.splitlines()) if "error" in one]
    assert [one["picture"] for one in failed] == [str(shut)]


def test_results_are_not_taken_for_pictures(segment: Run, folder: Path) -> None:
    """Results within the folder are no pictures of a later run; among the pictures none go."""
    out = folder / "results"
    for _ in range(2):
        ended = segment("-r", folder, "--out", out, "--overwrite")
        assert ended.stderr.splitlines()[1:] == ["3 done, 0 failed"]
    among = segment(folder, "--out", folder)
    assert among.returncode == 64
    assert "among the pictures" in among.stderr


def test_results_above_the_pictures(
    segment: Run, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Results may go to the folder that holds the folder of pictures."""
    monkeypatch.chdir(folder.parent)
    ended = segment(folder.name, "-r", "--out", ".")
    assert ended.stderr.splitlines()[-1] == "3 done, 0 failed"
    assert (folder.parent / "00.png.hunique.json").exists()


def test_pictures_beside_results_are_said(segment: Run, folder: Path) -> None:
    """Pictures of one's own within the folder of results are left out, and counted."""
    (folder / "notes.txt").unlink()
    for _ in range(2):
        ended = segment("-r", folder, "--out", folder / "sub", "--overwrite")
        assert ended.stderr.splitlines() == [
            "hunique-client: left out: 1 picture within the --out folder; "
            + "name those that shall be examined",
            "2 done, 0 failed",
        ]


def test_results_of_another_run_are_no_pictures(segment: Run, folder: Path, tmp_path: Path) -> None:
    """Masks and overlays that a document stands beside are left out, wherever results go."""
    first = folder / "results"
    assert segment("-r", folder, "--out", first).returncode == 0
    assert list(first.glob("*.overlay.jpg"))
    mine = [
        "mine.png",
        "02.PNG.png",
        "02.PNG.rotated.png",
        "02.PNG.overlay.png",
        "02.PNG.ring.0.png",
    ]
    for name in mine:
        (first / name).write_bytes((folder / "00.png").read_bytes())
    again = segment("-r", folder, "--out", tmp_path / "elsewhere")
    assert again.stderr.splitlines()[1:] == ["8 done, 0 failed"]
    assert all((tmp_path / "elsewhere" / f"{name}.hunique.json").exists() for name in mine)


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


def test_names_that_cannot_be_looked_at(segment: Run, hand: Path, tmp_path: Path) -> None:
    """A name that is too long, or within a file, is one picture's failure; the rest is done."""
    long_name, within = tmp_path / ("x" * 300 + ".jpg"), hand / "other.jpg"
    longest = tmp_path / ("y" * 251 + ".png")
    longest.write_bytes(hand.read_bytes())
    ended = segment(long_name, within, hand, longest, "--out", tmp_path / "out")
    assert ended.returncode == 5
    assert f"{long_name}: the picture cannot be read: File name too long" in ended.stderr
    assert f"{within}: the picture cannot be read: Not a directory" in ended.stderr
    assert ended.stderr.splitlines()[-1] == "2 done, 2 failed"


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


def test_odd_file_names(segment: Run, picture: bytes, tmp_path: Path) -> None:
    """Names with markup, line ends, escapes or broken encoding neither fail nor drive a terminal."""
    names = [
        "[red]a[blue].png",
        "two\nlines.png",
        "\x1b]0;title\x07.png",
        "caf\udce9.png",
        "-x.png",
    ]
    for name in names:
        (tmp_path / name).write_bytes(picture)
    ended = segment(tmp_path)
    assert ended.returncode == 0
    assert "[red]a[blue].png" in ended.stdout.replace("\n", "")
    assert "\x1b" not in ended.stdout
    done = segment(tmp_path, "--json", "--out", tmp_path / "out")
    assert done.returncode == 0
    found = {Path(json.loads(line)["picture"]).name for line in done.stdout.splitlines()}
    assert found == set(names)
    bad = segment(tmp_path / "caf\udce9\x1b.png")
    assert bad.returncode == 4
    assert "\x1b" not in bad.stderr


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
