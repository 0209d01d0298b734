"""What a user gets with `pip install hunique`."""

import subprocess
import sys
import zipfile
from email.message import Message
from pathlib import Path

import pytest
from packaging.requirements import Requirement

PACKAGES = {
    "hunique_client",
    "hunique_export",
    "hunique_models",
    "hunique_proto",
    "hunique_server",
    "hunique_training",
}
MODEL_LIMIT_BYTES = 25_000_000
CODE_LIMIT_BYTES = 2_000_000
BUNDLED = "hunique_models/bundled/"


def test_top_level_is_the_six_packages(wheel_files: dict[str, int]) -> None:
    """Nothing but our own names lands in site-packages."""
    tops = {name.split("/")[0] for name in wheel_files}
    assert {top for top in tops if not top.endswith(".dist-info")} == PACKAGES


def test_typed_stubs_and_schema_travel(wheel_files: dict[str, int]) -> None:
    """Type checkers, gRPC callers and bundle readers find what they need."""
    wanted = {f"{package}/py.typed" for package in PACKAGES}
    wanted |= {
        f"hunique_proto/{stem}{end}"
        for stem in (
            "v1/hand_features",
            "inference/open_inference",
            "inference/model_configuration",
        )
        for end in (".proto", "_pb2.py", "_pb2.pyi", "_pb2_grpc.py")
    }
    wanted.add("hunique_models/manifest.schema.json")
    assert wanted <= set(wheel_files)


def test_every_source_module_travels(root: Path, wheel_files: dict[str, int]) -> None:
    """The way through the sdist loses no module, sub-package or data file."""
    for package in PACKAGES:
        folder = root / package.removeprefix("hunique_")
        sources = {
            path.relative_to(folder).as_posix()
            for path in (folder / package).rglob("*")
            if path.is_file() and "__pycache__" not in path.parts
        }
        assert sources <= set(wheel_files), package


def test_bundled_model_travels_and_opens(unpacked_wheel: Path) -> None:
    """The model in the wheel is whole: its digests hold where the wheel was unpacked."""
    if not (unpacked_wheel / BUNDLED / "default").is_dir():
        pytest.skip("no bundled model in this tree")
    program = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "from hunique_models.bundle import Bundle, default_bundle_path\n"
        "path = default_bundle_path()\n"
        "assert str(path).startswith(sys.argv[1]), path\n"
        "print(Bundle.open(path).manifest.name)"
    )
    command = [sys.executable, "-c", program, str(unpacked_wheel)]
    opened = subprocess.run(
        command, capture_output=True, text=True, cwd=unpacked_wheel, timeout=60, check=False
    )
    assert opened.returncode == 0, opened.stderr
    assert opened.stdout.strip()


def test_wheel_stays_small(wheel_files: dict[str, int]) -> None:
    """Every install carries the model, so model and code have bounds."""
    model = sum(size for name, size in wheel_files.items() if name.startswith(BUNDLED))
    assert model <= MODEL_LIMIT_BYTES
    assert sum(wheel_files.values()) - model <= CODE_LIMIT_BYTES


def test_no_checkpoint_or_picture_travels(
    wheel_files: dict[str, int], sdist_files: set[str]
) -> None:
    """Nobody's photograph and no training state is shipped."""
    endings = (".pt", ".pth", ".ckpt", ".jpg", ".jpeg", ".heic", ".tif", ".engine")
    names = set(wheel_files) | sdist_files
    assert not [name for name in names if name.lower().endswith(endings)]


def test_torch_is_for_those_who_train(metadata: Message) -> None:
    """Serving and calling need no torch."""
    extras = metadata.get_all("Provides-Extra") or []
    requirements = [Requirement(text) for text in metadata.get_all("Requires-Dist") or []]
    torch = [requirement for requirement in requirements if requirement.name == "torch"]
    asking = {
        extra
        for extra in ["", *extras]
        for requirement in torch
        if requirement.marker is None or requirement.marker.evaluate({"extra": extra})
    }
    assert asking == {"train", "export", "dev"}


def test_licence_and_scripts_travel(wheel: Path) -> None:
    """The wheel holds its licence and installs the four commands."""
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        (entry_points,) = (name for name in names if name.endswith("entry_points.txt"))
        text = archive.read(entry_points).decode("utf-8")
    assert any(name.endswith("licenses/LICENSE") for name in names)
    scripts = {line.split(" = ")[0] for line in text.splitlines() if " = " in line}
    assert scripts == {"hunique-client", "hunique-server", "hunique-train", "hunique-export"}


def test_sdist_holds_the_tests(sdist_files: set[str]) -> None:
    """A distributor can run the tests from the sdist."""
    assert "pyproject.toml" in sdist_files
    assert "tests/packaging/test_wheel.py" in sdist_files
