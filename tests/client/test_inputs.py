"""What `hunique-client segment` takes for pictures, and what it says of the rest."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from hunique_client.cli import commands

Run = Callable[..., Any]


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
