"""What `--out` writes: complete, digested, and never over something else."""

import hashlib
import io
import json
import os
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from hunique_client import HuniqueClient, SegmentResult
from hunique_client.result_folder import (
    FolderNotWritableError,
    ResultExistsError,
    ResultFolder,
    ResultNotWrittenError,
)
from hunique_client.stems import Stems


@pytest.fixture
def result(client: HuniqueClient, picture: bytes) -> SegmentResult:
    """One tattoo, with mask and overlay."""
    return client.segment(picture, outputs=["mask_png", "polygon", "overlay"])


@pytest.fixture
def empty(client: HuniqueClient, pictures: list[bytes]) -> SegmentResult:
    """Nothing found, no overlay."""
    return client.segment(pictures[0])


def _names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def _write(folder: ResultFolder, name: str, result: SegmentResult) -> dict[str, Any]:
    values: dict[str, Any] = json.loads(
        folder.write(folder.stems.reserve(name), name, result).read_text()
    )
    return values


def test_document_masks_and_overlay(tmp_path: Path, result: SegmentResult) -> None:
    """A document, a mask for each instance and an overlay, named after the picture."""
    folder = tmp_path / "new" / "out"
    values = _write(ResultFolder(folder), "/case/17/hand.jpg", result)
    assert _names(folder) == [
        "hand.jpg.hunique.json",
        "hand.jpg.overlay.jpg",
        "hand.jpg.tattoo.1.png",
    ]
    assert values["picture"] == "hand.jpg"
    mask = Image.open(folder / "hand.jpg.tattoo.1.png")
    assert (mask.mode, mask.size) == ("1", (300, 200))
    assert np.asarray(mask).sum() == values["findings"][0]["area_px"]
    assert Image.open(io.BytesIO((folder / "hand.jpg.overlay.jpg").read_bytes())).format == "JPEG"


def test_digests_hold(tmp_path: Path, result: SegmentResult) -> None:
    """The document names every other file with its SHA-256."""
    files = _write(ResultFolder(tmp_path), "hand.jpg", result)["files"]
    assert sorted(files) == ["overlay", "tattoo.1"]
    for entry in files.values():
        data = (tmp_path / entry["file"]).read_bytes()
        assert hashlib.sha256(data).hexdigest() == entry["sha256"]


def test_pictures_of_one_name(tmp_path: Path, result: SegmentResult) -> None:
    """They keep apart, also where a file system would not tell their names apart."""
    folder = ResultFolder(tmp_path)
    names = ["a/hand.jpg", "b/hand.jpg", "c/HAND.JPG", "hand.jpg-2", "d/hand.jpg"]
    stems = [folder.stems.reserve(name) for name in names]
    assert stems == ["hand.jpg", "hand.jpg-2", "HAND.JPG-3", "hand.jpg-2-2", "hand.jpg-4"]
    assert len({stem.casefold() for stem in stems}) == 5
    folder.write(stems[1], names[1], result)
    assert _names(tmp_path)[0] == "hand.jpg-2.hunique.json"


def test_many_pictures_of_one_name(tmp_path: Path) -> None:
    """Names for 20,000 pictures of one name take no longer than others, also when going on."""
    stems = ResultFolder(tmp_path).stems
    begun_s = time.process_time()
    assert [stems.reserve("hand.jpg") for _ in range(20_000)][-1] == "hand.jpg-20000"
    again = Stems(lambda stem: stem.partition("-")[2] or "1")
    digests = [str(number) for number in range(20_000, 0, -1)]
    found = [again.find("hand.jpg", digest, alone=False) for digest in digests]
    assert found[0] == "hand.jpg-20000"
    assert found[-1] == "hand.jpg"
    assert len(set(found)) == 20_000
    assert time.process_time() - begun_s < 5


def test_documents_that_cannot_be_read_are_somebodys() -> None:
    """They hide no result of another picture, and are offered before a new name is."""
    there = {"hand.jpg": "", "hand.jpg-2": "b", "hand.jpg-3": "c"}
    stems = Stems(there.get)
    found = [stems.find("hand.jpg", picture, alone=False) for picture in "badec"]
    assert found == ["hand.jpg-2", "hand.jpg", "hand.jpg-4", "hand.jpg-5", "hand.jpg-3"]
    assert Stems(there.get).find("hand.jpg", "c", alone=True) == "hand.jpg-3"
    assert Stems({"hand.jpg": "b"}.get).find("hand.jpg", "a", alone=True) == "hand.jpg"


@pytest.mark.parametrize("letter", ["a", "\N{GREEK SMALL LETTER ALPHA}", "\udce4"])
def test_long_names(tmp_path: Path, result: SegmentResult, letter: str) -> None:
    """A name as long as a file system takes is made shorter, and stays apart from others."""
    name = letter * (250 // len(os.fsencode(letter)))
    (tmp_path / name).write_bytes(b"a picture")
    folder = ResultFolder(tmp_path / "out")
    values = [_write(folder, one, result) for one in (name, name, name[:-1])]
    assert [one["picture"] for one in values] == [name, name, name[:-1]]
    assert len(list((tmp_path / "out").glob(f"{letter * 60}*.overlay.jpg"))) == 3


def test_nothing_is_overwritten_unasked(tmp_path: Path, result: SegmentResult, empty: Any) -> None:
    """A result that is there stays as it is, and the error says how to go on."""
    _write(ResultFolder(tmp_path), "hand.jpg", result)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    with pytest.raises(ResultExistsError, match="--overwrite"):
        _write(ResultFolder(tmp_path), "hand.jpg", empty)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_overwriting_leaves_nothing_of_the_old(
    tmp_path: Path, result: SegmentResult, empty: SegmentResult
) -> None:
    """Masks and overlay that the new result does not have are gone; others' files stay."""
    _write(ResultFolder(tmp_path), "hand.jpg", result)
    (tmp_path / "hand.jpg.lesion.1.png").write_bytes(b"of a model with other classes")
    document = tmp_path / "hand.jpg.hunique.json"
    values = json.loads(document.read_text())
    values["files"]["lesion.1"] = {"file": "hand.jpg.lesion.1.png"}
    values["files"]["evil"] = {"file": "hand.jpg.x/../../hand.jpg.escape.png"}
    document.write_text(json.dumps(values))
    (tmp_path / "hand.jpg.x").mkdir()
    stay = ["hand.jpg.notes.png", "hand.jpg.tattoo.txt", "hand.jpg.jpg.tattoo.1.png"]
    for name in stay:
        (tmp_path / name).write_bytes(b"of somebody else")
    escape = tmp_path.parent / "hand.jpg.escape.png"
    escape.write_bytes(b"elsewhere")
    _write(ResultFolder(tmp_path, overwrite=True), "hand.jpg", empty)
    assert _names(tmp_path) == sorted(["hand.jpg.hunique.json", "hand.jpg.x", *stay])
    assert escape.exists()
    escape.unlink()


def test_leftovers_of_a_run_that_was_cut_short(tmp_path: Path, empty: SegmentResult) -> None:
    """Masks without a document, which a killed run leaves, do not pass for the new result's."""
    for index in (1, 2, 3):
        (tmp_path / f"hand.jpg.ring.{index}.png").write_bytes(b"old")
    _write(ResultFolder(tmp_path), "hand.jpg", empty)
    assert _names(tmp_path) == ["hand.jpg.hunique.json"]


def test_result_named_like_a_picture_in_the_folder(tmp_path: Path, result: SegmentResult) -> None:
    """A picture without a suffix takes nothing away from its neighbours in the folder."""
    (tmp_path / "hand.png").write_bytes(b"evidence")
    _write(ResultFolder(tmp_path), "hand.jpg", result)
    _write(ResultFolder(tmp_path), "hand", result)
    assert (tmp_path / "hand.png").read_bytes() == b"evidence"
    assert (tmp_path / "hand.jpg.tattoo.1.png").exists()


def test_document_comes_last(
    tmp_path: Path, result: SegmentResult, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When writing fails there is no document, no half file, and the error says why."""
    replace = Path.replace

    def full(self: Path, target: Path) -> Path:
        if target.name.endswith("overlay.jpg"):
            raise OSError(28, "No space left on device")
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(ResultNotWrittenError, match="No space left"):
        _write(ResultFolder(tmp_path), "hand.jpg", result)
    assert _names(tmp_path) == ["hand.jpg.tattoo.1.png"]


@pytest.mark.parametrize("file", ["tattoo.1.png", "overlay.jpg", "hunique.json"])
def test_earlier_result_stays_until_the_new_one_is_written(
    tmp_path: Path, result: SegmentResult, monkeypatch: pytest.MonkeyPatch, file: str
) -> None:
    """A disk that is full takes nothing away, and leaves no half files."""
    _write(ResultFolder(tmp_path), "hand.jpg", result)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    write_bytes = Path.write_bytes

    def full(self: Path, data: bytes) -> int:
        if file in self.name:
            raise OSError(28, "No space left on device")
        return write_bytes(self, data)

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(FolderNotWritableError, match="No space left"):
        _write(ResultFolder(tmp_path, overwrite=True), "hand.jpg", result)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_folder_that_cannot_be_made(tmp_path: Path) -> None:
    """A file in the way is said, not raised as a trace."""
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(ResultNotWrittenError, match="cannot be made"):
        ResultFolder(tmp_path / "file" / "out")


def test_earlier_result(tmp_path: Path, result: SegmentResult) -> None:
    """What is there is found again; a document that is damaged is not taken for a result."""
    folder = ResultFolder(tmp_path)
    assert folder.earlier("hand.jpg") is None
    values = _write(folder, "hand.jpg", result)
    assert folder.earlier("hand.jpg") == values
    (tmp_path / "hand.jpg.hunique.json").write_text("[1,")
    assert folder.earlier("hand.jpg") == {}


def test_time_does_not_grow_with_the_folder(
    tmp_path: Path, empty: SegmentResult, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Writing one result never looks through the folder, which may hold a million files."""

    def refuse(_self: Path, *_pattern: str) -> None:
        raise AssertionError("the folder was listed")

    for name in ("iterdir", "glob", "rglob"):
        monkeypatch.setattr(Path, name, refuse)
    _write(ResultFolder(tmp_path), "hand.jpg", empty)
    _write(ResultFolder(tmp_path, overwrite=True), "hand.jpg", empty)
