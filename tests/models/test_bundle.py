"""A bundle is opened only if every file is the one that was written."""

import dataclasses
import hashlib
import shutil
from pathlib import Path

import pytest

from hunique_models.bundle import MANIFEST_NAME, Bundle, write_bundle
from hunique_models.errors import BundleDigestError, BundleFormatError


@pytest.fixture
def copy(tiny_bundle: Bundle, tmp_path: Path) -> Path:
    """A bundle that a test may spoil."""
    return Path(shutil.copytree(tiny_bundle.path, tmp_path / "copy"))


def test_digest_pins_the_whole_bundle(tiny_bundle: Bundle, copy: Path) -> None:
    """A copy has the same digest: that of the manifest, which names every other file."""
    opened = Bundle.open(copy)
    assert opened.sha256 == tiny_bundle.sha256
    assert opened.sha256 == hashlib.sha256((copy / MANIFEST_NAME).read_bytes()).hexdigest()
    model = opened.manifest.files["model.onnx"]
    assert model.sha256 == hashlib.sha256(opened.model_path.read_bytes()).hexdigest()
    assert model.size_bytes == opened.model_path.stat().st_size


def test_changed_file_is_refused(copy: Path) -> None:
    """One changed byte of the network is seen, with both digests in the message."""
    data = bytearray((copy / "model.onnx").read_bytes())
    data[100] ^= 1
    (copy / "model.onnx").write_bytes(data)
    found = hashlib.sha256(data).hexdigest()
    with pytest.raises(BundleDigestError, match=f"expected SHA-256 .*found {found}"):
        Bundle.open(copy)


def test_missing_file_is_refused(copy: Path) -> None:
    """A file that the manifest names must be there."""
    (copy / "model.onnx").unlink()
    with pytest.raises(BundleDigestError, match=r"names model\.onnx"):
        Bundle.open(copy)


@pytest.mark.parametrize("name", ["notes.txt", ".hidden", "folder/x"])
def test_stranger_is_refused(name: str, copy: Path) -> None:
    """A file that the manifest does not name is named in the error."""
    (copy / name).parent.mkdir(exist_ok=True)
    (copy / name).write_text("x")
    with pytest.raises(BundleDigestError, match=name.partition("/")[0]):
        Bundle.open(copy)


def test_link_is_refused(copy: Path, tmp_path: Path) -> None:
    """A link can be turned to another file after the check, so it is no file of a bundle."""
    (copy / "model.onnx").rename(tmp_path / "elsewhere.onnx")
    (copy / "model.onnx").symlink_to(tmp_path / "elsewhere.onnx")
    with pytest.raises(BundleDigestError, match="no plain file"):
        Bundle.open(copy)


def test_what_is_no_bundle_says_how_to_make_one(tmp_path: Path) -> None:
    """A folder without a manifest, or none at all, is answered with the command to run."""
    for path in (tmp_path, tmp_path / "absent"):
        with pytest.raises(BundleFormatError, match="hunique-export"):
            Bundle.open(path)


def test_manifest_of_other_bytes_is_refused(copy: Path) -> None:
    """A manifest that is not UTF-8 is a fault of format."""
    (copy / MANIFEST_NAME).write_bytes(b"\xff\xfe\x00")
    with pytest.raises(BundleFormatError, match="UTF-8"):
        Bundle.open(copy)


def test_bundle_is_replaced_only_on_request(tiny_bundle: Bundle, copy: Path) -> None:
    """Writing over a bundle needs the caller's word; then the new one is there, whole."""
    newer = dataclasses.replace(tiny_bundle.manifest, version="2.0.0")
    contents = {"model.onnx": b"graph", "extra.bin": b"more"}
    with pytest.raises(BundleFormatError, match="exists"):
        write_bundle(copy, newer, contents)
    assert Bundle.open(copy).manifest.version == "1.2.3"
    written = write_bundle(copy, newer, contents, replace=True)
    assert written.path == copy
    assert written.manifest.version == "2.0.0"
    assert set(written.manifest.files) == set(contents)
    assert [entry.name for entry in copy.parent.iterdir()] == ["copy"]


def test_other_folders_are_never_replaced(tiny_bundle: Bundle, tmp_path: Path) -> None:
    """A folder with anything else in it is left alone, even if replacing was asked for."""
    (tmp_path / "diary.txt").write_text("keep me")
    with pytest.raises(BundleFormatError, match="Expected a bundle to replace"):
        write_bundle(tmp_path, tiny_bundle.manifest, {"model.onnx": b""}, replace=True)
    assert (tmp_path / "diary.txt").read_text() == "keep me"


def test_what_lies_beside_a_manifest_is_never_removed(
    tiny_bundle: Bundle, copy: Path, tmp_path: Path
) -> None:
    """Many programs call a file manifest.json; a bundle with notes beside it stays, too."""
    extension, plain, link = tmp_path / "extension", tmp_path / "plain", tmp_path / "link"
    extension.mkdir()
    (extension / MANIFEST_NAME).write_text('{"manifest_version": 3}')
    (copy / "notes.txt").write_text("keep me")
    plain.write_text("keep me")
    link.symlink_to(tiny_bundle.path)
    for path in (extension, copy, plain, link):
        with pytest.raises(BundleFormatError, match="left alone"):
            write_bundle(path, tiny_bundle.manifest, {"model.onnx": b""}, replace=True)
    assert (copy / "notes.txt").read_text() == plain.read_text() == "keep me"
    assert (extension / MANIFEST_NAME).exists()
    assert link.is_symlink()


def test_damaged_bundle_can_be_replaced(tiny_bundle: Bundle, copy: Path) -> None:
    """A bundle of which a file is missing or changed gives way to a whole one."""
    (copy / "model.onnx").unlink()
    write_bundle(copy, tiny_bundle.manifest, {"model.onnx": b"graph"}, replace=True)
    assert Bundle.open(copy).model_path.read_bytes() == b"graph"


def test_faulty_bundle_is_not_written(tiny_bundle: Bundle, copy: Path) -> None:
    """What could not be opened again never takes the place of a good bundle."""
    faulty = dataclasses.replace(tiny_bundle.manifest, licence="")
    with pytest.raises(BundleFormatError, match="licence"):
        write_bundle(copy, faulty, {"model.onnx": b"graph"}, replace=True)
    assert Bundle.open(copy).sha256 == tiny_bundle.sha256
    assert [entry.name for entry in copy.parent.iterdir()] == ["copy"]
