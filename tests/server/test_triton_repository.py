"""An unmodified tritonclient loads, switches and unloads models of a real server process."""

from pathlib import Path
from typing import Any

from foreign_program import run_program
from repository_writing import Shelf


def test_tritonclient_loads_switches_and_unloads(
    shelf: Shelf, red_png: bytes, server_process: Any, tmp_path: Path
) -> None:
    """Its calls do what they are named for; refusals arrive with their code and sentence."""
    (tmp_path / "red.png").write_bytes(red_png)
    for name, version in (("tiny", "2.0.0"), ("hands", "1.0.0")):
        shelf.add(name, version)
    shelf.add("broken", "1.0.0", b"no graph")
    flags = ("--model-repository", str(shelf.path))
    with server_process(shelf.tiny.path, tmp_path / "h.sock", *flags) as (_, address):
        seen = run_program("triton_administrator.py", address, tmp_path / "red.png")
    not_loaded = dict.fromkeys(("broken:1.0.0", "hands:1.0.0", "tiny:2.0.0"), "UNAVAILABLE")
    assert seen["first"] == not_loaded | {"tiny:1.2.3": "READY"}
    assert seen["loaded"] == [
        not_loaded | {"tiny:1.2.3": "READY", "hands:1.0.0": "READY"},
        True,
        {"default": "tiny:1.2.3", "tiny": "tiny:1.2.3", "hands": "hands:1.0.0"},
    ]
    assert seen["switched"] == [
        ["2.0.0"],
        False,
        {"default": "tiny:2.0.0", "tiny": "tiny:2.0.0", "hands": "hands:1.0.0"},
    ]
    for case, code, said in (
        ("broken", "FAILED_PRECONDITION", "ONNX Runtime could not open broken"),
        ("default", "FAILED_PRECONDITION", "'tiny' is what 'default' means"),
        ("files", "INVALID_ARGUMENT", "found files in the request"),
    ):
        status, message = seen[case]
        assert status == f"StatusCode.{code}"
        assert said in message
    assert seen["last"] == [
        False,
        {"default": "hands:1.0.0", "tiny": "StatusCode.NOT_FOUND", "hands": "hands:1.0.0"},
    ]
